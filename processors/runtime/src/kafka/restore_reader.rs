//! Reads contexts partitions from their beginning to their end, beside the group.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::listener::EndIsNoError;
use super::rdkafka_client::{judged, retriable, whole_millis};
use super::{ContextsPolled, KafkaFault, NotAuthorized, TakeContext};

/// Records that one poll takes at most: so many go by between two looks at the clock.
const TAKEN_MAX: usize = 64;

/// A consumer without subscription, read_committed.
pub(super) struct RestoreReader {
    consumer: BaseConsumer<EndIsNoError>,
    topic: String,
    /// The partitions that are read.
    reading: BTreeSet<i32>,
}

impl RestoreReader {
    pub fn new(consumer: BaseConsumer<EndIsNoError>, topic: String) -> RestoreReader {
        RestoreReader { consumer, topic, reading: BTreeSet::new() }
    }

    pub fn stable_end(&self, partition: i32, timeout: Duration) -> Result<i64, KafkaFault> {
        let range = self.consumer.fetch_watermarks(&self.topic, partition, timeout);
        range.map(|(_, end)| end).map_err(|e| judged(e, || NotAuthorized::topic("Describe", &self.topic)))
    }

    pub fn read(&mut self, partition: i32) -> Result<(), KafkaFault> {
        self.leave(partition)?;
        self.consumer.incremental_assign(&self.list(partition)?).map_err(retriable)?;
        self.reading.insert(partition);
        Ok(())
    }

    pub fn leave(&mut self, partition: i32) -> Result<(), KafkaFault> {
        if self.reading.remove(&partition) {
            self.consumer.incremental_unassign(&self.list(partition)?).map_err(retriable)?;
        }
        Ok(())
    }

    /// One partition, from its beginning. The others are let alone: an assignment of all anew could stop one that had
    /// not begun, at which librdkafka 2.12 ends the process (its issue 5573).
    fn list(&self, partition: i32) -> Result<TopicPartitionList, KafkaFault> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Beginning).map_err(retriable)?;
        Ok(list)
    }

    pub fn poll(&mut self, timeout: Duration, take: TakeContext) -> Result<ContextsPolled, KafkaFault> {
        let deadline = Instant::now() + timeout;
        let mut taken = 0;
        loop {
            let left = if taken == 0 { deadline.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            match self.consumer.poll(whole_millis(left)) {
                None if taken == 0 => return Ok(ContextsPolled::Idle),
                None => return Ok(ContextsPolled::Taken),
                Some(Ok(message)) => {
                    take(message.partition(), message.key().unwrap_or_default(), message.payload());
                    taken += 1;
                    if taken == TAKEN_MAX {
                        return Ok(ContextsPolled::Taken);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => return Ok(ContextsPolled::End(partition)),
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    return Err(KafkaFault::Fatal(code.to_string()));
                }
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::TopicAuthorizationFailed))) => {
                    return Err(NotAuthorized::topic("Read", &self.topic).into());
                }
                // It goes on, and its context has told it.
                Some(Err(_)) if left.is_zero() => return Ok(ContextsPolled::Idle),
                Some(Err(_)) => {}
            }
        }
    }
}
