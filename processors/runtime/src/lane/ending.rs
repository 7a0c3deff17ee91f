//! Step 5: a transaction has ended; the caches take it in, or it is undone, or found out about.

use std::sync::Arc;
use std::time::Instant;

use thalweg_core::context::RecordKey;

use super::batch::{Batch, Topic};
use super::{BACKOFF, Lane, LaneError, gauges};
use crate::fail_point::FailPoint;
use crate::kafka::{Ended, Kafka, KafkaFault, Records};
use crate::telemetry::{TransactionEnded, TransactionOutcome};

impl<K: Kafka> Lane<K> {
    /// Returns the memory of the transaction's records, for the next one.
    pub(super) fn publish(
        &mut self,
        mut batch: Batch,
        ended: Ended,
        began: Instant,
    ) -> Result<Records<Topic>, LaneError> {
        let outcome = match &ended {
            Ended::Committed => TransactionOutcome::Committed,
            Ended::Aborted(_) => TransactionOutcome::Aborted,
            Ended::Unknown(_) | Ended::Fatal(_) => TransactionOutcome::Unknown,
        };
        let (seconds, inputs) = (began.elapsed().as_secs_f64(), batch.tally.inputs());
        TransactionEnded { outcome, seconds, inputs }.emit();
        match ended {
            Ended::Committed => {
                self.pass(FailPoint::AfterCommit);
                self.backoff = BACKOFF.0;
                self.take_effect(&mut batch)?;
                std::mem::take(&mut batch.tally).emit();
            }
            Ended::Aborted(fault) => self.undo(&mut batch, &fault),
            Ended::Unknown(fault) => {
                tracing::warn!(%fault, "the outcome of a transaction is unknown: its partitions are restored");
                let partitions: Vec<i32> = batch.offsets.keys().copied().collect();
                self.resolve()?;
                for number in partitions {
                    if self.partitions.contains_key(&number) {
                        self.start_over(number);
                    }
                }
            }
            Ended::Fatal(fault) => return Err(LaneError::Kafka(fault)),
        }
        Ok(batch.into_records())
    }

    fn take_effect(&mut self, batch: &mut Batch) -> Result<(), LaneError> {
        let schemas = Arc::clone(&self.fixtures.schemas);
        // Of an execution that has closed no more than its stub is kept: its records need not pass through the cache.
        for (number, key, value) in batch.changed() {
            if let Some(partition) = self.partitions.get_mut(&number) {
                partition.cache.put(key, value, &schemas).map_err(LaneError::Record)?;
            }
        }
        for (number, hash, id, stub) in batch.closed() {
            if let Some(partition) = self.partitions.get_mut(&number) {
                partition.timers.set(id, None);
                partition.unstarted.set(id, false);
                partition.cache.close(hash, stub);
            }
        }
        for (number, execution) in batch.open() {
            let Some(partition) = self.partitions.get_mut(&number) else { continue };
            partition.timers.set(execution.id(), execution.timers());
            partition.unstarted.set(execution.id(), execution.awaits_start());
            if execution.is_given_up() {
                let root = RecordKey::Root(execution.id().to_owned());
                partition.cache.remove(&root).map_err(LaneError::Record)?;
            }
            if execution.has_queued() {
                partition.due.push(execution.id());
            }
        }
        self.forgotten(std::mem::take(&mut batch.forgotten));
        for (number, offset) in &batch.offsets {
            if let Some(partition) = self.partitions.get_mut(number) {
                partition.next_offset = *offset;
                gauges(partition);
            }
        }
        Ok(())
    }

    /// After an abort: nothing has happened. The caches never knew; the inbox is read again from where it was, and the
    /// executions with pending work are found again.
    fn undo(&mut self, batch: &mut Batch, fault: &KafkaFault) {
        match fault {
            KafkaFault::Rebalance(_) => tracing::info!(%fault, "a transaction was aborted: the group has moved on"),
            _ => {
                tracing::warn!(%fault, "a transaction was aborted and is tried again");
                std::thread::sleep(self.backoff);
                self.backoff = (self.backoff * 2).min(BACKOFF.1);
            }
        }
        for (number, id) in std::mem::take(&mut batch.gone_on).into_iter().rev() {
            if let Some(partition) = self.partitions.get_mut(&number) {
                partition.due.put_back(id);
            }
        }
        for (number, _) in &batch.forgotten {
            self.abandon_sweep(*number);
        }
        self.waiting.retain(|message| !batch.offsets.contains_key(&message.partition));
        for number in batch.offsets.keys().copied() {
            let Some(partition) = self.partitions.get(&number) else { continue };
            if let Err(fault) = self.kafka.serve(&[(number, partition.next_offset)]) {
                tracing::info!(%fault, partition = number, "could not go back after an abort: it is restored");
                self.start_over(number);
            }
        }
    }

    pub(super) fn resolve(&mut self) -> Result<(), LaneError> {
        while !self.is_stopped() {
            match self.kafka.resolve() {
                Ok(()) => return Ok(()),
                Err(fault @ (KafkaFault::Fatal(_) | KafkaFault::InstanceInUse(_) | KafkaFault::NotAuthorized(_))) => {
                    return Err(LaneError::Kafka(fault));
                }
                Err(fault) => tracing::warn!(%fault, "the broker does not answer; the transaction stays unknown"),
            }
        }
        Ok(())
    }
}
