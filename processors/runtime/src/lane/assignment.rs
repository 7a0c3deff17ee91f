//! Step 2: what was assigned is restored, what was revoked is forgotten.

use std::collections::BTreeMap;
use std::time::Instant;

use super::batch::Batch;
use super::partition::{Partition, Phase, tolerate};
use super::{Lane, LaneError, RESTORE_SLICE, SWEEP_SLICE, gauges};
use crate::kafka::{ContextsPolled, Kafka};
use crate::telemetry::{PartitionAssigned, PartitionRestored, PartitionRevoked};

impl<K: Kafka> Lane<K> {
    pub(super) fn assigned(&mut self, partitions: Vec<i32>, generation: K::Generation) {
        self.generation = Some(generation);
        for number in partitions {
            PartitionAssigned { partition: number }.emit();
            self.health.assigned(&[number]);
            self.partitions.insert(number, Partition::new(number));
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
        let committed = match locating.as_slice() {
            [] => BTreeMap::new(),
            some => tolerate(self.kafka.committed(some))?.unwrap_or_default(),
        };
        for partition in self.partitions.values_mut() {
            partition.locate(&mut self.kafka, committed.get(&partition.number).copied())?;
        }
        let until = Instant::now() + if restores { RESTORE_SLICE } else { SWEEP_SLICE };
        while self.partitions.values().any(|p| matches!(p.phase, Phase::Reading(_)) || p.sweep.reads()) {
            let left = until.saturating_duration_since(Instant::now());
            match self.kafka.poll_contexts(left).map_err(LaneError::Kafka)? {
                ContextsPolled::Idle => break,
                ContextsPolled::Record(number, key, value) => {
                    if let Some(partition) = self.partitions.get_mut(&number) {
                        partition.take(&key, value, &self.fixtures.schemas)?;
                    }
                }
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

    pub(super) fn restored(&mut self, number: i32) -> Result<(), LaneError> {
        let Some(partition) = self.partitions.get_mut(&number) else { return Ok(()) };
        match partition.finish(&mut self.kafka, &self.fixtures.schemas)? {
            Some(restored) => {
                PartitionRestored { partition: number, contexts: restored.contexts, seconds: restored.seconds }.emit();
                self.health.restored(number);
                gauges(partition);
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
        self.partitions.insert(number, Partition::new(number));
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
}
