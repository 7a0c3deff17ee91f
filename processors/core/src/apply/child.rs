//! Children: started with the step that decides it, told of its end, given up or waited for at the end of what started
//! them.

use std::sync::Arc;

use serde_json::json;

use super::branch::ENGINE;
use super::decision::{invalid, name, returned};
use super::emission::Emission;
use super::{Action, Closing, Current, Step, publication};
use crate::channel::Channel;
use crate::child::{self, ENDED, NewChild, ParentClosePolicy};
use crate::command::WorkflowCommand;
use crate::context::{Child, Context, Parent};
use crate::effect::{Effect, EndHeld};
use crate::error_code::ErrorCode;
use crate::event::{Event, EventError};
use crate::execution::{Execution, Queued};
use crate::identity;
use crate::inbound::{Refusal, STARTED, is_reserved};
use crate::json::Json;
use crate::limits::{CHILD_DEPTH_MAX, cut_message};
use crate::message_class::MessageClass;
use crate::status::WorkflowStatus;
use crate::task::TaskFailure;

impl Emission<'_> {
    /// A child, and the start for its inbox partition.
    pub(super) fn child(&mut self, context: &Context, new: &NewChild) -> Result<(Child, Event), TaskFailure> {
        let id = self.id();
        let depth = context.parent.as_ref().map_or(0, |parent| parent.depth) + 1;
        if depth > CHILD_DEPTH_MAX {
            let message = format!("children of children, {depth} deep: at most {CHILD_DEPTH_MAX} are allowed");
            return Err(TaskFailure { code: ErrorCode::LimitExceeded, task_code: None, message });
        }
        let execution_id = new.execution_id.clone().unwrap_or_else(|| id.clone());
        identity::check_execution_id(&execution_id).map_err(|what| invalid(format!("start_child: {what}")))?;
        if execution_id == context.execution_id || context.children.iter().any(|c| c.execution_id == execution_id) {
            return Err(invalid(format!(
                "start_child: {execution_id:?} is this execution's own id, or an open child's"
            )));
        }
        let payload = returned("start_child.payload", &new.payload, self.step)?;
        if !payload.as_ref().is_none_or(Json::is_object_or_null) {
            return Err(invalid("start_child.payload becomes the child's data: it must be an object"));
        }
        let cause = &self.current.event;
        let correlation_id = cause.correlation_id.clone().unwrap_or_else(|| context.correlation_id.clone());
        let child = Child {
            execution_id: execution_id.clone(),
            workflow_id: name("start_child.workflow_id", &new.workflow_id)?,
            completed_event: told_type("start_child.completed_event", &new.completed_event)?,
            failed_event: told_type("start_child.failed_event", &new.failed_event)?,
            parent_close: new.parent_close,
            correlation_id: correlation_id.clone(),
            scope: cause.scope.clone(),
            branch: cause.branch.clone(),
        };
        let mut start = Event {
            event_id: id,
            execution_id,
            workflow_id: Some(child.workflow_id.clone()),
            channel: Channel::SystemEvents.as_str().to_owned(),
            message_class: MessageClass::State.as_str().to_owned(),
            source: Some(self.task_id.to_owned()),
            occurred_at: self.step.now,
            payload,
            correlation_id: Some(correlation_id),
            workflow_version: None,
            scope: None,
            branch: None,
            ..cause.follow_up(STARTED)
        };
        child::name_parent(&mut start, &Parent { execution_id: context.execution_id.clone(), depth });
        Ok((child, start))
    }
}

/// The type of the event that tells a child's end: a task's own, or one of the engine's for children.
fn told_type(what: &str, event_type: &str) -> Result<String, TaskFailure> {
    if is_reserved(event_type) && ![child::COMPLETED, child::FAILED].contains(&event_type) {
        return Err(invalid(format!("{what} {event_type:?} is the engine's own and can't tell the end of a child")));
    }
    name(what, event_type)
}

/// The child whose end an event from outside tells, where it is one of this execution's.
pub(super) fn ended<'a>(context: &'a Context, event: &Event) -> Option<&'a Child> {
    let id = child::child_of(event).filter(|_| event.event_type == ENDED)?;
    context.children.iter().find(|child| child.execution_id == id)
}

/// Cancels what children of this branch, or of any branch of the scope, shall not outlive it. The fold of its end
/// forgets them all.
pub(super) fn give_up(
    execution: &Execution,
    scope: &str,
    branch: Option<&str>,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let children = execution.context().map_or(&[][..], |context| &context.children);
    for child in children.iter().filter(|child| child.is_of(scope, branch)) {
        actions.extend(canceling(execution, child, "what started it is done", step));
    }
}

