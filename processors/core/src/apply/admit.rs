//! An input arrives: duplicate, illegal, or queued.

use std::sync::Arc;

use serde_json::json;

use super::{Action, DeadLetter, Step, child, command, redrive, report, task_command, unstarted};
use crate::approval::{Approval, DECIDED};
use crate::budget::Budgets;
use crate::channel::Channel;
use crate::child::ENDED;
use crate::command::WorkflowCommand;
use crate::context::Context;
use crate::error_code::ErrorCode;
use crate::event::{Event, EventError};
use crate::execution::{Execution, Life, Queued};
use crate::identity;
use crate::inbound::{Inbound, InputRef, Refusal, STARTED};
use crate::json::Json;
use crate::message_class::MessageClass;
use crate::redrive::{REQUESTED, closed};
use crate::status::{BranchStatus, WorkflowStatus};

/// The field of a start that says what its execution may use up.
pub(super) const BUDGETS: &str = "budgets";

pub(super) enum Verdict {
    Take,
    /// To be kept until the execution starts.
    Keep,
    Duplicate,
    Reject(String),
    /// With what would be legal.
    RejectReport((String, Vec<String>)),
    Refuse(Refusal),
}

pub(super) fn admit(execution: &mut Execution, inbound: Inbound, step: &Step, actions: &mut Vec<Action>) {
    let id = inbound.id();
    let command = WorkflowCommand::named(&inbound.event.event_type);
    let verdict = match (command, execution.life) {
        (Some(command), _) => command::judge(execution, &inbound, &id, command),
        _ if inbound.event.event_type == REQUESTED => redrive::judge(execution, &inbound, &id, step),
        (None, Life::Unknown) => judge_unknown(execution, &inbound, &id, step),
        (None, Life::Closed(stub)) => {
            let start = report::opens(&inbound.event);
            if inbound.offset <= stub.applied_offset || (start && stub.started_by(&id)) {
                Verdict::Duplicate
            } else {
                Verdict::Reject(closed(stub.status))
            }
        }
        (None, Life::Open) => judge_open(execution, &inbound, &id, step),
    };
    let refusal = match &verdict {
        Verdict::Refuse(refusal) => Some(refusal.clone()),
        Verdict::Reject(reason) => Some(Refusal::new(ErrorCode::TransitionRejected, reason)),
        Verdict::Take | Verdict::Keep | Verdict::Duplicate | Verdict::RejectReport(_) => None,
    };
    if let Some(refusal) = refusal {
        actions.extend(child::refused(&inbound.event, &inbound.input.position, &refusal, step));
    }
    match verdict {
        Verdict::Take => take(execution, inbound, &id, command, step, actions),
        Verdict::Keep => unstarted::keep(execution, inbound, &id, step),
        Verdict::Duplicate => actions.push(Action::Duplicate),
        Verdict::Reject(reason) => actions.push(rejection(execution, &inbound.event, &inbound.input, &reason, step)),
        Verdict::RejectReport(why) => {
            actions.push(report::rejection(execution, &inbound.event, &inbound.input, why, step));
        }
        Verdict::Refuse(refusal) => actions.push(Action::DeadLetter(Box::new(DeadLetter {
            code: refusal.code,
            message: refusal.message,
            input: Some(inbound.input.position.clone()),
            event_input: Some(inbound.input.position),
            event: inbound.event,
            task_id: None,
            attempts: 0,
            redrive: inbound.input.redrive,
            original: None,
        }))),
    }
}

/// A start opens a shell of a context; its `created` effect fills it in when the start is handled, in the same step.
fn judge_unknown(execution: &mut Execution, inbound: &Inbound, id: &[u8; 16], step: &Step) -> Verdict {
    let event = &inbound.event;
    let refuse = |code, message: String| Verdict::Refuse(Refusal::new(code, message));
    if let Some(kept) = &execution.records.context
        && (inbound.offset <= kept.applied_offset || kept.has_input(id))
    {
        return Verdict::Duplicate;
    }
    if !report::opens(event) {
        return match unstarted::is_kept(execution, event, step.limits) {
            true => Verdict::Keep,
            false => Verdict::Refuse(unstarted::refusal(&execution.id)),
        };
    }
    let Some(workflow_id) = &event.workflow_id else {
        return refuse(ErrorCode::EventInvalid, format!("{STARTED} needs a workflow_id"));
    };
    let workflow = step.workflows.get(workflow_id);
    if workflow.is_none() && !report::tracks(event) {
        let known: Vec<&str> = step.workflows.iter().map(|w| w.id.as_str()).collect();
        return refuse(
            ErrorCode::WorkflowUnknown,
            format!("no router knows workflow {workflow_id:?}; known: {}", known.join(", ")),
        );
    }
    if !event.payload.as_ref().is_none_or(Json::is_object_or_null) {
        return refuse(
            ErrorCode::PayloadInvalid,
            format!("the payload of {STARTED} becomes the workflow's data: it must be a JSON object or absent"),
        );
    }
    if let (Some(scope), Some(branch)) = (&event.scope, &event.branch) {
        return refuse(
            ErrorCode::ScopeUnknown,
            format!(
                "{STARTED} belongs to no branch, least of all to {branch:?} in a scope {scope:?}: it opens the execution"
            ),
        );
    }
    if let Some(budgets) = event.ext.get(BUDGETS)
        && let Err(error) = serde_json::from_str::<Budgets>(budgets.as_str())
    {
        return refuse(ErrorCode::EventInvalid, format!("{BUDGETS} of {STARTED}: {error}"));
    }
    execution.life = Life::Open;
    let input_ids = execution.records.context.take().map(|kept| kept.input_ids).unwrap_or_default();
    execution.records.context = Some(Context {
        workflow_id: workflow_id.clone(),
        // What is done elsewhere has the version that it has there.
        workflow_version: event
            .workflow_version
            .clone()
            .filter(|_| report::tracks(event))
            .or_else(|| workflow.map(|workflow| workflow.version.clone())),
        correlation_id: event.correlation_id.clone().unwrap_or_else(|| execution.id.clone()),
        start_id: id.to_vec(),
        input_ids,
        tracked: report::tracks(event).then(Vec::new),
        ..Context::unstarted(&execution.id, step.now)
    });
    Verdict::Take
}

