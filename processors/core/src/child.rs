//! Child executions: what a task starts, and how its end comes back to the execution that started it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::context::{Child, Parent};
use crate::error_code::ErrorCode;
use crate::event::Event;
use crate::inbound::Refusal;
use crate::json::Json;
use crate::status::WorkflowStatus;
use crate::string_enum::string_enum;

/// The event by which a child tells its parent that it has ended: status, error and payload are the child's own, and
/// the child is named in `ext`. Tasks are told by an event of the type that the start of the child asked for.
pub const ENDED: &str = "workflow.child.ended";
/// The type of a child's end in SUCCESS, unless the task that started it named another.
pub const COMPLETED: &str = "workflow.child.completed";
/// The type of any other end.
pub const FAILED: &str = "workflow.child.failed";

/// The entry of `ext` that names the child which has ended.
const EXT_CHILD: &str = "child";
/// The entry of `ext` of a start that names the execution which wants to know how it ends.
const EXT_PARENT: &str = "parent";

string_enum! {
    /// What becomes of a child when its parent, or the branch that started it, ends first.
    ParentClosePolicy {
        /// It is canceled.
        Cancel = "cancel",
        /// It goes on, and nobody asks how it ends.
        Abandon = "abandon",
        /// The parent's end waits for it, unless the parent is canceled or runs into a limit: then it is canceled.
        Wait = "wait",
    }
}

/// A child that a task starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewChild {
    /// What it runs.
    pub workflow_id: String,
    /// Its data: an object.
    #[serde(default)]
    pub payload: Value,
    /// Its id; none: one that derives from the event that is handled.
    #[serde(default)]
    pub execution_id: Option<String>,
    /// The type of the event by which its success is told here.
    #[serde(default = "completed")]
    pub completed_event: String,
    /// The type of the event by which any other end is told here. One that no task handles fails the branch, or outside
    /// of any branch the execution.
    #[serde(default = "failed")]
    pub failed_event: String,
    /// What becomes of it when what started it ends first.
    #[serde(default = "cancel")]
    pub parent_close: ParentClosePolicy,
}

fn completed() -> String {
    COMPLETED.to_owned()
}

fn failed() -> String {
    FAILED.to_owned()
}

fn cancel() -> ParentClosePolicy {
    ParentClosePolicy::Cancel
}

impl NewChild {
    /// A child that runs this workflow on these data.
    pub fn new(workflow_id: &str, payload: Value) -> NewChild {
        NewChild {
            workflow_id: workflow_id.to_owned(),
            payload,
            execution_id: None,
            completed_event: completed(),
            failed_event: failed(),
            parent_close: cancel(),
        }
    }

    /// With this execution id.
    pub fn named(mut self, execution_id: &str) -> NewChild {
        self.execution_id = Some(execution_id.to_owned());
        self
    }

    /// Its success is told by an event of this type.
    pub fn then(mut self, event_type: &str) -> NewChild {
        self.completed_event = event_type.to_owned();
        self
    }

    /// Any other end is told by an event of this type.
    pub fn or(mut self, event_type: &str) -> NewChild {
        self.failed_event = event_type.to_owned();
        self
    }

    /// What becomes of it when what started it ends first.
    pub fn on_parent_close(mut self, policy: ParentClosePolicy) -> NewChild {
        self.parent_close = policy;
        self
    }
}

impl Child {
    /// The type of the event that tells this end of it.
    pub(crate) fn told_as(&self, status: WorkflowStatus) -> &str {
        if status == WorkflowStatus::Success { &self.completed_event } else { &self.failed_event }
    }

    /// Does it belong to this branch, or where that is none to any branch of the scope?
    pub(crate) fn is_of(&self, scope: &str, branch: Option<&str>) -> bool {
        self.scope.as_deref() == Some(scope) && branch.is_none_or(|branch| self.branch.as_deref() == Some(branch))
    }

    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.execution_id.len()
            + self.workflow_id.len()
            + self.completed_event.len()
            + self.failed_event.len()
            + self.correlation_id.len()
            + optional(&self.scope)
            + optional(&self.branch)
    }
}

/// The child whose end this event tells.
pub(crate) fn child_of(event: &Event) -> Option<String> {
    serde_json::from_str(event.ext.get(EXT_CHILD)?.as_str()).ok()
}

/// Says in an event which child it is about.
pub(crate) fn name_child(event: &mut Event, execution_id: &str) {
    event.ext.insert(EXT_CHILD.to_owned(), Json::of(&execution_id));
}

/// The parent that a start names; none where it names none, or none that could be one.
pub(crate) fn parent_of(start: &Event) -> Option<Parent> {
    serde_json::from_str(start.ext.get(EXT_PARENT)?.as_str()).ok()
}

/// Says in a start who wants to know how it ends.
pub(crate) fn name_parent(start: &mut Event, parent: &Parent) {
    start.ext.insert(EXT_PARENT.to_owned(), Json::of(parent));
}

/// How the child ended, by the event that tells its end.
pub(crate) fn end_of(event: &Event) -> Option<WorkflowStatus> {
    event.status.as_deref()?.parse().ok().filter(|status: &WorkflowStatus| status.is_closed())
}

/// Checks an event that tells a child's end.
///
/// # Errors
/// EVENT_INVALID where it names no child, or no status of one that has ended.
pub(crate) fn check(event: &Event) -> Result<(), Refusal> {
    if child_of(event).is_none() || end_of(event).is_none() {
        let message =
            format!("{ENDED} needs the execution_id of the child as `child`, and the status that it ended with");
        return Err(Refusal::new(ErrorCode::EventInvalid, message));
    }
    Ok(())
}
