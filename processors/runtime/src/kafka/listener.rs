//! Hears of rebalances inside the consumer's poll.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use crate::telemetry::ClientErrors;

/// The group's metadata as of one assign callback: it carries the generation.
pub type Generation = Arc<ConsumerGroupMetadata>;

/// A change of the assignment, in the order in which the callbacks came.
pub(super) enum Change {
    Assigned(Vec<i32>, Generation),
    Revoked(Vec<i32>),
}

/// Context of the lane's consumer.
///
/// What was assigned begins, for librdkafka, at the beginning of the partition and is paused before it can deliver:
/// where it really goes on is what restore finds out. Without an offset here a partition that nothing was ever
/// committed of would be in error, and could not be sought. The group's metadata is taken in the callback and nowhere
/// else: read outside, it may be newer than what the lane knows.
pub(super) struct RebalanceListener {
    changes: Mutex<VecDeque<Change>>,
    errors: ClientErrors,
}

impl Default for RebalanceListener {
    fn default() -> Self {
        RebalanceListener { changes: Mutex::default(), errors: ClientErrors::of("consumer of the inbox") }
    }
}

impl RebalanceListener {
    /// The oldest change that was not taken yet.
    pub fn next(&self) -> Option<Change> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn tell(&self, change: Change) {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, assigned: &mut TopicPartitionList) -> KafkaResult<()> {
        assigned.set_all_offsets(Offset::Beginning)?;
        consumer.incremental_assign(assigned)?;
        if assigned.count() > 0 {
            consumer.pause(assigned)?;
        }
        if let Some(metadata) = consumer.group_metadata() {
            self.tell(Change::Assigned(numbers(assigned), Arc::new(metadata)));
        }
        Ok(())
    }
}

fn numbers(partitions: &TopicPartitionList) -> Vec<i32> {
    partitions.elements().iter().map(|partition| partition.partition()).collect()
}

impl ClientContext for RebalanceListener {
    fn error(&self, error: KafkaError, reason: &str) {
        self.errors.emit(&error.to_string(), reason);
    }
}

impl ConsumerContext for RebalanceListener {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let answered = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, partitions),
            _ => {
                self.tell(Change::Revoked(numbers(partitions)));
                consumer.incremental_unassign(partitions)
            }
        };
        if let Err(error) = answered {
            tracing::error!(%error, "a rebalance could not be answered");
        }
    }
}

/// Context of the lane's other consumers, for which the end of a partition is no error.
pub(super) struct EndIsNoError(ClientErrors);

impl EndIsNoError {
    /// That of this consumer, by what it is for.
    pub fn of(consumer: &'static str) -> EndIsNoError {
        EndIsNoError(ClientErrors::of(consumer))
    }
}

impl ClientContext for EndIsNoError {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            self.0.emit(&error.to_string(), reason);
        }
    }
}

impl ConsumerContext for EndIsNoError {}
