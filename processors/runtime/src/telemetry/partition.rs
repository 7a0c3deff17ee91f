//! Partitions: their assignment, restore, lag, and what they hold.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::Metrics;
use super::rate_limit::RateLimit;

/// How often it is logged of a partition that its restore waits.
const WAITING_INTERVAL: Duration = Duration::from_secs(30);

/// What a partition holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PartitionCounts {
    open: i64,
    scopes: i64,
    timers: i64,
    bytes: i64,
}

/// A partition was assigned to a lane of this process.
#[derive(Clone, Copy, Debug)]
pub struct PartitionAssigned {
    /// The partition.
    pub partition: i32,
}

impl PartitionAssigned {
    /// Logs it.
    pub fn emit(self) {
        info!(partition = self.partition, "partition assigned");
    }
}

/// A partition's contexts were read into memory: it is served.
#[derive(Clone, Copy, Debug)]
pub struct PartitionRestored {
    /// The partition.
    pub partition: i32,
    /// How many contexts.
    pub contexts: u64,
    /// Seconds since the assignment.
    pub seconds: f64,
}

impl PartitionRestored {
    /// Counts and logs it.
    pub fn emit(self) {
        let PartitionRestored { partition, contexts, seconds } = self;
        info!(partition, contexts, seconds, "partition restored");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        metrics.restore_seconds.observe(self.seconds);
    }
}

/// The partitions whose restore waits for what nobody may ever bring.
#[derive(Debug)]
pub(crate) struct RestoresWaiting(RateLimit<i32>);

impl RestoresWaiting {
    /// None does.
    pub fn none() -> RestoresWaiting {
        RestoresWaiting(RateLimit::new(WAITING_INTERVAL))
    }

    /// This one waits, `seconds` since its assignment: logs it now and then. `reason` says what to do.
    pub fn emit(&mut self, partition: i32, seconds: f64, reason: &str) {
        if self.0.due(partition, Instant::now()).is_some() {
            warn!(partition, seconds, reason, "a restore waits");
        }
    }

    /// This one waits no longer; whether it was logged that it does.
    pub fn over(&mut self, partition: i32) -> bool {
        self.0.forget(&partition)
    }
}

/// A partition is restored once more, for records of closed executions that a redrive needs.
#[derive(Clone, Copy, Debug)]
pub struct RecordsWanted {
    /// The partition.
    pub partition: i32,
    /// How many executions.
    pub executions: usize,
}

impl RecordsWanted {
    /// Logs it.
    pub fn emit(self) {
        info!(partition = self.partition, executions = self.executions, "a redrive needs records: restoring again");
    }
}

/// The records of closed executions were taken out of a partition: their time was over.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionsForgotten {
    /// The partition.
    pub partition: i32,
    /// How many executions.
    pub count: usize,
}

impl ExecutionsForgotten {
    /// Logs it.
    pub fn emit(self) {
        info!(partition = self.partition, executions = self.count, "closed executions forgotten");
    }
}

/// A partition was taken from a lane of this process: what it held and its lag count no longer.
#[derive(Clone, Copy, Debug)]
pub struct PartitionRevoked {
    /// The partition.
    pub partition: i32,
}

impl PartitionRevoked {
    /// Counts and logs it.
    pub fn emit(self) {
        info!(partition = self.partition, "partition revoked");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        let mut partitions = metrics.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        let before = partitions.remove(&self.partition).unwrap_or_default();
        metrics.add_partition(before, PartitionCounts::default());
        // It fails where no lag was ever seen, and then there is nothing to remove.
        let _ = metrics.lag.remove_label_values(&[&self.partition.to_string()]);
    }
}

/// The inbox records of a partition that are not yet handled were counted.
#[derive(Clone, Copy, Debug)]
pub struct LagSeen {
    /// The partition.
    pub partition: i32,
    /// Records.
    pub lag: i64,
}

impl LagSeen {
    /// Sets the gauge and logs it.
    pub fn emit(self) {
        debug!(partition = self.partition, lag = self.lag, "lag seen");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        metrics.lag.with_label_values(&[&self.partition.to_string()]).set(self.lag);
    }
}

/// What a partition holds now. The gauges are the sums over the partitions of this process.
#[derive(Clone, Copy, Debug)]
pub struct PartitionGauges {
    /// The partition.
    pub partition: i32,
    /// Executions that are open.
    pub open: u64,
    /// Scopes that are open.
    pub scopes: u64,
    /// Timers that are pending.
    pub timers: u64,
    /// Bytes of contexts in memory.
    pub bytes: u64,
}

impl PartitionGauges {
    /// Sets the gauges. There is no log line: it is no occurrence, and comes with each transaction.
    pub fn emit(self) {
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let now = PartitionCounts {
            open: signed(self.open),
            scopes: signed(self.scopes),
            timers: signed(self.timers),
            bytes: signed(self.bytes),
        };
        let mut partitions = metrics.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        let before = partitions.insert(self.partition, now).unwrap_or_default();
        metrics.add_partition(before, now);
    }
}

impl Metrics {
    fn add_partition(&self, before: PartitionCounts, now: PartitionCounts) {
        self.executions_open.add(now.open - before.open);
        self.scopes_open.add(now.scopes - before.scopes);
        self.timers_pending.add(now.timers - before.timers);
        self.contexts_bytes.add(now.bytes - before.bytes);
    }
}
