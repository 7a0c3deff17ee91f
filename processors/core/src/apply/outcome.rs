//! What a task decided is folded in; after the last task the event is finished and published.

use super::budget::Handling;
use super::decision::decide;
use super::publication::{publish, publish_remark};
use super::{
    Action, Closing, Current, DeadLetter, Step, branch, budget, child, close, early, handle, reply, retry,
    system_error, unstarted,
};
use crate::budget::Usage;
use crate::context::ProcessedEvent;
use crate::effect::{Effect, StatusChanged, tried};
use crate::error_code::ErrorCode;
use crate::event::{EventError, Micros};
use crate::execution::Execution;
use crate::limits::{PROCESSED_MAX, cut_message};
use crate::redrive::GAVE_UP;
use crate::retry::PERMANENTLY_FAILED;
use crate::status::{TaskStatus, WorkflowStatus};
use crate::task::{OnFailure, Task, TaskFailure, TaskRun};
use crate::timer::Purpose;

pub(super) fn fold(execution: &mut Execution, run: TaskRun, step: &Step, actions: &mut Vec<Action>) {
    let Some(mut current) = execution.current.take() else { return };
    let Some(task) = current.running.take() else {
        execution.current = Some(current);
        return;
    };
    let task_id = task.0.task_id();
    let (agent, took_ms) = (task.0.agent(), run.duration_ms);
    current.duration_ms += took_ms;
    let data_bytes = execution.data_bytes_at_most();
    let decided = match run.result {
        Ok((outcome, after)) => decide(execution, &current, task_id, (outcome, after), data_bytes, step),
        Err(failure) => Err(failure),
    };
    match decided {
        Ok(mut decision) => {
            current.add_handler(task_id);
            let usage = decision.usage.take();
            decision.take_effect(execution, &mut current, step, actions);
            let usage = usage.or_else(|| agent.map(|_| Usage::default()));
            budget::add(execution, &mut current, task_id, Handling { agent, usage, took_ms }, step);
        }
        Err(failure) => {
            if fail(execution, &mut current, task.0.as_ref(), failure, step, actions) {
                budget::add(execution, &mut current, task_id, Handling { agent, usage: None, took_ms }, step);
            }
        }
    }
    execution.current = Some(current);
    handle::next_task(execution, step, actions);
}

pub(super) fn error_of(code: &str, message: &str) -> EventError {
    EventError {
        message: cut_message(message),
        code: Some(cut_message(code)),
        retryable: Some(false),
        is_final: Some(true),
        ..EventError::default()
    }
}

/// A task failed: nothing it did stands. It is tried again, or gives up; returns whether it gave up.
fn fail(
    execution: &mut Execution,
    current: &mut Current,
    task: &dyn Task,
    failure: TaskFailure,
    step: &Step,
    actions: &mut Vec<Action>,
) -> bool {
    if retry::schedule(execution, current, task, &failure, step, actions) {
        return false;
    }
    current.add_handler(task.task_id());
    let gives_up = GivesUp { task_id: task.task_id(), several: task.retry_policy().max_attempts > 1 };
    give_up_after(execution, current, gives_up, failure, task.on_failure(), step, actions);
    true
}

/// A task gives up that can't be tried.
pub(super) fn give_up(
    execution: &mut Execution,
    current: &mut Current,
    task_id: &str,
    failure: TaskFailure,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    current.add_handler(task_id);
    let gives_up = GivesUp { task_id, several: true };
    give_up_after(execution, current, gives_up, failure, OnFailure::FailExecution, step, actions);
}

/// A task that gives up. Where it had `several` attempts that is told by itself.
struct GivesUp<'a> {
    task_id: &'a str,
    several: bool,
}

