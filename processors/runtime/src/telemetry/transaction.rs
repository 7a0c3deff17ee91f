//! Ends of transactions, and dead letters.

use thalweg_core::ErrorCode;
use tracing::{debug, info, warn};

use super::Metrics;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionOutcome {
    /// All of it happened.
    Committed,
    /// None of it happened.
    Aborted,
    /// The lane can't know, and restores.
    Unknown,
}

/// Every outcome, in the order of the enum.
pub(super) const TRANSACTION_OUTCOMES: [TransactionOutcome; 3] =
    [TransactionOutcome::Committed, TransactionOutcome::Aborted, TransactionOutcome::Unknown];

impl TransactionOutcome {
    /// Its label.
    pub(super) fn label(self) -> &'static str {
        match self {
            TransactionOutcome::Committed => "committed",
            TransactionOutcome::Aborted => "aborted",
            TransactionOutcome::Unknown => "unknown",
        }
    }
}

/// A transaction ended.
#[derive(Clone, Copy, Debug)]
pub struct TransactionEnded {
    /// How.
    pub outcome: TransactionOutcome,
    /// Seconds since it began.
    pub seconds: f64,
    /// Inbox records that it handled.
    pub inputs: u64,
}

impl TransactionEnded {
    /// Counts and logs it. Aborts are ordinary, for instance when a lane joins the group.
    pub fn emit(self) {
        let TransactionEnded { seconds, inputs, .. } = self;
        match self.outcome {
            TransactionOutcome::Committed => debug!(seconds, inputs, "transaction committed"),
            TransactionOutcome::Aborted => info!(seconds, inputs, "transaction aborted"),
            TransactionOutcome::Unknown => warn!(seconds, inputs, "transaction with unknown outcome"),
        }
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        metrics.transactions[self.outcome as usize].inc();
        metrics.transaction_seconds.observe(self.seconds);
        if self.outcome == TransactionOutcome::Committed {
            // A count of records: exact in a float up to 2^53.
            metrics.transaction_inputs.observe(self.inputs as f64);
        }
    }
}

/// A dead letter was written.
#[derive(Clone, Copy, Debug)]
pub struct DeadLettered<'a> {
    /// Why.
    pub code: ErrorCode,
    /// The inbox record, as topic/partition/offset, where there is one.
    pub input: Option<&'a str>,
    /// The task that gave up, where it was one.
    pub task: Option<&'a str>,
}

impl DeadLettered<'_> {
    /// Counts and logs it.
    pub fn emit(self) {
        warn!(code = self.code.as_str(), input = self.input, task = self.task, "dead letter written");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        metrics.dead_letters[self.code as usize].inc();
    }
}
