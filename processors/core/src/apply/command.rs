//! Commands to an execution: they are carried out when they come, before anything that is pending.

use std::sync::Arc;

use serde_json::{Value, json};

use super::admit::Verdict;
use super::branch::ENGINE;
use super::{Action, Closing, Current, Step, child, close, early, handle, publication, wait};
use crate::channel::Channel;
use crate::command::WorkflowCommand;
use crate::effect::{ChildRef, Effect, StatusChanged, WaitTaken};
use crate::error_code::ErrorCode;
use crate::event::{Event, EventError};
use crate::execution::{Execution, Life, Queued};
use crate::inbound::{Inbound, Refusal};
use crate::json::Json;
use crate::limits::cut_message;
use crate::message_class::MessageClass;
use crate::redrive::closed;
use crate::status::WorkflowStatus;

/// Judges a command.
pub(super) fn judge(execution: &Execution, inbound: &Inbound, id: &[u8; 16], command: WorkflowCommand) -> Verdict {
    if let Life::Closed(stub) = execution.life {
        let seen = inbound.offset <= stub.applied_offset;
        return if seen { Verdict::Duplicate } else { Verdict::Reject(closed(stub.status)) };
    }
    let Some(context) = execution.context().filter(|_| execution.life == Life::Open) else {
        let message = format!("no execution {:?} is known", execution.id);
        return Verdict::Refuse(Refusal::new(ErrorCode::ExecutionUnknown, message));
    };
    if inbound.offset <= context.applied_offset || context.has_input(id) {
        return Verdict::Duplicate;
    }
    if command.is_legal(context.status) {
        Verdict::Take
    } else {
        Verdict::Reject(format!("the execution is {}", context.status))
    }
}

/// Carries out a command that was taken.
pub(super) fn carry_out(
    execution: &mut Execution,
    inbound: Inbound,
    command: WorkflowCommand,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let mut event = inbound.event;
    handle::number(execution, &mut event, step);
    if let Some(context) = execution.context() {
        event.correlation_id.get_or_insert_with(|| context.correlation_id.clone());
    }
    let reason = reason(&event);
    let current = Current::of_input(event.clone(), 0, Some(inbound.input));
    publication::publish(execution, Box::new(current), actions);
    let status = match command {
        WorkflowCommand::Cancel => {
            let message = reason.as_ref().map_or_else(|| "canceled".to_owned(), |reason| format!("canceled: {reason}"));
            let error = EventError { is_final: Some(true), message: cut_message(&message), ..EventError::default() };
            let closing = Closing { status: WorkflowStatus::Canceled, result: said(reason), error: Some(error) };
            close::end(execution, &event, closing, step, actions);
            return;
        }
        WorkflowCommand::Pause => WorkflowStatus::Paused,
        WorkflowCommand::Resume => execution.status_at_work(),
    };
    let mut told = event.follow_up(command.done());
    told.event_id = publication::made_id(execution, &event, command.done());
    told.channel = Channel::SystemEvents.as_str().to_owned();
    told.message_class = MessageClass::State.as_str().to_owned();
    told.source = Some(ENGINE.to_owned());
    told.occurred_at = step.now;
    told.status = Some(status.as_str().to_owned());
    told.payload = said(reason);
    publication::publish_remark(execution, told, step, vec![Effect::Status(StatusChanged { status })], actions);
}

fn reason(command: &Event) -> Option<String> {
    match command.payload_value().get("reason") {
        Some(Value::String(reason)) => Some(reason.clone()),
        _ => None,
    }
}

fn said(reason: Option<String>) -> Option<Json> {
    reason.map(|reason| Json::from(&json!({ "reason": reason })))
}

/// While the execution is paused an input is published under its number, and takes the place of a wait that it answers;
/// it is routed once the execution is resumed. An answer that no wait is open for is kept as ever, and a log is only
/// published.
pub(super) fn park(execution: &mut Execution, inbound: Inbound, step: &Step, actions: &mut Vec<Action>) {
    let queued =
        Queued { event: Arc::new(inbound.event), depth: 0, input: Some(inbound.input), opens: None, logged: false };
    let Some(Queued { mut event, input, .. }) = early::keep(execution, queued, step) else { return };
    handle::number(execution, Arc::make_mut(&mut event), step);
    let is_log = event.message_class == MessageClass::Log.as_str();
    let place = handle::place(execution, Arc::make_mut(&mut event), !is_log, step);
    let mut current = Box::new(Current::of_input(Arc::clone(&event), 0, input));
    let mut told = None;
    if let Some(child) = place.ends {
        told = child::told(execution, &event, &child, step);
        current.add(execution, Effect::ChildEnded(ChildRef { execution_id: child.execution_id }));
    }
    if let Some(wait_id) = place.answers {
        wait::answered(execution, &mut current, &wait_id);
        current.add(execution, Effect::WaitTaken(WaitTaken { wait_id }));
    }
    publication::publish(execution, current, actions);
    if let Some(told) = told {
        execution.push(told);
    } else if !is_log {
        execution.push(Queued { event, depth: 0, input: None, opens: None, logged: false });
    }
}