/// A task gives up: it is reported, with a dead letter, and where the task does not say otherwise its execution fails.
fn give_up_after(
    execution: &mut Execution,
    current: &mut Current,
    GivesUp { task_id, several }: GivesUp<'_>,
    failure: TaskFailure,
    on_failure: OnFailure,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let Some(context) = execution.context() else { return };
    let status =
        if failure.code == ErrorCode::TaskTimedOut { TaskStatus::TimedOut } else { TaskStatus::PermanentlyFailed };
    let attempted = tried(context, task_id, status, current.attempt.number);
    let error = failure_error(&failure, false, true);
    current.error = Some(error.clone());
    current.add(execution, Effect::Task(attempted));
    let mut failed = retry::remark(execution, current, "task.failed", task_id, step);
    let told = if several && status == TaskStatus::PermanentlyFailed { TaskStatus::Failed } else { status };
    failed.status = Some(told.as_str().to_owned());
    failed.error = Some(error.clone());
    current.remarks.push(failed);
    if several {
        let mut gave_up = retry::remark(execution, current, PERMANENTLY_FAILED, task_id, step);
        gave_up.status = Some(TaskStatus::PermanentlyFailed.as_str().to_owned());
        gave_up.error = Some(error.clone());
        current.remarks.push(gave_up);
    }
    current.remarks.push(system_error::of(execution, current, task_id, &error, step));
    actions.push(Action::DeadLetter(Box::new(DeadLetter {
        code: failure.code,
        message: format!("task {task_id}: {}", cut_message(&failure.message)),
        input: None,
        // The record of a command is not the event that it speaks of.
        event_input: current.input.as_ref().filter(|_| current.carrier.is_none()).map(|input| input.position.clone()),
        event: current.event.as_ref().clone(),
        task_id: Some(task_id.to_owned()),
        attempts: current.attempt.number,
        redrive: current.attempt.redrive,
        original: None,
    })));
    if on_failure == OnFailure::Report && failure.code != ErrorCode::LimitExceeded {
        return;
    }
    current.failed = true;
    if current.closing.is_none() {
        let status = if failure.code == ErrorCode::LimitExceeded {
            WorkflowStatus::LimitExceeded
        } else {
            WorkflowStatus::Failed
        };
        current.closing = Some(Closing { status, result: None, error: Some(error) });
    }
}

/// A task's failure, as an event tells it.
pub(super) fn failure_error(failure: &TaskFailure, retryable: bool, is_final: bool) -> EventError {
    EventError {
        exception_type: failure.task_code.as_deref().map(cut_message),
        retryable: Some(retryable),
        is_final: Some(is_final),
        ..error_of(failure.code.as_str(), &failure.message)
    }
}

/// After the last task: branches and scopes move on, the status follows, the event is published.
pub(super) fn finish(execution: &mut Execution, mut current: Box<Current>, step: &Step, actions: &mut Vec<Action>) {
    if current.is_log() && current.closing.is_none() {
        remember(execution, &current, step.now);
        publish(execution, current, actions);
        return;
    }
    branch::settle(execution, &mut current, step, actions);
    child::hold_end(execution, &mut current);
    reply::answer(execution, &mut current, step);
    remember(execution, &current, step.now);
    if let Some(closing) = current.closing.take() {
        close::close(execution, current, closing, step, actions);
        return;
    }
    for queued in std::mem::take(&mut current.emitted) {
        execution.push(queued);
    }
    early::deliver(execution);
    unstarted::release(execution, step, actions);
    let stalls = settle_status(execution, &mut current);
    // Only a stall needs the event once more: otherwise it is moved on, not copied.
    let stalled_by = stalls.then(|| current.event.clone());
    let remarks = std::mem::take(&mut current.remarks);
    publish(execution, current, actions);
    for remark in remarks {
        publish_remark(execution, remark, step, Vec::new(), actions);
    }
    if let Some(event) = stalled_by {
        close::stalled(execution, &event, step, actions);
    }
}

fn remember(execution: &mut Execution, current: &Current, now: Micros) {
    let Some(context) = &mut execution.records.context else { return };
    if context.processed.len() >= PROCESSED_MAX {
        context.processed.remove(0);
    }
    context.processed.push(ProcessedEvent {
        event_id: current.event.event_id.clone(),
        event_type: current.event.event_type.clone(),
        processed_at: now,
        processed_by: current.handled_by.clone(),
        result: if current.error.is_some() { GAVE_UP } else { "SUCCESS" }.into(),
        scope: current.event.scope.clone(),
        branch: current.event.branch.clone(),
    });
}

/// WAITING while a wait is open and no task is to be tried again, else RUNNING; where the work is done elsewhere, as it
/// is reported. Returns whether the execution has stalled.
fn settle_status(execution: &mut Execution, current: &mut Current) -> bool {
    let Some(context) = &execution.records.context else { return false };
    if context.tracked.is_some() {
        return false;
    }
    let status = execution.status_at_work();
    // That its time is limited is nothing to wait for.
    let has_timers = context.timers.iter().any(|timer| timer.known_purpose() != Some(Purpose::WallTime));
    let idle = context.waits.is_empty() && context.children.is_empty() && !has_timers;
    let stalls = !context.stalled && idle && execution.queue.is_empty();
    if context.status != status {
        current.add(execution, Effect::Status(StatusChanged { status }));
    }
    stalls
}
