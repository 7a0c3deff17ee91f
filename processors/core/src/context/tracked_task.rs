//! A task whose work is done elsewhere.

use serde::{Deserialize, Serialize};

use crate::status::ReportedStatus;

/// A task that is worked on elsewhere, as it was last reported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct TrackedTask {
    pub task_id: String,
    pub status: ReportedStatus,
    pub attempt: i32,
    pub failures: i32,
    #[serde(default)]
    pub plan_id: Option<String>,
}

/// How far a plan is: its tasks, and what has become of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanProgress {
    /// The plan.
    pub plan_id: String,
    /// Tasks that are known of it.
    pub total: usize,
    /// Those that succeeded or were skipped.
    pub done: usize,
    /// Those that failed, timed out or were canceled, and are not to be tried again as far as is known.
    pub failed: usize,
    /// The others.
    pub open: usize,
}

impl TrackedTask {
    /// One that nothing was heard of.
    pub fn new(task_id: &str) -> TrackedTask {
        TrackedTask {
            task_id: task_id.to_owned(),
            status: ReportedStatus::Pending,
            attempt: 1,
            failures: 0,
            plan_id: None,
        }
    }

    /// Bytes of its record, roughly.
    pub fn bytes(&self) -> usize {
        let plan = self.plan_id.as_ref().map_or(0, String::len);
        plan + self.task_id.len() + self.status.as_str().len() + 2 * size_of::<i32>()
    }
}
