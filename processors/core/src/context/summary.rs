//! What a router must know of a root record to hold it: little beside its bytes.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::stub::start_hash;
use super::{Context, Stub};
use crate::event::Micros;
use crate::status::WorkflowStatus;
use crate::timer::{Purpose, Timer};

/// A few fields of a root record. It is read without the others ([`crate::codec::Schemas::read_context_summary`]), which
/// takes a fraction of the time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ContextSummary {
    /// Status of the execution.
    pub status: WorkflowStatus,
    /// Inbox offset of the newest input taken in.
    pub applied_offset: i64,
    #[serde(with = "crate::timestamp")]
    updated_at: Micros,
    #[serde(default, with = "crate::timestamp::optional")]
    completed_at: Option<Micros>,
    #[serde(with = "serde_bytes")]
    start_id: Vec<u8>,
    #[serde(default)]
    pending: Vec<IgnoredAny>,
    #[serde(default)]
    timers: Vec<TimerSummary>,
    #[serde(default)]
    early: Vec<EarlySummary>,
    #[serde(default)]
    tracked: Option<IgnoredAny>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct TimerSummary {
    purpose: String,
    #[serde(with = "crate::timestamp")]
    due_at: Micros,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct EarlySummary {
    #[serde(with = "crate::timestamp")]
    until: Micros,
}

impl From<Context> for ContextSummary {
    fn from(context: Context) -> ContextSummary {
        let timer = |timer: Timer| TimerSummary { purpose: timer.purpose, due_at: timer.due_at };
        ContextSummary {
            status: context.status,
            applied_offset: context.applied_offset,
            updated_at: context.updated_at,
            completed_at: context.completed_at,
            start_id: context.start_id,
            pending: context.pending.iter().map(|_| IgnoredAny).collect(),
            timers: context.timers.into_iter().map(timer).collect(),
            early: context.early.iter().map(|early| EarlySummary { until: early.until }).collect(),
            tracked: context.tracked.map(|_| IgnoredAny),
        }
    }
}

impl ContextSummary {
    /// What is left of it in memory once it is closed.
    pub fn stub(&self) -> Stub {
        Stub {
            status: self.status,
            completed_at: self.completed_at.unwrap_or(self.updated_at),
            applied_offset: self.applied_offset,
            start_hash: start_hash(&self.start_id),
        }
    }

    /// As [`Context::is_unstarted`].
    pub fn is_unstarted(&self) -> bool {
        self.status == WorkflowStatus::Pending && self.start_id.is_empty()
    }

    /// Are there events that wait to be handled?
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Timers that are pending.
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// As [`Context::next_due`].
    pub fn next_due(&self) -> Option<Micros> {
        if self.status.is_closed() || (self.status == WorkflowStatus::Paused && self.tracked.is_none()) {
            return None;
        }
        let timers = self.timers.iter().filter(|timer| Purpose::named(&timer.purpose).is_some());
        timers.map(|timer| timer.due_at).chain(self.early.iter().map(|early| early.until)).min()
    }
}
