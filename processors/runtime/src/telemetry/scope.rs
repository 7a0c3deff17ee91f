//! Scopes: fan-out and fan-in.

use thalweg_core::{JoinPolicy, ScopeStatus};
use tracing::debug;

use super::Metrics;

/// The outcome of a scope that was given up with what it is part of.
const CANCELED: &str = "CANCELED";

/// A scope opened. The open ones are counted by [`PartitionGauges`](super::PartitionGauges).
#[derive(Clone, Copy, Debug)]
pub struct ScopeOpened;

impl ScopeOpened {
    /// Logs it.
    pub fn emit(self) {
        debug!("scope opened");
    }
}

/// A scope's policy was met, or can't be met any more, or nobody waits for it.
#[derive(Clone, Copy, Debug)]
pub struct ScopeJoined {
    /// The policy.
    pub policy: JoinPolicy,
    /// Which of the first two.
    pub outcome: ScopeStatus,
    /// It was the third.
    pub canceled: bool,
}

impl ScopeJoined {
    /// Counts and logs it.
    pub fn emit(self) {
        debug!(policy = %self.policy, outcome = self.label(), "scope joined");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    fn label(&self) -> &'static str {
        if self.canceled { CANCELED } else { self.outcome.as_str() }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        metrics.joins.with_label_values(&[self.policy.label(), self.label()]).inc();
    }
}

/// An event came when its branch or scope was done: it is in the log, and changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct EventLate<'a> {
    /// Its execution.
    pub execution_id: &'a str,
}

impl EventLate<'_> {
    /// Counts and logs it.
    pub fn emit(self) {
        debug!(execution_id = self.execution_id, "event late");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        metrics.late.inc();
    }
}

impl Metrics {
    pub(super) fn register_policies(&self) {
        for policy in JoinPolicy::LABELS {
            for outcome in [ScopeStatus::Joined.as_str(), ScopeStatus::Failed.as_str(), CANCELED] {
                self.joins.with_label_values(&[policy, outcome]);
            }
        }
    }
}