/// The execution ends: its children are canceled that shall not outlive it, and its own parent is told.
pub(super) fn at_end(execution: &Execution, closing: &Closing, step: &Step, actions: &mut Vec<Action>) {
    let Some(context) = execution.context() else { return };
    let why = format!("its parent {} is {}", context.execution_id, closing.status);
    for child in &context.children {
        actions.extend(canceling(execution, child, &why, step));
    }
    if let Some(parent) = &context.parent {
        let mut told = answer(&context.execution_id, parent, context.sequence, step);
        told.status = Some(closing.status.as_str().to_owned());
        told.payload.clone_from(&closing.result);
        told.error.clone_from(&closing.error);
        actions.push(Action::Send(Box::new(told)));
    }
}

fn canceling(execution: &Execution, child: &Child, why: &str, step: &Step) -> Option<Action> {
    if child.parent_close == ParentClosePolicy::Abandon {
        return None;
    }
    let command = WorkflowCommand::Cancel.as_str();
    let command = Event {
        event_id: identity::derived_id(&execution.id, &child.execution_id, 0, command, 1, 0),
        execution_id: child.execution_id.clone(),
        channel: Channel::SystemEvents.as_str().to_owned(),
        message_class: MessageClass::Command.as_str().to_owned(),
        source: Some(ENGINE.to_owned()),
        payload: Some(Json::from(&json!({ "reason": why }))),
        ..Event::new(command, step.now)
    };
    Some(Action::Send(Box::new(command)))
}

/// Tells the parent that the child it wanted was refused: else it would wait for ever.
pub(super) fn refused(start: &Event, input: &str, refusal: &Refusal, step: &Step) -> Option<Action> {
    let parent = child::parent_of(start).filter(|_| start.event_type == STARTED)?;
    let mut told = answer(&start.execution_id, &parent, 0, step);
    told.event_id = identity::derived_id(&start.execution_id, input, 0, ENDED, 1, 0);
    told.status = Some(WorkflowStatus::Failed.as_str().to_owned());
    told.error = Some(EventError {
        message: cut_message(&refusal.message),
        code: Some(refusal.code.as_str().to_owned()),
        is_final: Some(true),
        ..EventError::default()
    });
    Some(Action::Send(Box::new(told)))
}

/// The event for the parent; what it says is still missing.
fn answer(child: &str, parent: &Parent, sequence: i64, step: &Step) -> Event {
    let mut told = Event {
        event_id: identity::derived_id(child, &parent.execution_id, 0, ENDED, 1, sequence.max(0) as usize),
        execution_id: parent.execution_id.clone(),
        channel: Channel::ActionResults.as_str().to_owned(),
        message_class: MessageClass::Result.as_str().to_owned(),
        source: Some(ENGINE.to_owned()),
        ..Event::new(ENDED, step.now)
    };
    child::name_child(&mut told, child);
    told
}

/// Holds an end back that a task decided, while children run for which it is to wait; the first one is kept. Once the
/// last of them has ended, and what that led to is handled, what was held back is the end.
pub(super) fn hold_end(execution: &mut Execution, current: &mut Current) {
    let Some(context) = execution.context() else { return };
    let waits = context.children.iter().any(|child| child.parent_close == ParentClosePolicy::Wait);
    let nothing_left = execution.queue.is_empty() && current.emitted.is_empty();
    let held = context.end.as_deref().and_then(|end| serde_json::from_str::<EndHeld>(end).ok());
    match (waits, held) {
        (true, held) => {
            let may_wait = |closing: &Closing| match closing.status {
                WorkflowStatus::Success => true,
                WorkflowStatus::Failed => !current.failed,
                _ => false,
            };
            let Some(Closing { status, result, error }) = current.closing.take_if(|closing| may_wait(closing)) else {
                return;
            };
            if held.is_none() {
                current.add(execution, Effect::EndHeld(Box::new(EndHeld { status, result, error })));
            }
        }
        (false, Some(EndHeld { status, result, error })) if current.closing.is_none() && nothing_left => {
            current.closing = Some(Closing { status, result, error });
        }
        (false, _) => {}
    }
}

/// The event that tells a child's end to the tasks, as the start of the child asked for it: caused by the one that came.
pub(super) fn told(execution: &Execution, ended: &Event, child: &Child, step: &Step) -> Option<Queued> {
    let event = Event {
        event_id: publication::made_id(execution, ended, &child.execution_id),
        channel: Channel::ActionResults.as_str().to_owned(),
        message_class: MessageClass::Result.as_str().to_owned(),
        source: Some(ENGINE.to_owned()),
        occurred_at: step.now,
        status: ended.status.clone(),
        payload: ended.payload.clone(),
        error: ended.error.clone(),
        ext: ended.ext.clone(),
        ..ended.follow_up(child.told_as(child::end_of(ended)?))
    };
    Some(Queued { event: Arc::new(event), depth: 0, input: None, opens: None, logged: false })
}

/// Does the current event tell a child's end that is no success?
pub(super) fn tells_failure(current: &Current) -> bool {
    let event = &current.event;
    current.input.is_none()
        && event.source.as_deref() == Some(ENGINE)
        && child::child_of(event).is_some()
        && event.status.as_deref() != Some(WorkflowStatus::Success.as_str())
}
