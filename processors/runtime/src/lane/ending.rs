//! Step 5: a transaction has ended; the caches take it in, or it is undone, or found out about.

use std::sync::Arc;
use std::time::Instant;

use super::batch::{Batch, ChangedRecord};
use super::{BACKOFF, Lane, LaneError, gauges};
use crate::fail_point::FailPoint;
use crate::kafka::{Ended, Kafka, KafkaFault};
use crate::telemetry::{TransactionEnded, TransactionOutcome};

impl<K: Kafka> Lane<K> {
    pub(super) fn publish(
        &mut self,
        batch: Batch,
        changed: Vec<ChangedRecord>,
        ended: Ended,
        began: Instant,
    ) -> Result<(), LaneError> {
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
                self.take_effect(batch, changed)
            }
            Ended::Aborted(fault) => {
                drop(changed);
                self.undo(batch, &fault)
            }
            Ended::Unknown(fault) => {
                tracing::warn!(%fault, "the outcome of a transaction is unknown: its partitions are restored");
                let partitions: Vec<i32> = batch.offsets.keys().copied().collect();
                self.resolve()?;
                for number in partitions {
                    if self.partitions.contains_key(&number) {
                        self.start_over(number);
                    }
                }
                Ok(())
            }
            Ended::Fatal(fault) => Err(LaneError::Kafka(fault)),
        }
    }

    pub(super) fn take_effect(&mut self, mut batch: Batch, changed: Vec<ChangedRecord>) -> Result<(), LaneError> {
        let schemas = Arc::clone(&self.fixtures.schemas);
        // Of an execution that has closed no more than its stub is kept: its records need not pass through the cache.
        for record in changed.into_iter().filter(|record| !batch.closes(&record.key)) {
            if let Some(partition) = self.partitions.get_mut(&record.outgoing.partition) {
                let value = record.outgoing.value.unwrap_or_default();
                partition.cache.put(&record.key, value, &schemas).map_err(LaneError::Record)?;
            }
        }
        for (number, execution) in batch.executions() {
            let Some(partition) = self.partitions.get_mut(&number) else { continue };
            partition.timers.set(execution.id(), execution.timers());
            if let Some(stub) = execution.stub() {
                partition.cache.close(execution.id(), stub, &schemas);
            } else if execution.has_queued() {
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
        batch.tally.emit();
        Ok(())
    }

    /// After an abort: nothing has happened. The caches never knew; the inbox is read again from where it was, and the
    /// executions with pending work are found again.
    pub(super) fn undo(&mut self, batch: Batch, fault: &KafkaFault) -> Result<(), LaneError> {
        match fault {
            KafkaFault::Rebalance(_) => tracing::info!(%fault, "a transaction was aborted: the group has moved on"),
            _ => {
                tracing::warn!(%fault, "a transaction was aborted and is tried again");
                std::thread::sleep(self.backoff);
                self.backoff = (self.backoff * 2).min(BACKOFF.1);
            }
        }
        for (number, id) in batch.gone_on.into_iter().rev() {
            if let Some(partition) = self.partitions.get_mut(&number) {
                partition.due.put_back(id);
            }
        }
        for (number, _) in &batch.forgotten {
            self.abandon_sweep(*number);
        }
        self.waiting.retain(|message| !batch.offsets.contains_key(&message.partition));
        for number in batch.offsets.into_keys() {
            let Some(partition) = self.partitions.get(&number) else { continue };
            if let Err(fault) = self.kafka.serve(&[(number, partition.next_offset)]) {
                tracing::info!(%fault, partition = number, "could not go back after an abort: it is restored");
                self.start_over(number);
            }
        }
        Ok(())
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
