//! Reports: what another engine says of its own state moves the state of an execution that is tracked.
//!
//! The work is done elsewhere; the report is checked against the tables below, numbered, folded and published like
//! any event. For an execution that is not tracked a report is a fact that tasks may handle.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Action, Closing, Current, Step, admit, close, outcome, plan, publication, report_usage};
use crate::channel::Channel;
use crate::context::{Context, TrackedTask};
use crate::dialect::{Dialect, EXT_TRACKED, REPORT};
use crate::effect::{Effect, StatusChanged};
use crate::event::Event;
use crate::execution::Execution;
use crate::inbound::{InputRef, STARTED};
use crate::json::Json;
use crate::limits::{NAME_MAX_BYTES, TRACKED_RETRIES, TRACKED_TASKS_MAX};
use crate::message_class::MessageClass;
use crate::status::{ReportedStatus, WorkflowStatus};

/// The report that opens an execution where it comes first.
const STARTED_ELSEWHERE: &str = "report.workflow.started";

/// What a report does to the execution: its type, the statuses in which it is legal, the status it leads to.
type WorkflowRow = (&'static str, &'static [WorkflowStatus], WorkflowStatus);
/// What a report does to a task: its type, the statuses in which it is legal (none: of a task not heard of), the status
/// it leads to.
type TaskRow = (&'static str, &'static [Option<ReportedStatus>], ReportedStatus);

/// The executions' part of the state table.
pub const WORKFLOW_TABLE: &[WorkflowRow] = {
    use WorkflowStatus::*;
    &[
        (STARTED_ELSEWHERE, &[Pending, Running], Running),
        ("report.workflow.paused", &[Running, Waiting], Paused),
        ("report.workflow.resumed", &[Paused], Running),
        ("report.workflow.success", &[Running, Waiting], Success),
        ("report.workflow.failed", &[Running, Waiting, Paused], Failed),
        ("report.workflow.canceled", &[Running, Waiting, Paused], Canceled),
        ("report.workflow.timed_out", &[Running, Waiting, Paused], TimedOut),
        ("report.strategy.limit_hit", &[Running, Waiting], LimitExceeded),
    ]
};

/// The tasks' part of the state table.
pub const TASK_TABLE: &[TaskRow] = {
    use ReportedStatus::*;
    const NEW: Option<ReportedStatus> = None;
    &[
        ("report.task.received", &[NEW], Pending),
        ("report.task.assigned", &[NEW, Some(Pending)], Pending),
        ("report.task.dispatched", &[NEW, Some(Pending), Some(Failed), Some(RetryScheduled)], Dispatched),
        ("report.task.started", &[NEW, Some(Pending), Some(Dispatched), Some(Failed), Some(RetryScheduled)], Running),
        ("report.task.progress", &[Some(Dispatched), Some(Running)], Running),
        ("report.task.waiting_started", &[Some(Running)], Waiting),
        ("report.interrupt.raised", &[Some(Running)], Waiting),
        ("report.task.waiting_ended", &[Some(Waiting)], Running),
        ("report.approval.received", &[Some(Waiting)], Running),
        ("report.task.waiting_timed_out", &[Some(Waiting)], TimedOut),
        ("report.task.success", &[Some(Dispatched), Some(Running)], Success),
        (
            "report.task.failed",
            &[Some(Dispatched), Some(Running), Some(Waiting), Some(TimedOut), Some(RetryScheduled)],
            Failed,
        ),
        ("report.task.rejected", &[Some(Pending), Some(Dispatched)], Failed),
        ("report.task.validation_failed", &[Some(Running)], Failed),
        ("report.task.retry_scheduled", &[Some(Failed), Some(TimedOut)], RetryScheduled),
        (
            "report.task.permanently_failed",
            &[Some(Dispatched), Some(Running), Some(Failed), Some(TimedOut), Some(RetryScheduled)],
            PermanentlyFailed,
        ),
        (
            "report.task.canceled",
            &[NEW, Some(Pending), Some(Dispatched), Some(Running), Some(Waiting), Some(Failed), Some(RetryScheduled)],
            Canceled,
        ),
        ("report.task.skipped", &[NEW, Some(Pending), Some(Dispatched)], Skipped),
    ]
};

/// Does this event open an execution?
pub(super) fn opens(event: &Event) -> bool {
    event.event_type == STARTED || (event.event_type == STARTED_ELSEWHERE && event.workflow_id.is_some())
}

/// Is the execution that this event opens tracked?
pub(super) fn tracks(event: &Event) -> bool {
    event.event_type == STARTED_ELSEWHERE || event.ext.get(EXT_TRACKED).is_some_and(|value| value.as_str() == "true")
}

/// What a report comes to in the state as it is.
enum Move {
    Workflow(WorkflowStatus),
    Task(TrackedTask),
    /// The tables do not name it: it is kept and changes nothing.
    None,
}

