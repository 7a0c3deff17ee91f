//! An execution ends, or comes to a standstill.

use std::sync::Arc;

use super::{Action, Closing, Current, Notice, Step, admit, branch::ENGINE, child, cut, publication, reply};
use crate::channel::Channel;
use crate::context::Stub;
use crate::effect::{Closed, Effect, PendingRef};
use crate::error_code::ErrorCode;
use crate::event::{Event, EventError};
use crate::execution::{Execution, Life, Queued};
use crate::message_class::MessageClass;
use crate::status::WorkflowStatus;

/// The execution has run into a limit.
pub(super) fn limit_exceeded(message: String) -> Closing {
    Closing {
        status: WorkflowStatus::LimitExceeded,
        result: None,
        error: Some(EventError {
            message,
            code: Some(ErrorCode::LimitExceeded.as_str().to_owned()),
            ..EventError::default()
        }),
    }
}

/// The events of a chain would go on for ever.
pub(super) fn chain_exceeded(step: &Step) -> Closing {
    let depth_max = step.limits.chain_max_depth;
    limit_exceeded(format!("more than {depth_max} events in a row, each emitted by the one before it"))
}

/// Ends the execution with the event that is being handled.
pub(super) fn close(
    execution: &mut Execution,
    mut current: Box<Current>,
    closing: Closing,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let cause = current.event.as_ref().clone();
    let emitted = std::mem::take(&mut current.emitted);
    let remarks = std::mem::take(&mut current.remarks);
    let resumable = current.failed && closing.status == WorkflowStatus::Failed;
    publication::publish(execution, current, actions);
    for remark in remarks {
        publication::publish_remark(execution, remark, step, Vec::new(), actions);
    }
    for queued in emitted {
        execution.push(queued);
    }
    end_as(execution, &cause, closing, resumable, step, actions);
}

/// Publishes what was decided but not handled, turns away what came in and was not handled, and tells the end last.
pub(super) fn end(execution: &mut Execution, cause: &Event, closing: Closing, step: &Step, actions: &mut Vec<Action>) {
    end_as(execution, cause, closing, false, step, actions);
}

/// The same; where it is `resumable`, what is left stays in the record, so that a task which gave up can run again and
/// the rest goes on.
fn end_as(
    execution: &mut Execution,
    cause: &Event,
    closing: Closing,
    resumable: bool,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let (mut left, mut unhandled_inputs) = (Vec::new(), Vec::new());
    while let Some(queued) = execution.pop() {
        match queued.input {
            None => left.push(queued),
            Some(input) => unhandled_inputs.push((queued.event, input)),
        }
    }
    let before_start = std::mem::take(&mut execution.before_start);
    for early in before_start.into_iter().chain(std::mem::take(&mut execution.early)) {
        unhandled_inputs.extend(early.queued.input.map(|input| (early.queued.event, input)));
    }
    let outgrown = if resumable { cut::outgrown_by(execution, &left, step) } else { None };
    let resumable = resumable && outgrown.is_none();
    let closing = outgrown.map_or(closing, limit_exceeded);
    for queued in &mut left {
        publish_left(execution, queued, step, actions);
    }
    if let Some(answer) = reply::at_end(execution, cause, &closing, step) {
        publication::publish_remark(execution, answer, step, Vec::new(), actions);
    }
    let Some(context) = &execution.records.context else { return };
    let workflow_id = context.workflow_id.clone();
    let micros = step.now - context.created_at;
    let event_type = match closing.status {
        WorkflowStatus::Success => "workflow.completed",
        WorkflowStatus::LimitExceeded => "workflow.limit_exceeded",
        WorkflowStatus::Canceled => "workflow.canceled",
        _ => "workflow.failed",
    };
    child::at_end(execution, &closing, step, actions);
    let mut event = system_event(execution, cause, event_type, step);
    event.correlation_id = Some(context.correlation_id.clone());
    event.status = Some(closing.status.as_str().to_owned());
    event.payload = closing.result;
    event.error = closing.error;
    let mut effects = Vec::new();
    if resumable {
        effects.extend(keep(execution, left));
    }
    effects.push(Effect::Closed(Closed { status: closing.status, resumable }));
    publication::publish_remark(execution, event, step, effects, actions);
    publication::release(execution, actions);
    if let Some(context) = &execution.records.context {
        execution.life = Life::Closed(Stub::of(context));
    }
    actions.push(Action::Notice(Notice::Closed { workflow_id, status: closing.status, micros }));
    for (event, input) in unhandled_inputs {
        actions.push(admit::rejection(
            execution,
            &event,
            &input,
            "the execution closed before this event was handled",
            step,
        ));
    }
}

/// Publishes what was decided and is not handled, once; it takes the number that it is published under.
fn publish_left(execution: &mut Execution, queued: &mut Queued, step: &Step, actions: &mut Vec<Action>) {
    if queued.event.sequence > 0 {
        return;
    }
    publication::publish_remark(execution, queued.event.as_ref().clone(), step, Vec::new(), actions);
    if let Some((published, _)) = &execution.held {
        let event = Arc::make_mut(&mut queued.event);
        event.sequence = published.sequence;
        event.recorded_at = published.recorded_at;
    }
}

/// Queues again what is left, and says what of it the log does not tell yet.
fn keep(execution: &mut Execution, left: Vec<Queued>) -> Option<Effect> {
    let mut added = Vec::new();
    for mut queued in left {
        if !std::mem::replace(&mut queued.logged, true) {
            added.push(PendingRef { event_id: queued.event.event_id.clone(), depth: queued.depth });
        }
        execution.push(queued);
    }
    (!added.is_empty()).then_some(Effect::PendingAdded(added))
}

/// Nothing is left to do and nothing is waited for: say so, once until something changes.
pub(super) fn stalled(execution: &mut Execution, cause: &Event, step: &Step, actions: &mut Vec<Action>) {
    let event = system_event(execution, cause, "workflow.stalled", step);
    if let Some(context) = &execution.records.context {
        actions.push(Action::Notice(Notice::Stalled { workflow_id: context.workflow_id.clone() }));
    }
    publication::publish_remark(execution, event, step, vec![Effect::Stalled {}], actions);
}

/// An event about the execution as a whole, caused by `cause`.
fn system_event(execution: &Execution, cause: &Event, event_type: &str, step: &Step) -> Event {
    let mut event = cause.follow_up(event_type);
    event.event_id = publication::made_id(execution, cause, event_type);
    event.channel = Channel::SystemEvents.as_str().to_owned();
    event.message_class = MessageClass::State.as_str().to_owned();
    event.source = Some(ENGINE.to_owned());
    event.occurred_at = step.now;
    event.scope = None;
    event.branch = None;
    event
}
