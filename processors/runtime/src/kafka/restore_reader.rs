//! Reads contexts partitions from their beginning to their end, beside the group.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::listener::EndIsNoError;
use super::rdkafka_client::{judged, retriable};
use super::{ContextsPolled, KafkaFault, NotAuthorized};

/// A consumer without subscription, read_committed.
pub(super) struct RestoreReader {
    consumer: BaseConsumer<EndIsNoError>,
    topic: String,
    /// The partitions that are read, each with the offset to go on from; none yet: the beginning.
    reading: BTreeMap<i32, Option<i64>>,
}

impl RestoreReader {
    pub fn new(consumer: BaseConsumer<EndIsNoError>, topic: String) -> RestoreReader {
        RestoreReader { consumer, topic, reading: BTreeMap::new() }
    }

    pub fn stable_end(&self, partition: i32, timeout: Duration) -> Result<i64, KafkaFault> {
        let range = self.consumer.fetch_watermarks(&self.topic, partition, timeout);
        range.map(|(_, end)| end).map_err(|e| judged(e, || NotAuthorized::topic("Describe", &self.topic)))
    }

    pub fn read(&mut self, partition: i32) -> Result<(), KafkaFault> {
        self.reading.insert(partition, None);
        self.assign()
    }

    pub fn leave(&mut self, partition: i32) -> Result<(), KafkaFault> {
        if self.reading.remove(&partition).is_some() { self.assign() } else { Ok(()) }
    }

    fn assign(&self) -> Result<(), KafkaFault> {
        let mut list = TopicPartitionList::new();
        for (partition, next) in &self.reading {
            let offset = next.map_or(Offset::Beginning, Offset::Offset);
            list.add_partition_offset(&self.topic, *partition, offset).map_err(retriable)?;
        }
        self.consumer.assign(&list).map_err(retriable)
    }

    pub fn poll(&mut self, timeout: Duration) -> Result<ContextsPolled, KafkaFault> {
        match self.consumer.poll(timeout) {
            None => Ok(ContextsPolled::Idle),
            Some(Ok(message)) => {
                let partition = message.partition();
                if let Some(next) = self.reading.get_mut(&partition) {
                    *next = Some(message.offset() + 1);
                }
                let key = message.key().unwrap_or_default().to_vec();
                Ok(ContextsPolled::Record(partition, key, message.payload().map(<[u8]>::to_vec)))
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => Ok(ContextsPolled::End(partition)),
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => Err(KafkaFault::Fatal(code.to_string())),
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::TopicAuthorizationFailed))) => {
                Err(NotAuthorized::topic("Read", &self.topic).into())
            }
            Some(Err(_)) => Ok(ContextsPolled::Idle),
        }
    }
}
