//! A task that gave up runs again, and what its failure had left is handled after all.
//!
//! Both are handled under another event's number: what is handled was published before, so its effects are recorded
//! with the command, or with a remark of the engine.

use std::collections::VecDeque;
use std::sync::Arc;

use super::admit::{self, Verdict};
use super::branch::ENGINE;
use super::{Action, Current, Notice, Step, TaskRef, close, handle, publication};
use crate::channel::Channel;
use crate::effect::{Effect, PendingRef, Redriven};
use crate::error_code::ErrorCode;
use crate::event::Event;
use crate::execution::{Execution, Life, Queued};
use crate::inbound::{Inbound, Refusal};
use crate::message_class::MessageClass;
use crate::redrive::{self, Request};
use crate::status::WorkflowStatus;

/// Judges a command to run a task again.
///
/// Of an execution that ended otherwise than by a failure there may be no more than a stub: what is said of it must not
/// depend on it.
pub(super) fn judge(execution: &Execution, inbound: &Inbound, id: &[u8; 16], step: &Step) -> Verdict {
    let refuse = |code, message: String| Verdict::Refuse(Refusal::new(code, message));
    if let Life::Closed(stub) = execution.life
        && stub.status != WorkflowStatus::Failed
    {
        let seen = inbound.offset <= stub.applied_offset;
        return if seen { Verdict::Duplicate } else { Verdict::Reject(redrive::closed(stub.status)) };
    }
    let Some(context) = &execution.records.context else {
        return refuse(ErrorCode::ExecutionUnknown, format!("no execution {:?} is known", execution.id));
    };
    if inbound.offset <= context.applied_offset || context.has_input(id) {
        return Verdict::Duplicate;
    }
    if context.status == WorkflowStatus::Paused {
        return Verdict::Reject(format!("the execution is {}", context.status));
    }
    let request = match Request::of(&inbound.event) {
        Ok(request) => request,
        Err(refusal) => return Verdict::Refuse(refusal),
    };
    if let Err(reason) = redrive::allows(context, &request.task_id, &request.event.event_id) {
        return Verdict::Reject(reason);
    }
    let Some(workflow) = step.workflows.get(&context.workflow_id) else {
        return refuse(ErrorCode::WorkflowUnknown, format!("no router knows workflow {:?}", context.workflow_id));
    };
    if workflow.task_named(&request.task_id).is_none() {
        let message = format!("workflow {:?} has no task {:?} any more", workflow.id, request.task_id);
        return refuse(ErrorCode::EventInvalid, message);
    }
    Verdict::Take
}

/// Begins what needs another event to be recorded with: a command to run a task again, or an event left by a failure.
pub(super) fn begin(execution: &mut Execution, queued: Queued, step: &Step, actions: &mut Vec<Action>) {
    let current = match queued.input {
        Some(_) => again(execution, queued, step, actions),
        None => resume(execution, queued, step, actions),
    };
    execution.current = Some(Box::new(current));
    handle::next_task(execution, step, actions);
}

/// Is it one that [`begin`] begins?
pub(super) fn begins(queued: &Queued) -> bool {
    // What was published has a number already.
    queued.event.sequence > 0 || (queued.input.is_some() && queued.event.event_type == redrive::REQUESTED)
}

fn again(execution: &mut Execution, queued: Queued, step: &Step, actions: &mut Vec<Action>) -> Current {
    let Queued { event: mut command, depth, input, .. } = queued;
    handle::number(execution, Arc::make_mut(&mut command), step);
    let Ok(request) = Request::of(&command) else {
        // It was read when it was admitted.
        return Current::of_input(command, depth, input);
    };
    let Request { task_id, mut event } = request;
    number_as(&mut event, &command);
    if let Some(context) = execution.context() {
        // From the inbox it came without its place, where a wait or its parent gave it one.
        let known = context.processed.iter().rev().find(|processed| processed.event_id == event.event_id);
        if let Some(known) = known.filter(|_| event.scope.is_none()) {
            event.scope.clone_from(&known.scope);
            event.branch.clone_from(&known.branch);
        }
        event.correlation_id.get_or_insert_with(|| context.correlation_id.clone());
    }
    let late = match (&event.scope, &event.branch) {
        // A branch that is done is no reason not to run a task that is asked for.
        (Some(scope), Some(branch)) => admit::is_late(execution, scope, branch, step),
        _ => false,
    };
    let allowed = execution.context().is_some_and(|c| redrive::allows(c, &task_id, &event.event_id).is_ok());
    let workflow = execution.context().and_then(|context| step.workflows.get(&context.workflow_id));
    let task = workflow.filter(|_| allowed).and_then(|workflow| workflow.task_named(&task_id));
    let tasks: VecDeque<TaskRef> = task.map(|task| TaskRef(Arc::clone(task))).into_iter().collect();
    let mut current = Current { carrier: Some(command), late, ..Current::of_input(event, depth, input) };
    if !tasks.is_empty() {
        actions.push(Action::Notice(Notice::Redriven { task_id: task_id.clone() }));
        current.add(execution, Effect::Redriven(Redriven { task_id }));
    }
    current.tasks = tasks;
    current
}

fn resume(execution: &mut Execution, queued: Queued, step: &Step, actions: &mut Vec<Action>) -> Current {
    let Queued { mut event, depth, opens, .. } = queued;
    let ends_on = match (&opens, event.scope.clone(), event.branch.clone()) {
        (Some(opening), ..) => opening.ends_on.clone(),
        (None, Some(scope), Some(branch)) => {
            execution.load_branch(&scope, &branch, step.store).and_then(|record| record.ends_on.clone())
        }
        _ => None,
    };
    let mut remark = event.follow_up(redrive::RESUMED);
    remark.event_id = publication::made_id(execution, &event, redrive::RESUMED);
    remark.channel = Channel::SystemEvents.as_str().to_owned();
    remark.message_class = MessageClass::State.as_str().to_owned();
    remark.source = Some(ENGINE.to_owned());
    remark.occurred_at = step.now;
    remark.payload = redrive::resumed_payload(&event, ends_on.as_ref() == Some(&event.event_type));
    handle::number(execution, &mut remark, step);
    number_as(Arc::make_mut(&mut event), &remark);
    let taken = PendingRef { event_id: event.event_id.clone(), depth };
    let mut current = Current { carrier: Some(Arc::new(remark)), ..Current::new(event, depth) };
    current.add(execution, Effect::PendingTaken(taken));
    let place = Arc::clone(&current.event);
    let late = place.place().is_some_and(|(scope, branch)| admit::is_late(execution, scope, branch, step));
    if late {
        current.come_late(execution, actions);
    }
    if let Some(opening) = opens {
        handle::open_branch(execution, &mut current, opening, step);
    }
    if depth > step.limits.chain_max_depth as i32 {
        current.closing = Some(close::chain_exceeded(step));
    } else if !late {
        handle::route(execution, &mut current, step);
    }
    current
}

/// What is handled once more, or after all, takes the number of the event that is published in its place: ids that
/// derive from it are new.
pub(super) fn number_as(event: &mut Event, published: &Event) {
    event.sequence = published.sequence;
    event.recorded_at = published.recorded_at;
    event.execution_id.clone_from(&published.execution_id);
    event.workflow_id.clone_from(&published.workflow_id);
    event.workflow_version.clone_from(&published.workflow_version);
}
