//! A task asks people, and goes on or fails as they decide.

use std::sync::Arc;

use serde_json::json;

use super::branch::{self, ENGINE, Ending};
use super::{Action, Closing, Current, Step, close, publication};
use crate::approval::{Approval, Decision, Interrupt};
use crate::channel::Channel;
use crate::context::TaskState;
use crate::effect::Effect;
use crate::event::Event;
use crate::execution::Execution;
use crate::json::Json;
use crate::message_class::MessageClass;
use crate::status::{BranchStatus, TaskStatus};

/// The code of a task that people did not let go on.
const REJECTED: &str = "APPROVAL_REJECTED";

/// The event that tells people what they are asked.
pub(super) fn asked(execution: &Execution, current: &Current, task_id: &str, asks: &Interrupt, step: &Step) -> Event {
    let (event_type, payload) = match &asks.tool_name {
        Some(tool) => (
            "tool_approval.required",
            json!({"node_id": task_id, "tool_name": tool, "approver": asks.approver, "reason": asks.reason,
                "context": asks.state_for_review}),
        ),
        None => (
            "interrupt.raised",
            json!({"node_id": task_id, "reason": asks.reason, "approver": asks.approver,
                "state_for_review": asks.state_for_review}),
        ),
    };
    let mut event = current.event.follow_up(event_type);
    event.event_id = publication::made_id(execution, &current.event, &format!("{event_type}/{task_id}"));
    event.channel = Channel::NotificationEvents.as_str().to_owned();
    event.message_class = MessageClass::Command.as_str().to_owned();
    event.source = Some(ENGINE.to_owned());
    event.occurred_at = step.now;
    event.payload = Some(Json::from(&payload));
    event
}

/// What was decided takes effect. Returns whether tasks are to hear of it.
pub(super) fn decide(
    execution: &mut Execution,
    current: &mut Current,
    asked_by: &str,
    step: &Step,
    actions: &mut Vec<Action>,
) -> bool {
    let Ok(approval) = Approval::of(&current.event) else { return false };
    match approval.decision {
        Decision::Approved => {
            if let Some(patch) = approval.state_patch {
                let bytes = Json::from(&json!(patch)).as_str().len();
                if execution.data_bytes_at_most() + bytes > step.limits.context_max_bytes {
                    let message =
                        format!("the state_patch would bring the context over {} bytes", step.limits.context_max_bytes);
                    current.closing = Some(close::limit_exceeded(message));
                    return false;
                }
                current.add(execution, Effect::Patch(patch));
            }
            true
        }
        Decision::Rejected => {
            let said = approval.comment.map_or_else(String::new, |comment| format!(": {comment}"));
            let by = approval.user_id.map_or_else(String::new, |user| format!(" by {user}"));
            let message = format!("task {asked_by} was rejected{by}{said}");
            let failures = execution
                .context()
                .and_then(|context| context.tasks.iter().find(|task| task.task_id == asked_by))
                .map_or(0, |task| task.failures);
            let status = TaskStatus::PermanentlyFailed;
            let state = TaskState { task_id: asked_by.to_owned(), status, attempt: 1, failures: failures + 1 };
            current.add(execution, Effect::Task(state));
            let event = Arc::clone(&current.event);
            match event.place() {
                Some((scope, name)) => {
                    let result = Json::from(&json!({"code": REJECTED, "message": message}));
                    let ending = Ending::With(BranchStatus::Failed, Some(result));
                    execution.load_branch(scope, name, step.store);
                    branch::done(execution, current, scope, name, ending, step, actions);
                }
                None => current.closing = Some(Closing::failed(REJECTED, &message)),
            }
            false
        }
    }
}