fn judge_open(execution: &mut Execution, inbound: &Inbound, id: &[u8; 16], step: &Step) -> Verdict {
    let event = &inbound.event;
    let Some(context) = &execution.records.context else {
        return Verdict::Duplicate;
    };
    if inbound.offset <= context.applied_offset || context.has_input(id) {
        return Verdict::Duplicate;
    }
    if event.event_type == STARTED && context.start_id == id {
        return Verdict::Duplicate;
    }
    judge_started(execution, event, step)
}

/// Does the state of an execution that has started allow this event?
pub(super) fn judge_started(execution: &mut Execution, event: &Event, step: &Step) -> Verdict {
    let Some(context) = &execution.records.context else { return Verdict::Duplicate };
    if event.event_type == STARTED {
        return Verdict::Reject(format!("the execution has started already ({})", context.status));
    }
    if let Some(why) = report::refused(context, event) {
        return Verdict::RejectReport(why);
    }
    if let Some(why) = task_command::refused(context, event, step) {
        return Verdict::Reject(why);
    }
    if event.event_type == ENDED && child::ended(context, event).is_none() {
        return Verdict::Reject("it has no such child at work".to_owned());
    }
    if event.event_type == DECIDED {
        if context.status == WorkflowStatus::Paused {
            return Verdict::Reject(format!("the execution is {}", context.status));
        }
        let asked = Approval::of(event).is_ok_and(|approval| context.waits.iter().any(|wait| approval.answers(wait)));
        if !asked {
            return Verdict::Reject("nobody waits for this approval".to_owned());
        }
    }
    if let Some((scope, branch)) = event.place()
        && !branch_is_known(execution, scope, branch, step)
    {
        return Verdict::Refuse(Refusal::new(
            ErrorCode::ScopeUnknown,
            format!("execution {:?} has no branch {branch:?} in a scope {scope:?}", execution.id),
        ));
    }
    Verdict::Take
}

fn branch_is_known(execution: &mut Execution, scope: &str, branch: &str, step: &Step) -> bool {
    let first_is_queued = execution.queued_in.get(scope, branch).is_some_and(|count| *count > 0);
    execution.load_scope(scope, step.store).is_some()
        && (first_is_queued || execution.load_branch(scope, branch, step.store).is_some())
}

fn take(
    execution: &mut Execution,
    inbound: Inbound,
    id: &[u8; 16],
    command: Option<WorkflowCommand>,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    if let Some(context) = &mut execution.records.context {
        context.applied_offset = inbound.offset;
        context.remember_input(id);
    }
    execution.root_changed = true;
    if let Some(command) = command {
        command::carry_out(execution, inbound, command, step, actions);
        return;
    }
    if execution.is_paused() {
        command::park(execution, inbound, step, actions);
        return;
    }
    let queued =
        Queued { event: Arc::new(inbound.event), depth: 0, input: Some(inbound.input), opens: None, logged: false };
    if execution.is_closed() {
        // What reopens it comes before what its end had left.
        execution.life = Life::Open;
        execution.queue.push_front(queued);
    } else {
        execution.push(queued);
    }
}

/// The answer to an input that the execution's state does not allow: no part of its history, once per inbox record.
pub(super) fn rejection(execution: &Execution, event: &Event, input: &InputRef, reason: &str, step: &Step) -> Action {
    let status = execution.stub().map(|stub| stub.status).or_else(|| execution.context().map(|c| c.status));
    let legal = status.map_or_else(|| vec![STARTED], crate::command::legal);
    let payload = json!({
        "event_id": event.event_id, "event_type": event.event_type, "reason": reason,
        "status": status, "legal": legal,
    });
    let mut rejected = Event {
        event_id: identity::rejection_id_at(&input.position),
        execution_id: execution.id.clone(),
        channel: Channel::SystemEvents.as_str().to_owned(),
        message_class: MessageClass::State.as_str().to_owned(),
        occurred_at: event.occurred_at,
        recorded_at: Some(step.now),
        payload: Some(Json::from(&payload)),
        status: status.map(|s| s.as_str().to_owned()),
        error: Some(EventError {
            message: reason.to_owned(),
            code: Some(ErrorCode::TransitionRejected.as_str().to_owned()),
            ..EventError::default()
        }),
        ..event.follow_up("transition.rejected")
    };
    // Of a closed execution there may be no more than a stub: what is said must not depend on it.
    if execution.life == Life::Open {
        rejected.workflow_id = execution.context().map(|context| context.workflow_id.clone());
    }
    Action::Publish(Arc::new(rejected), Some(input.position.clone()))
}

/// Is this branch done, or its scope?
pub(super) fn is_late(execution: &mut Execution, scope: &str, branch: &str, step: &Step) -> bool {
    let scope_open =
        execution.load_scope(scope, step.store).is_some_and(|s| s.status == crate::status::ScopeStatus::Open);
    let branch_done = execution.load_branch(scope, branch, step.store).is_some_and(|b| b.status != BranchStatus::Open);
    !scope_open || branch_done
}
