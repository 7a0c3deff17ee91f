//! Scopes: fan-out and fan-in.

use thalweg_core::ScopeStatus;
use tracing::debug;

use super::Metrics;

/// The policies that scopes may have.
const POLICIES: [&str; 1] = ["all"];
/// The label of a policy that is none of them.
const OTHER: &str = "other";

/// A scope opened. The open ones are counted by [`PartitionGauges`](super::PartitionGauges).
#[derive(Clone, Copy, Debug)]
pub struct ScopeOpened;

impl ScopeOpened {
    /// Logs it.
    pub fn emit(self) {
        debug!("scope opened");
    }
}

/// A scope's policy was met, or can't be met any more.
#[derive(Clone, Copy, Debug)]
pub struct ScopeJoined<'a> {
    /// The policy.
    pub policy: &'a str,
    /// Which of the two.
    pub outcome: ScopeStatus,
}

impl ScopeJoined<'_> {
    /// Counts and logs it.
    pub fn emit(self) {
        debug!(policy = self.policy, outcome = self.outcome.as_str(), "scope joined");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        let policy = if POLICIES.contains(&self.policy) { self.policy } else { OTHER };
        metrics.joins.with_label_values(&[policy, self.outcome.as_str()]).inc();
    }
}

impl Metrics {
    pub(super) fn register_policies(&self) {
        for policy in POLICIES {
            for outcome in [ScopeStatus::Joined, ScopeStatus::Failed] {
                self.joins.with_label_values(&[policy, outcome.as_str()]);
            }
        }
    }
}
