//! What a batch did, counted while it is stepped and told once it is committed.

use std::collections::BTreeMap;

use thalweg_core::apply::Notice;
use thalweg_core::{Channel, ErrorCode};

use crate::telemetry::{
    DeadLettered, EventLate, EventPublished, ExecutionClosed, ExecutionStalled, ExecutionStarted, InputHandled,
    InputResult, ScopeJoined, ScopeOpened, TaskRan, TaskRedriven, TaskRetried, ToolResultOrphaned,
};

/// A dead letter, for the log.
pub struct DeadLetterNote {
    pub code: ErrorCode,
    pub input: Option<String>,
    pub task: Option<String>,
}

/// A task's run, for the metrics.
pub struct TaskNote {
    pub task: String,
    pub failure: Option<ErrorCode>,
    pub seconds: f64,
}

/// The counts of one batch.
#[derive(Default)]
pub struct Tally {
    pub applied: u64,
    pub duplicates: u64,
    pub rejected: u64,
    pub refused: u64,
    pub forwarded: u64,
    pub events: BTreeMap<Channel, u64>,
    pub notices: Vec<(String, Notice)>,
    pub dead_letters: Vec<DeadLetterNote>,
    pub tasks: Vec<TaskNote>,
}

impl Tally {
    /// Inputs that the batch took in.
    pub fn inputs(&self) -> u64 {
        self.applied + self.duplicates + self.rejected + self.refused + self.forwarded
    }

    /// Tells the metrics and the log. Call it after the commit and not before.
    pub fn emit(self) {
        let inputs = [
            (InputResult::Applied, self.applied),
            (InputResult::Duplicate, self.duplicates),
            (InputResult::Rejected, self.rejected),
            (InputResult::DeadLettered, self.refused),
            (InputResult::Forwarded, self.forwarded),
        ];
        for (result, count) in inputs {
            if count > 0 {
                InputHandled { result, count }.emit();
            }
        }
        for (channel, count) in self.events {
            EventPublished { channel, count }.emit();
        }
        for note in &self.tasks {
            TaskRan { task: &note.task, failure: note.failure, seconds: note.seconds }.emit();
        }
        for letter in &self.dead_letters {
            DeadLettered { code: letter.code, input: letter.input.as_deref(), task: letter.task.as_deref() }.emit();
        }
        for (execution_id, notice) in &self.notices {
            tell(execution_id, notice);
        }
    }
}

fn tell(execution_id: &str, notice: &Notice) {
    match notice {
        Notice::Started { workflow_id } => ExecutionStarted { workflow: workflow_id }.emit(),
        Notice::Closed { workflow_id, status, micros } => {
            ExecutionClosed { workflow: workflow_id, status: *status, seconds: *micros as f64 / 1e6 }.emit();
        }
        Notice::ScopeOpened => ScopeOpened.emit(),
        Notice::ScopeClosed { policy, status, canceled } => {
            ScopeJoined { policy: *policy, outcome: *status, canceled: *canceled }.emit();
        }
        Notice::Late => EventLate { execution_id }.emit(),
        Notice::OrphanResult => ToolResultOrphaned { execution_id }.emit(),
        Notice::RetryScheduled { task_id } => TaskRetried { task: task_id }.emit(),
        Notice::Redriven { task_id } => TaskRedriven { execution_id, task: task_id }.emit(),
        Notice::Stalled { workflow_id } => ExecutionStalled { workflow: workflow_id, execution_id }.emit(),
    }
}