/// Why an open execution does not allow this report, and what it would allow; none: it does.
pub(super) fn refused(context: &Context, event: &Event) -> Option<(String, Vec<String>)> {
    moved(context, event).err()
}

fn moved(context: &Context, event: &Event) -> Result<Move, (String, Vec<String>)> {
    let Some(tracked) = &context.tracked else { return Ok(Move::None) };
    if let Some((_, from, to)) = WORKFLOW_TABLE.iter().find(|(report, ..)| *report == event.event_type) {
        let again = event.event_type == STARTED_ELSEWHERE && !tracked.is_empty();
        if from.contains(&context.status) && !again {
            return Ok(Move::Workflow(*to));
        }
        let legal = WORKFLOW_TABLE.iter().filter(|(_, from, _)| from.contains(&context.status));
        let legal = legal.map(|(report, ..)| (*report).to_owned()).collect();
        return Err((format!("{} in {}", event.event_type, context.status), legal));
    }
    let Some((_, from, to)) = TASK_TABLE.iter().find(|(report, ..)| *report == event.event_type) else {
        return Ok(Move::None);
    };
    let none = || Err((format!("{} names no task of 1 to {NAME_MAX_BYTES} bytes", event.event_type), Vec::new()));
    let Some(id) = task_of(event).filter(|id| !id.is_empty() && id.len() <= NAME_MAX_BYTES) else { return none() };
    let known = tracked.iter().find(|task| task.task_id == id);
    let status = known.map(|task| task.status);
    if known.is_none() && tracked.len() >= TRACKED_TASKS_MAX {
        return Err((format!("more than {TRACKED_TASKS_MAX} tasks would be tracked"), Vec::new()));
    }
    let paused = context.status == WorkflowStatus::Paused && *to == ReportedStatus::Dispatched;
    if paused || !from.contains(&status) {
        let legal = TASK_TABLE.iter().filter(|(_, from, _)| from.contains(&status));
        let legal = legal.map(|(report, ..)| (*report).to_owned()).collect();
        let in_status = status.map_or("not heard of yet", ReportedStatus::as_str);
        let reason = format!("{} of task {id:?}, which is {in_status}, in {}", event.event_type, context.status);
        return Err((reason, legal));
    }
    let mut task = known.cloned().unwrap_or_else(|| TrackedTask::new(&id));
    task.status = outcome_of(event, *to);
    task.attempt = task.attempt.max(event.attempt);
    task.plan_id = task.plan_id.or_else(|| plan::plan_of(event));
    task.failures += i32::from(*to == ReportedStatus::Failed);
    if task.status == ReportedStatus::Failed && retries_are_over(event, &task) {
        task.status = ReportedStatus::PermanentlyFailed;
    }
    Ok(Move::Task(task))
}

/// The task that a report is about: by the run of it where it names one.
pub(super) fn task_of(event: &Event) -> Option<String> {
    let task = event.entities.get("task").and_then(|task| task.exec_id.clone().or_else(|| task.id.clone()));
    // A Soorma envelope has no field for it.
    task.or_else(|| event.payload_value()["task_id"].as_str().map(str::to_owned))
}

/// A failure may be final by what it says, and a rejected approval is one.
fn outcome_of(event: &Event, to: ReportedStatus) -> ReportedStatus {
    let rejected = event.payload_value()["decision"] == "rejected";
    let error = event.error.as_ref();
    let is_final = error.is_some_and(|error| error.is_final == Some(true) || error.retryable == Some(false));
    match to {
        ReportedStatus::Failed if is_final => ReportedStatus::PermanentlyFailed,
        ReportedStatus::Running if rejected => ReportedStatus::PermanentlyFailed,
        other => other,
    }
}

/// Dream.OS tries a task again a number of times, and does not always say that it has given up.
fn retries_are_over(event: &Event, task: &TrackedTask) -> bool {
    Dialect::Dreamos.is_own(event) && task.failures > TRACKED_RETRIES
}

/// Folds a report in. One that has become illegal while it waited changes nothing and is published all the same.
pub(super) fn fold(execution: &mut Execution, current: &mut Current, step: &Step) {
    if !current.event.event_type.starts_with(REPORT) || current.closing.is_some() {
        return;
    }
    let Some(context) = execution.context() else { return };
    match moved(context, &current.event) {
        Err(_) => {}
        Ok(Move::None) if context.tracked.is_some() => {
            let task = task_of(&current.event);
            report_usage::add(execution, current, task.as_deref(), step);
        }
        Ok(Move::None) => {}
        Ok(Move::Workflow(status)) if status.is_closed() => current.closing = Some(closing(&current.event, status)),
        Ok(Move::Workflow(status)) if status == context.status => {}
        Ok(Move::Workflow(status)) => current.add(execution, Effect::Status(StatusChanged { status })),
        Ok(Move::Task(task)) => fold_task(execution, current, task, step),
    }
}

