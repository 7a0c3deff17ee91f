//! What stays of a closed execution in memory.

use super::Context;
use crate::event::Micros;
use crate::status::WorkflowStatus;

/// What a router remembers of a closed execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stub {
    /// How it ended.
    pub status: WorkflowStatus,
    /// When, in microseconds since the epoch.
    pub completed_at: Micros,
    /// Inbox offset of the newest input taken in.
    pub applied_offset: i64,
    /// First 8 bytes of the start's input id: a re-sent start is a duplicate.
    pub start_hash: u64,
}

impl Stub {
    /// What is left of `context` in memory once it is closed.
    pub fn of(context: &Context) -> Stub {
        Stub {
            status: context.status,
            completed_at: context.completed_at.unwrap_or(context.updated_at),
            applied_offset: context.applied_offset,
            start_hash: start_hash(&context.start_id),
        }
    }

    /// Is `input_id` that of the start which opened it?
    pub fn started_by(&self, input_id: &[u8; 16]) -> bool {
        self.start_hash == start_hash(input_id)
    }
}

pub(super) fn start_hash(id: &[u8]) -> u64 {
    id.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}
