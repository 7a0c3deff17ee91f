//! Step 2: what was assigned is restored, what was revoked is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::batch::Batch;
use super::partition::{Partition, Phase, WaitsFor, tolerate};
use super::{HELD, Lane, LaneError, RESTORE_SLICE, SWEEP_SLICE, gauges};
use crate::allocator;
use crate::inbox_name::inbox_name;
use crate::kafka::{ContextsPolled, Kafka};
use crate::telemetry::{PartitionAssigned, PartitionRestored, PartitionRevoked};

impl<K: Kafka> Lane<K> {
    pub(super) fn assigned(&mut self, partitions: Vec<i32>, generation: K::Generation) {
        self.generation = Some(generation);
        for number in partitions {
            PartitionAssigned { partition: number }.emit();
            self.health.assigned(&[number]);
            self.partitions.insert(number, Partition::new(number, Arc::clone(&self.fixtures.inbox)));
        }
        self.health.joined();
    }

    /// What is lost is forgotten at once: its records, its cache, its restore.
    pub(super) fn revoked(&mut self, partitions: &[i32]) {
        self.generation = None;
        self.waiting.retain(|message| !partitions.contains(&message.partition));
        for number in partitions {
            if self.partitions.remove(number).is_some() {
                if let Err(fault) = self.kafka.leave_contexts(*number) {
                    tracing::debug!(%fault, "leaving the contexts of a revoked partition");
                }
                PartitionRevoked { partition: *number }.emit();
            }
            self.health.revoked(&[*number]);
        }
    }

    pub(super) fn restore(&mut self) -> Result<(), LaneError> {
        self.begin_sweeps()?;
        let restores = !self.partitions.values().all(Partition::is_at_rest);
        if !restores && !self.partitions.values().any(|partition| partition.sweep.reads()) {
            return Ok(());
        }
        let locating: Vec<i32> = self.partitions.values().filter(|p| p.is_locating()).map(|p| p.number).collect();
        let mut committed = match locating.as_slice() {
            [] => BTreeMap::new(),
            some => self.committed(some)?,
        };
        // Behind an offset that an adoption has committed there is its record in the registry, so: in this order.
        if !committed.is_empty() && tolerate(self.fixtures.registry.refresh())?.is_none() {
            committed.clear();
        }
        for partition in self.partitions.values_mut() {
            if committed.contains_key(&partition.number) {
                let replaced = self.fixtures.registry.replaced(partition.number);
                partition.inbox = inbox_name(&self.fixtures.inbox, replaced).into();
            }
            partition.locate(&mut self.kafka, committed.get(&partition.number).copied())?;
        }
        self.tell_waiting();
        let until = Instant::now() + if restores { RESTORE_SLICE } else { SWEEP_SLICE };
        while self.partitions.values().any(|p| matches!(p.phase, Phase::Reading(_)) || p.sweep.reads()) {
            let left = until.saturating_duration_since(Instant::now());
            let mut taken = Ok(());
            let take = &mut |number: i32, key: &[u8], value: Option<&[u8]>| {
                if taken.is_ok()
                    && let Some(partition) = self.partitions.get_mut(&number)
                {
                    taken = partition.take(key, value, &self.fixtures.schemas);
                }
            };
            let polled = self.kafka.poll_contexts(left, take).map_err(LaneError::Kafka)?;
            taken?;
            match polled {
                ContextsPolled::Idle => break,
                ContextsPolled::Taken => {}
                ContextsPolled::End(number) => {
                    self.swept(number)?;
                    self.restored(number)?;
                }
            }
            if left.is_zero() {
                break;
            }
        }
        Ok(())
    }

    /// The committed offsets of these partitions, where they are stable.
    fn committed(&mut self, locating: &[i32]) -> Result<BTreeMap<i32, Option<i64>>, LaneError> {
        let answer = self.kafka.committed(locating);
        if let Err(fault) = &answer {
            for number in locating {
                if let Some(partition) = self.partitions.get_mut(number) {
                    partition.waits_for = Some(WaitsFor::Offset(fault.to_string()));
                }
            }
        }
        Ok(tolerate(answer)?.unwrap_or_default())
    }

