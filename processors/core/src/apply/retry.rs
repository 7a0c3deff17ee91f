//! A task that failed is tried again, after a delay, on the same event.
//!
//! The event was published with what its other tasks did: the attempt is recorded with an event of its own, as that of a
//! redrive is. Meanwhile the execution goes on.

use std::sync::Arc;

use serde_json::json;

use super::branch::ENGINE;
use super::redrive::number_as;
use super::{Action, Attempt, Current, Notice, Step, TaskRef, admit, handle, outcome, publication};
use crate::channel::Channel;
use crate::effect::Effect;
use crate::error_code::ErrorCode;
use crate::event::{Entity, Event};
use crate::execution::{Execution, kept_bytes};
use crate::identity;
use crate::json::Json;
use crate::limits::{TIMER_DELAY_MAX_MS, TIMERS_MAX};
use crate::message_class::MessageClass;
use crate::redrive::resumed_payload;
use crate::retry::{SCHEDULED, STARTED};
use crate::status::TaskStatus;
use crate::task::{Task, TaskFailure};
use crate::timer::{Purpose, Timer};
use crate::timestamp::rfc3339;

/// Sets the timer of the next attempt, where there is one. Where the execution has no room for it there is none.
pub(super) fn schedule(
    execution: &mut Execution,
    current: &mut Current,
    task: &dyn Task,
    failure: &TaskFailure,
    step: &Step,
    actions: &mut Vec<Action>,
) -> bool {
    let policy = task.retry_policy();
    let attempt = current.attempt.number;
    if i64::from(attempt) >= i64::from(policy.max_attempts) || !policy.is_retryable(failure) {
        return false;
    }
    let event = &current.event;
    let task_id = task.task_id();
    let maker = format!("retry/{task_id}");
    let sequence = event.sequence.max(0) as usize;
    let timer_id =
        identity::derived_id(&execution.id, &event.event_id, current.attempt.redrive, &maker, attempt, sequence);
    let delay_ms = policy.delay_ms(attempt, &timer_id);
    let since = current.attempt.since.unwrap_or(step.now);
    let due_at = step.now.saturating_add(delay_ms.min(TIMER_DELAY_MAX_MS) as i64 * 1000);
    let total = policy.total_timeout.map(|total| i64::try_from(total.as_micros()).unwrap_or(i64::MAX));
    if total.is_some_and(|total| due_at - since > total) {
        return false;
    }
    let timer = Timer {
        reference: Some(task_id.to_owned()),
        event_id: Some(event.event_id.clone()),
        attempt: attempt + 1,
        redrive: current.attempt.redrive as i32,
        since: Some(since),
        ..Timer::new(timer_id.clone(), Purpose::Retry, due_at)
            .in_branch(event.scope.as_deref(), event.branch.as_deref())
    };
    if !has_room(execution, &timer, event, step) {
        return false;
    }
    execution.timer_events.insert(timer_id.clone(), Arc::clone(event));
    current.retries += 1;
    current.add(execution, Effect::TimerSet(Box::new(timer)));
    let mut scheduled = remark(execution, current, SCHEDULED, task_id, step);
    scheduled.attempt = attempt + 1;
    scheduled.status = Some(TaskStatus::RetryScheduled.as_str().to_owned());
    scheduled.payload = Some(Json::from(&json!({
        "task_id": task_id, "attempt": attempt + 1, "max_attempts": policy.max_attempts, "delay_ms": delay_ms,
        "due_at": rfc3339(due_at), "timer_id": timer_id,
    })));
    let mut failed = remark(execution, current, "task.failed", task_id, step);
    failed.status = Some(TaskStatus::Failed.as_str().to_owned());
    failed.error = Some(outcome::failure_error(failure, true, false));
    current.remarks.extend([failed, scheduled]);
    actions.push(Action::Notice(Notice::RetryScheduled { task_id: task_id.to_owned() }));
    true
}

fn has_room(execution: &mut Execution, timer: &Timer, event: &Event, step: &Step) -> bool {
    let data = execution.data_bytes_at_most();
    let kept = execution.kept_bytes() + kept_bytes(event);
    execution.context().is_some_and(|context| {
        let bytes = data + kept + context.bytes_beside_data() + timer.bytes();
        context.timers.len() < TIMERS_MAX && bytes <= step.limits.context_max_bytes
    })
}

/// An event of the engine about a task's attempt at the current event.
pub(super) fn remark(execution: &Execution, current: &Current, event_type: &str, task_id: &str, step: &Step) -> Event {
    let mut remark = current.event.follow_up(event_type);
    remark.event_id = publication::made_id(execution, &current.event, &format!("{event_type}/{task_id}"));
    remark.channel = Channel::TaskEvents.as_str().to_owned();
    remark.message_class = MessageClass::State.as_str().to_owned();
    remark.occurred_at = step.now;
    remark.attempt = current.attempt.number;
    remark.entities.insert("task".to_owned(), Entity { id: Some(task_id.to_owned()), ..Entity::default() });
    remark
}

/// The delay is over: the task runs on the event that is kept with the timer, unless the event's branch is done.
pub(super) fn fire(
    execution: &mut Execution,
    timer: &Timer,
    mut event: Arc<Event>,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let Some(task_id) = &timer.reference else { return };
    let place = event.place();
    if place.is_some_and(|(scope, branch)| admit::is_late(execution, scope, branch, step)) {
        return;
    }
    let record = place.and_then(|(scope, branch)| execution.records.branches.get(scope, branch));
    let ends_on = record.and_then(|record| record.ends_on.as_ref());
    let mut started = event.follow_up(STARTED);
    started.payload = resumed_payload(&event, ends_on == Some(&event.event_type));
    started.event_id = identity::derived_id(&execution.id, &timer.timer_id, 0, STARTED, timer.attempt, 0);
    started.channel = Channel::TaskEvents.as_str().to_owned();
    started.message_class = MessageClass::State.as_str().to_owned();
    started.source = Some(ENGINE.to_owned());
    started.occurred_at = step.now;
    started.attempt = timer.attempt;
    started.entities.insert("task".to_owned(), Entity { id: Some(task_id.clone()), ..Entity::default() });
    handle::number(execution, &mut started, step);
    number_as(Arc::make_mut(&mut event), &started);
    let attempt = Attempt { number: timer.attempt, redrive: timer.redrive.max(0) as u32, since: timer.since };
    let mut current = Current { carrier: Some(Arc::new(started)), attempt, ..Current::new(event, 0) };
    let workflow = execution.context().and_then(|context| step.workflows.get(&context.workflow_id));
    match workflow.and_then(|workflow| workflow.task_named(task_id)) {
        Some(task) => current.tasks.push_back(TaskRef(task.clone())),
        None => {
            let message = "the workflow has no task of this name any more".to_owned();
            let failure = TaskFailure { code: ErrorCode::TaskFailed, task_code: None, message };
            outcome::give_up(execution, &mut current, task_id, failure, step, actions);
        }
    }
    execution.root_changed = true;
    execution.current = Some(Box::new(current));
    handle::next_task(execution, step, actions);
}
