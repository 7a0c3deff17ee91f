//! Timers are set, cancelled, and fire.
//!
//! What a timer is for is told by its purpose: each has an arm in [`fire`], which is where a new one is added.

use std::sync::Arc;

use serde_json::json;

use super::branch::ENGINE;
use super::decision::{invalid, name};
use super::{Action, Current, Step, budget, early, publication, retry, scope_timeout, unstarted, wait};
use crate::channel::Channel;
use crate::effect::{Effect, TimerRef};
use crate::event::{Event, Micros};
use crate::execution::{Execution, Queued};
use crate::identity;
use crate::json::Json;
use crate::limits::TIMER_DELAY_MAX_MS;
use crate::message_class::MessageClass;
use crate::outcome::NewTimer;
use crate::task::TaskFailure;
use crate::timer::{FIRED, Purpose, Timer};
use crate::timestamp::rfc3339;

/// Is a timer due?
pub(super) fn is_due(execution: &Execution, now: Micros) -> bool {
    execution.timers().is_some_and(|(due, _)| due <= now)
}

/// The first timer that is due fires: `timer.fired` is published, and what it is for is done or queued. What came before
/// its wait, and has waited long enough, comes first.
pub(super) fn fire(execution: &mut Execution, step: &Step, actions: &mut Vec<Action>) {
    let expires = |execution: &mut Execution, actions: &mut Vec<Action>| {
        unstarted::expire(execution, step, actions) || early::expire(execution, step, actions)
    };
    if !is_due(execution, step.now) || expires(execution, actions) {
        return;
    }
    let timer = execution.context().and_then(|context| context.next_timer()).filter(|timer| timer.due_at <= step.now);
    let Some(timer) = timer.cloned() else { return };
    execution.handled_in_step += 1;
    let kept = execution.timer_events.remove(&timer.timer_id);
    let fired = fired(execution, &timer, kept.as_deref(), step);
    let effect = Effect::TimerFired(TimerRef { timer_id: timer.timer_id.clone() });
    publication::publish_remark(execution, fired, step, vec![effect], actions);
    match (timer.known_purpose(), kept) {
        (Some(Purpose::Event), Some(event)) => emit(execution, event, step),
        (Some(Purpose::Retry), Some(event)) => retry::fire(execution, &timer, event, step, actions),
        (Some(Purpose::Wait), kept) => wait::fire(execution, &timer, kept, step, actions),
        (Some(Purpose::Scope), _) => scope_timeout::fire(execution, &timer, step, actions),
        (Some(Purpose::WallTime), _) => budget::time_is_over(execution, step, actions),
        (Some(Purpose::Event | Purpose::Retry) | None, _) => {}
    }
}

/// The event is handled as one that a task emits now.
fn emit(execution: &mut Execution, mut event: Arc<Event>, step: &Step) {
    Arc::make_mut(&mut event).occurred_at = step.now;
    execution.push(Queued { event, depth: 0, input: None, opens: None, logged: false });
}

/// The event that tells of it. Its id derives from the timer's.
fn fired(execution: &Execution, timer: &Timer, kept: Option<&Event>, step: &Step) -> Event {
    let mut event = kept.map_or_else(Event::default, |kept| kept.follow_up(FIRED));
    if timer.known_purpose() != Some(Purpose::Retry) {
        // What it keeps is not published yet: what led to it did both.
        event.parent_event_id = kept.and_then(|kept| kept.parent_event_id.clone());
    }
    if let Some(context) = execution.context() {
        event.workflow_id = Some(context.workflow_id.clone());
        event.workflow_version.clone_from(&context.workflow_version);
        event.correlation_id.get_or_insert_with(|| context.correlation_id.clone());
    }
    event.event_type = FIRED.to_owned();
    event.event_id = identity::derived_id(&execution.id, &timer.timer_id, 0, FIRED, 1, 0);
    event.execution_id.clone_from(&execution.id);
    event.channel = Channel::SystemEvents.as_str().to_owned();
    event.message_class = MessageClass::State.as_str().to_owned();
    event.source = Some(ENGINE.to_owned());
    event.occurred_at = step.now;
    event.scope.clone_from(&timer.scope);
    event.branch.clone_from(&timer.branch);
    event.payload = Some(Json::from(&json!({
        "timer_id": timer.timer_id, "purpose": timer.purpose, "name": timer.name, "reference": timer.reference,
        "event_id": timer.event_id, "due_at": rfc3339(timer.due_at),
    })));
    event
}

/// A timer that a decision sets, with the event that it keeps.
pub(super) struct Setting {
    pub timer: Timer,
    pub event: Option<Arc<Event>>,
}

/// When a new timer is due.
pub(super) fn due_at(new: &NewTimer, now: Micros) -> Result<Micros, TaskFailure> {
    match (new.delay_ms, new.at) {
        (Some(delay_ms), None) => after(delay_ms, now),
        (None, Some(at)) if at <= after(TIMER_DELAY_MAX_MS, now)? => Ok(at),
        (None, Some(_)) => Err(too_late()),
        _ => Err(invalid(format!("timer {:?} needs either delay_ms or at", new.name))),
    }
}

/// So many milliseconds from now.
pub(super) fn after(delay_ms: u64, now: Micros) -> Result<Micros, TaskFailure> {
    if delay_ms > TIMER_DELAY_MAX_MS {
        return Err(too_late());
    }
    Ok(now.saturating_add(delay_ms as Micros * 1000))
}

fn too_late() -> TaskFailure {
    invalid(format!("a timer is set for more than {TIMER_DELAY_MAX_MS} ms, ten years, from now"))
}

/// The timers of these names in the branch of the current event, or outside of any branch of the execution.
pub(super) fn named<'a>(
    execution: &'a Execution,
    current: &'a Current,
    names: &'a [String],
) -> impl Iterator<Item = TimerRef> + 'a {
    let timers = execution.context().map_or(&[][..], |context| context.timers.as_slice());
    let is_meant = |timer: &&Timer| {
        timer.purpose == Purpose::Event.as_str()
            && timer.name.as_ref().is_some_and(|name| names.contains(name))
            && timer.scope == current.event.scope
            && timer.branch == current.event.branch
    };
    timers.iter().filter(is_meant).map(|timer| TimerRef { timer_id: timer.timer_id.clone() })
}

/// Checks the names of timers that a decision cancels.
pub(super) fn check_names(names: &[String]) -> Result<(), TaskFailure> {
    names.iter().try_for_each(|text| name("cancel_timer", text).map(drop))
}
