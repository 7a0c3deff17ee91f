//! What was found where every promise was kept.

use std::collections::BTreeMap;
use std::fmt;

use thalweg_core::WorkflowStatus;

/// Counts, for a test to compare with what it sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Delivered records of the inbox: the sum of the next six.
    pub inputs: usize,
    pub applied: usize,
    pub duplicates: usize,
    pub rejected: usize,
    pub dead_lettered: usize,
    pub forwarded: usize,
    /// Taken in and yet to be handled.
    pub pending: usize,
    /// Executions that have a history, by status; one without a context counts nowhere.
    pub executions: BTreeMap<WorkflowStatus, usize>,
    /// Events with a sequence.
    pub events: usize,
    /// Scopes that are done.
    pub joins: usize,
    /// All dead letters, those of tasks included.
    pub dead_letters: usize,
}

impl Summary {
    /// Executions in this status.
    pub fn in_status(&self, status: WorkflowStatus) -> usize {
        self.executions.get(&status).copied().unwrap_or(0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} inputs: {} applied, {} duplicate, {} rejected, {} dead-lettered, {} forwarded, {} pending; {} events, \
             {} joins, {} dead letters; executions:",
            self.inputs,
            self.applied,
            self.duplicates,
            self.rejected,
            self.dead_lettered,
            self.forwarded,
            self.pending,
            self.events,
            self.joins,
            self.dead_letters,
        )?;
        self.executions.iter().try_for_each(|(status, count)| write!(f, " {count} {status}"))
    }
}