    /// A transaction that keeps a restore waiting is ended by the brokers within its time-out. One that they forgot is
    /// not, and whoever waits for it must not do so in silence.
    fn tell_waiting(&mut self) {
        for partition in self.partitions.values() {
            let number = partition.number;
            let Some((time, waits_for)) = partition.waiting() else {
                if self.restores_waiting.over(number) {
                    self.health.assigned(&[number]);
                }
                continue;
            };
            if time < self.fixtures.restore_patience {
                continue;
            }
            let contexts = &self.fixtures.contexts;
            let reason = match waits_for {
                WaitsFor::Offset(fault) => format!(
                    "its committed offset is not told: {fault}; where the brokers answer, look for a transaction that \
                     hangs: kafka-transactions.sh find-hanging --broker-id ID (topic __consumer_offsets)"
                ),
                WaitsFor::TransactionAt(offset) => format!(
                    "a transaction is open in {contexts} since offset {offset}; where it stays so, end it: \
                     kafka-transactions.sh abort --topic {contexts} --partition {number} --start-offset {offset}"
                ),
            };
            self.restores_waiting.emit(number, time.as_secs_f64(), &reason);
            self.health.waits(number, reason);
        }
    }

    pub(super) fn restored(&mut self, number: i32) -> Result<(), LaneError> {
        let Some(partition) = self.partitions.get_mut(&number) else { return Ok(()) };
        match partition.finish(&mut self.kafka)? {
            Some(restored) => {
                PartitionRestored { partition: number, contexts: restored.contexts, seconds: restored.seconds }.emit();
                self.health.restored(number);
                gauges(partition);
                if self.partitions.values().all(Partition::is_restored) {
                    allocator::release_freed();
                }
            }
            // The end is told once: what could not be finished now starts over.
            None if matches!(partition.phase, Phase::Reading(_)) => self.start_over(number),
            None => {}
        }
        Ok(())
    }

    /// Forgets what is known of a partition and restores it as at its assignment.
    pub(super) fn start_over(&mut self, number: i32) {
        self.waiting.retain(|message| message.partition != number);
        for answer in [self.kafka.pause(&[number]), self.kafka.leave_contexts(number)] {
            if let Err(fault) = answer {
                tracing::debug!(%fault, partition = number, "restore starts over");
            }
        }
        self.health.assigned(&[number]);
        self.partitions.insert(number, Partition::new(number, Arc::clone(&self.fixtures.inbox)));
    }

    /// A partition with an execution whose workflow this router does not run waits for one that does.
    pub(super) fn stop_partitions(&mut self, batch: &Batch) {
        for (number, workflow_id) in &batch.unlisted {
            let reason = format!("it holds an execution of workflow {workflow_id:?}, which this router does not run");
            tracing::error!(partition = number, reason, "a partition is stopped");
            if let Err(fault) = self.kafka.pause(&[*number]) {
                tracing::debug!(%fault, partition = number, "pausing a stopped partition");
            }
            self.health.stopped(*number, reason);
            self.waiting.retain(|message| message.partition != *number);
            if let Some(partition) = self.partitions.get_mut(number) {
                partition.phase = Phase::Stopped;
            }
        }
    }

    /// A partition whose next record needs a schema that can't be looked up now is left alone for a while.
    pub(super) fn hold_partitions(&mut self, batch: &Batch) {
        for (number, fault) in &batch.held {
            tracing::warn!(partition = number, %fault, "a record's schema can't be looked up: its partition waits");
            if let Err(fault) = self.kafka.pause(&[*number]) {
                tracing::debug!(%fault, partition = number, "pausing a partition that waits");
            }
            self.waiting.retain(|message| message.partition != *number);
            if let Some(partition) = self.partitions.get_mut(number) {
                partition.phase = Phase::Held { until: Instant::now() + HELD };
            }
        }
    }
}
