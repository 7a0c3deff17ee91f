//! Closed executions are forgotten: some time after their end, tombstones take their records out of the contexts.
//!
//! The cache knows no more of them than stubs, without ids. So what is to be forgotten is found by reading the contexts
//! once more, beside the work: a *sweep*. The newest record of an execution's root lies behind those of its scopes and
//! branches, for each transaction that writes one of them writes the root last. So a sweep that ends half-way, with its
//! lane, leaves no record behind whose root is gone.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use thalweg_core::codec::Schemas;
use thalweg_core::context::RecordKey;
use thalweg_core::identity::execution_hash;

use super::batch::Batch;
use super::partition::{Partition, tolerate};
use super::{Lane, LaneError};
use crate::cache::PartitionCache;
use crate::clock::wall_clock;
use crate::kafka::Kafka;
use crate::telemetry::ExecutionsForgotten;

/// Keys that one transaction writes tombstones for, so that inputs get their turn.
const TOMBSTONES_PER_BATCH: usize = 1000;
/// Keys that a sweep has found and not forgotten yet, beyond which it reads no further.
const FOUND_MAX: usize = 10_000;
/// How often a partition is swept: eight times in the retention, but within these bounds.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));

/// How long closed executions are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// After their end.
    pub after: Duration,
    /// Closed executions of a partition at most: beyond it those that ended first are forgotten before their time.
    pub closed_max: usize,
}

impl Retention {
    fn interval(self) -> Duration {
        (self.after / 8).clamp(INTERVAL.0, INTERVAL.1)
    }
}

/// What is found to be forgotten: the key, as it is written, and the execution.
pub struct Found {
    pub key: Vec<u8>,
    pub execution: u128,
    pub is_root: bool,
}

/// The sweeps of one partition.
pub struct Sweep {
    next: Instant,
    /// What ended by then is forgotten, while a sweep is under way.
    cutoff: Option<u32>,
    found: VecDeque<Found>,
    /// Executions that are forgotten but for their root record.
    half_forgotten: HashSet<u128>,
    forgotten: usize,
}

impl Sweep {
    /// The first is due at once.
    pub fn new() -> Sweep {
        Sweep {
            next: Instant::now(),
            cutoff: None,
            found: VecDeque::new(),
            half_forgotten: HashSet::new(),
            forgotten: 0,
        }
    }

    /// Are the contexts to be read on?
    pub fn reads(&self) -> bool {
        self.cutoff.is_some() && self.found.len() < FOUND_MAX
    }

    /// Is there something to do now?
    pub fn has_work(&self) -> bool {
        self.cutoff.is_some() || !self.found.is_empty()
    }

    /// Takes in a record of the contexts.
    pub fn take(&mut self, key: &[u8], cache: &PartitionCache, schemas: &Schemas) {
        let Some(cutoff) = self.cutoff else { return };
        let Ok(read) = schemas.read_key(key) else { return };
        let (id, is_root) = match &read {
            RecordKey::Root(id) => (id, true),
            RecordKey::Inner(inner) => (&inner.execution_id, false),
        };
        let execution = execution_hash(id);
        if self.half_forgotten.contains(&execution) || cache.is_closed_by(execution, cutoff) {
            self.found.push_back(Found { key: key.to_vec(), execution, is_root });
        }
    }

    fn forgot(&mut self, execution: u128, is_root: bool) {
        if is_root {
            self.forgotten += 1;
            self.half_forgotten.remove(&execution);
        } else {
            self.half_forgotten.insert(execution);
        }
    }
}

impl<K: Kafka> Lane<K> {
    /// Begins the sweeps that are due, of partitions where something is to be forgotten.
    pub(super) fn begin_sweeps(&mut self) -> Result<(), LaneError> {
        let (now, retention) = (Instant::now(), self.fixtures.retention);
        for partition in self.partitions.values_mut().filter(|partition| partition.is_served()) {
            let sweep = &mut partition.sweep;
            if sweep.next > now || sweep.has_work() {
                continue;
            }
            sweep.next = now + retention.interval();
            let before = wall_clock().saturating_sub(i64::try_from(retention.after.as_micros()).unwrap_or(i64::MAX));
            if let Some(cutoff) = partition.cache.cutoff(before, retention.closed_max)
                && tolerate(self.kafka.read_contexts(partition.number))?.is_some()
            {
                partition.sweep = Sweep { next: sweep.next, cutoff: Some(cutoff), ..Sweep::new() };
            }
        }
        Ok(())
    }

    /// The contexts were read to their end.
    pub(super) fn swept(&mut self, number: i32) -> Result<(), LaneError> {
        if let Some(partition) = self.partitions.get_mut(&number)
            && partition.sweep.cutoff.take().is_some()
        {
            tolerate(self.kafka.leave_contexts(number))?;
        }
        Ok(())
    }

    /// Gives up on a sweep whose tombstones may not have been written. The next one finds them again.
    pub(super) fn abandon_sweep(&mut self, number: i32) {
        let Some(partition) = self.partitions.get_mut(&number).filter(|partition| partition.sweep.has_work()) else {
            return;
        };
        let was_reading = partition.sweep.cutoff.is_some();
        partition.sweep = Sweep { next: partition.sweep.next, ..Sweep::new() };
        if was_reading && let Err(fault) = self.kafka.leave_contexts(number) {
            tracing::debug!(%fault, partition = number, "a sweep is given up");
        }
    }

    /// Adds the tombstones of what was found.
    pub(super) fn forget(&mut self, batch: &mut Batch) {
        let mut left = TOMBSTONES_PER_BATCH;
        for partition in self.partitions.values_mut().filter(|partition| partition.is_served()) {
            let Partition { sweep, cache, number, next_offset, .. } = partition;
            while left > 0
                && let Some(found) = sweep.found.pop_front()
            {
                // It may have begun anew, or be wanted by a redrive.
                if !cache.is_open(found.execution) {
                    left -= 1;
                    batch.forget(*number, *next_offset, found);
                }
            }
        }
    }

    /// The tombstones are written.
    pub(super) fn forgotten(&mut self, forgotten: Vec<(i32, Found)>) {
        for (number, found) in forgotten {
            let Some(partition) = self.partitions.get_mut(&number) else { continue };
            partition.cache.forget_closed(found.execution);
            partition.sweep.forgot(found.execution, found.is_root);
        }
        for partition in self.partitions.values_mut().filter(|partition| !partition.sweep.has_work()) {
            let count = std::mem::take(&mut partition.sweep.forgotten);
            if count > 0 {
                ExecutionsForgotten { partition: partition.number, count }.emit();
            }
        }
    }
}
