//! A wait is over before its answer came.

use std::sync::Arc;

use serde_json::json;

use super::branch::{self, ENGINE, Ending};
use super::{Action, Closing, Current, Step, handle, outcome};
use crate::channel::Channel;
use crate::context::Wait;
use crate::effect::{Effect, TimerRef, WaitTaken};
use crate::event::{Entity, Event};
use crate::execution::{Execution, Queued};
use crate::identity;
use crate::json::Json;
use crate::message_class::MessageClass;
use crate::status::{BranchStatus, TaskStatus};
use crate::timer::{Purpose, Timer, WAITING_TIMED_OUT};

/// The code of what fails by it.
const CODE: &str = "WAIT_TIMED_OUT";

/// The wait's time is over: its tasks are told, then what the wait names is emitted, or else what waited fails.
///
/// There is no wait any more where its answer came first: then its timer was cancelled.
pub(super) fn fire(
    execution: &mut Execution,
    timer: &Timer,
    kept: Option<Arc<Event>>,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let waits = execution.context().map_or(&[][..], |context| &context.waits[..]);
    let Some(wait) = waits.iter().find(|wait| timer.is_about(Purpose::Wait, &wait.wait_id)).cloned() else { return };
    if let (Some(scope), Some(branch)) = (&wait.scope, &wait.branch) {
        execution.load_scope(scope, step.store);
        execution.load_branch(scope, branch, step.store);
    }
    let mut event = timed_out(execution, &wait, timer, step);
    let message = event.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
    handle::number(execution, &mut event, step);
    let mut current = Current::new(event, 0);
    current.add(execution, Effect::WaitTaken(WaitTaken { wait_id: wait.wait_id.clone() }));
    let place = Arc::clone(&current.event);
    match (kept, place.place()) {
        (Some(mut event), _) => {
            Arc::make_mut(&mut event).occurred_at = step.now;
            current.emitted.push(Queued { event, depth: 0, input: None, opens: None, logged: false });
        }
        (None, Some((scope, branch))) => {
            let result = Json::from(&json!({"code": CODE, "message": message}));
            let ending = Ending::With(BranchStatus::Failed, Some(result));
            branch::done(execution, &mut current, scope, branch, ending, step, actions);
        }
        (None, None) => current.closing = Some(Closing::failed(CODE, &message)),
    }
    handle::route(execution, &mut current, step);
    execution.root_changed = true;
    execution.current = Some(Box::new(current));
    handle::next_task(execution, step, actions);
}

fn timed_out(execution: &Execution, wait: &Wait, timer: &Timer, step: &Step) -> Event {
    let message = format!("{:?} was waited for, and did not come in time", wait.event_type);
    Event {
        event_id: identity::derived_id(&execution.id, &timer.timer_id, 0, WAITING_TIMED_OUT, 1, 0),
        channel: Channel::TaskEvents.as_str().to_owned(),
        message_class: MessageClass::State.as_str().to_owned(),
        source: Some(ENGINE.to_owned()),
        status: Some(TaskStatus::TimedOut.as_str().to_owned()),
        error: Some(outcome::error_of(CODE, &message)),
        correlation_id: Some(wait.correlation_id.clone()),
        scope: wait.scope.clone(),
        branch: wait.branch.clone(),
        payload: Some(Json::from(&json!({
            "wait_id": wait.wait_id, "event_type": wait.event_type, "correlation_key": wait.correlation_key,
            "task_id": wait.task_id,
        }))),
        entities: [("task".to_owned(), Entity { id: Some(wait.task_id.clone()), ..Entity::default() })].into(),
        ..Event::new(WAITING_TIMED_OUT, step.now)
    }
}

/// A wait was answered: its timer will not fire.
pub(super) fn answered(execution: &mut Execution, current: &mut Current, wait_id: &str) {
    let timers = execution.context().map_or(&[][..], |context| &context.timers[..]);
    let timer = timers.iter().find(|timer| timer.is_about(Purpose::Wait, wait_id));
    if let Some(timer_id) = timer.map(|timer| timer.timer_id.clone()) {
        current.add(execution, Effect::TimerCancelled(TimerRef { timer_id }));
    }
}
