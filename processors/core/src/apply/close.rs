//! An execution ends, or comes to a standstill.

use super::{Action, Closing, Current, Notice, Step, admit, branch::ENGINE, outcome};
use crate::channel::Channel;
use crate::context::Stub;
use crate::effect::{Effect, StatusChanged};
use crate::error_code::ErrorCode;
use crate::event::{Event, EventError};
use crate::execution::{Execution, Life};
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

/// Ends the execution with the event that is being handled.
pub(super) fn close(
    execution: &mut Execution,
    mut current: Current,
    closing: Closing,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let cause = current.event.as_ref().clone();
    let emitted = std::mem::take(&mut current.emitted);
    let remarks = std::mem::take(&mut current.remarks);
    outcome::publish(execution, current, actions);
    for remark in remarks {
        outcome::publish_remark(execution, remark, step, Vec::new(), actions);
    }
    for queued in emitted {
        execution.push(queued);
    }
    end(execution, &cause, closing, step, actions);
}

/// Publishes what was decided but not handled, turns away what came in and was not handled, and tells the end last.
pub(super) fn end(execution: &mut Execution, cause: &Event, closing: Closing, step: &Step, actions: &mut Vec<Action>) {
    let mut unhandled_inputs = Vec::new();
    while let Some(queued) = execution.pop() {
        match queued.input {
            None => outcome::publish_remark(execution, *queued.event, step, Vec::new(), actions),
            Some(input) => unhandled_inputs.push((queued.event, input)),
        }
    }
    let Some(context) = &execution.records.context else { return };
    let workflow_id = context.workflow_id.clone();
    let micros = step.now - context.created_at;
    let event_type = match closing.status {
        WorkflowStatus::Success => "workflow.completed",
        WorkflowStatus::LimitExceeded => "workflow.limit_exceeded",
        _ => "workflow.failed",
    };
    let mut event = system_event(execution, cause, event_type, step);
    event.correlation_id = Some(context.correlation_id.clone());
    event.status = Some(closing.status.as_str().to_owned());
    event.payload = closing.result;
    event.error = closing.error;
    let closed = Effect::Closed(StatusChanged { status: closing.status });
    outcome::publish_remark(execution, event, step, vec![closed], actions);
    outcome::release(execution, actions);
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

/// Nothing is left to do and nothing is waited for: say so, once until something changes.
pub(super) fn stalled(execution: &mut Execution, cause: &Event, step: &Step, actions: &mut Vec<Action>) {
    let event = system_event(execution, cause, "workflow.stalled", step);
    if let Some(context) = &execution.records.context {
        actions.push(Action::Notice(Notice::Stalled { workflow_id: context.workflow_id.clone() }));
    }
    outcome::publish_remark(execution, event, step, vec![Effect::Stalled {}], actions);
}

/// An event about the execution as a whole, caused by `cause`.
fn system_event(execution: &Execution, cause: &Event, event_type: &str, step: &Step) -> Event {
    let mut event = cause.follow_up(event_type);
    event.event_id = outcome::made_id(execution, cause, event_type);
    event.channel = Channel::SystemEvents.as_str().to_owned();
    event.message_class = MessageClass::State.as_str().to_owned();
    event.source = Some(ENGINE.to_owned());
    event.occurred_at = step.now;
    event.scope = None;
    event.branch = None;
    event
}