fn fold_task(execution: &mut Execution, current: &mut Current, task: TrackedTask, step: &Step) {
    let event = std::sync::Arc::clone(&current.event);
    let gave_up = task.status == ReportedStatus::PermanentlyFailed;
    if outgrows(execution, &task, step) {
        let cap = step.limits.context_max_bytes;
        current.closing =
            Some(close::limit_exceeded(format!("the context would have over {cap} bytes (context.max.bytes)")));
        return;
    }
    if gave_up && event.event_type == "report.task.failed" {
        current.remarks.push(permanently_failed(execution, &event, step));
    }
    current.add(execution, Effect::Tracked(task));
    let patch = match event.payload_value() {
        Value::Object(mut payload) => payload.remove("state_patch"),
        _ => None,
    };
    let applies = !gave_up && matches!(event.event_type.as_str(), "report.task.success" | "report.approval.received");
    if let (Some(Value::Object(patch)), true) = (patch, applies) {
        current.closing = fold_patch(execution, current, patch, step);
    }
    report_usage::add(execution, current, task_of(&event).as_deref(), step);
}

/// Would the context with one more task be over its cap?
fn outgrows(execution: &mut Execution, task: &TrackedTask, step: &Step) -> bool {
    let data = execution.data_bytes_at_most();
    let Some(context) = execution.context() else { return false };
    let is_known = context.tracked.iter().flatten().any(|known| known.task_id == task.task_id);
    !is_known && context.bytes_beside_data() + data + task.bytes() > step.limits.context_max_bytes
}

/// Folds a state patch into `data`; a context over its cap ends the execution instead.
fn fold_patch(
    execution: &mut Execution,
    current: &mut Current,
    patch: Map<String, Value>,
    step: &Step,
) -> Option<Closing> {
    let bytes = Value::Object(patch.clone()).to_string().len();
    let data = execution.data_bytes_at_most();
    let beside = execution.context().map_or(0, Context::bytes_beside_data);
    if bytes > step.limits.effects_max_bytes || beside + data + bytes > step.limits.context_max_bytes {
        return Some(close::limit_exceeded(format!(
            "a state patch of {bytes} bytes does not fit (effects.max.bytes, context.max.bytes)"
        )));
    }
    current.add(execution, Effect::Patch(patch));
    None
}

/// The engine's word that a task will not be tried again.
fn permanently_failed(execution: &Execution, event: &Event, step: &Step) -> Event {
    let mut failed = event.follow_up("task.permanently_failed");
    failed.event_id = publication::made_id(execution, event, "task.permanently_failed");
    failed.channel = Channel::TaskEvents.as_str().to_owned();
    failed.message_class = MessageClass::State.as_str().to_owned();
    failed.source = Some(super::branch::ENGINE.to_owned());
    failed.occurred_at = step.now;
    failed.status = Some(ReportedStatus::PermanentlyFailed.as_str().to_owned());
    failed.error.clone_from(&event.error);
    failed.entities.clone_from(&event.entities);
    failed
}

/// How an execution ends by a report: with the output that it tells, or its error.
fn closing(event: &Event, status: WorkflowStatus) -> Closing {
    let payload = event.payload_value();
    if status == WorkflowStatus::Success {
        let output = payload
            .get("result")
            .and_then(|result| result.get("output"))
            .or_else(|| payload.get("final_state"))
            .or_else(|| payload.get("output"))
            .or_else(|| payload.get("result"))
            .filter(|output| !output.is_null());
        return Closing { status, result: output.map(Json::from), error: None };
    }
    let told = event.error.as_ref().map(|error| error.message.clone()).filter(|message| !message.is_empty());
    let reason = payload.get("reason").or_else(|| payload.get("limit_type")).and_then(Value::as_str);
    let message = told.or_else(|| reason.map(str::to_owned)).unwrap_or_else(|| format!("{} says so", event.event_type));
    let code = event.error.as_ref().and_then(|error| error.code.as_deref());
    let code = code.unwrap_or(match status {
        WorkflowStatus::LimitExceeded => "LIMIT_EXCEEDED",
        _ => "REPORTED",
    });
    Closing { status, result: None, error: Some(outcome::error_of(code, &message)) }
}

/// The answer to a report that the state does not allow.
pub(super) fn rejection(
    execution: &Execution,
    event: &Event,
    input: &InputRef,
    (reason, legal): (String, Vec<String>),
    step: &Step,
) -> Action {
    match admit::rejection(execution, event, input, &reason, step) {
        Action::Publish(mut rejected, position) => {
            let mut payload = rejected.payload_value();
            payload["legal"] = json!(legal);
            Arc::make_mut(&mut rejected).payload = Some(Json::from(&payload));
            Action::Publish(rejected, position)
        }
        action => action,
    }
}
