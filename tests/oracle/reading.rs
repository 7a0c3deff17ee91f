//! Reads topics to their end: everything that was there when the reading began, and was committed.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::record::{Position, Record};
use super::topic_names::TopicNames;

/// For one request and its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// For all that is read: longer than a transaction may stay open.
const DEADLINE: Duration = Duration::from_secs(120);
/// How long one look for a record lasts.
const POLL: Duration = Duration::from_millis(10);

/// Why the topics could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Kafka refused.
    #[error("{what}: {error}")]
    Kafka {
        /// What was asked for.
        what: String,
        /// The answer.
        error: KafkaError,
    },
    /// A topic does not have the partitions that it should.
    #[error("topic {topic} has {found} partitions instead of {expected}")]
    Partitions {
        /// The topic.
        topic: String,
        /// How many it has.
        found: usize,
        /// How many it should have.
        expected: i32,
    },
    /// It took too long; perhaps a transaction stays open.
    #[error("not within {DEADLINE:?}: {0}")]
    Deadline(String),
    /// The schemas can't be used.
    #[error(transparent)]
    Schemas(#[from] thalweg_core::codec::CodecError),
}

fn kafka(what: impl Into<String>) -> impl FnOnce(KafkaError) -> ReadError {
    let what = what.into();
    move |error| ReadError::Kafka { what, error }
}

/// Offsets by partition.
pub type Offsets = BTreeMap<i32, i64>;

/// Reads the topics of one namespace.
pub struct Reading<'a> {
    names: &'a TopicNames,
    /// Sees where logs really end.
    uncommitted: BaseConsumer,
    /// Sees how far they are committed, and reads so far.
    committed: BaseConsumer,
    deadline: Instant,
}

impl<'a> Reading<'a> {
    /// `settings` say how to reach Kafka.
    pub fn new(settings: &ClientConfig, names: &'a TopicNames) -> Result<Reading<'a>, ReadError> {
        let mut settings = settings.clone();
        settings
            .set("group.id", &names.group)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "10");
        let consumer = |isolation: &str| -> Result<BaseConsumer, ReadError> {
            settings.clone().set("isolation.level", isolation).create().map_err(kafka("a consumer"))
        };
        Ok(Reading {
            names,
            uncommitted: consumer("read_uncommitted")?,
            committed: consumer("read_committed")?,
            deadline: Instant::now() + DEADLINE,
        })
    }

    /// Where the partitions of `topic` end, open transactions and markers included.
    pub fn ends(&self, topic: &str) -> Result<Offsets, ReadError> {
        let metadata =
            self.uncommitted.fetch_metadata(Some(topic), REQUEST_TIMEOUT).map_err(kafka(format!("topic {topic}")))?;
        let found = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
        if usize::try_from(self.names.partitions) != Ok(found) {
            return Err(ReadError::Partitions { topic: topic.to_owned(), found, expected: self.names.partitions });
        }
        (0..self.names.partitions).map(|partition| Ok((partition, end(&self.uncommitted, topic, partition)?))).collect()
    }

    /// The next inbox offset that the routers' group has committed for each partition, where it has one.
    pub fn committed(&self) -> Result<Offsets, ReadError> {
        let mut wanted = TopicPartitionList::new();
        for partition in 0..self.names.partitions {
            wanted.add_partition(&self.names.inbox, partition);
        }
        loop {
            // While a transaction with offsets is open the answer is an error, of the whole or of a partition.
            let answer = self.committed.committed_offsets(wanted.clone(), REQUEST_TIMEOUT);
            if let Ok(list) = &answer
                && list.elements().iter().all(|element| element.error().is_ok())
            {
                return Ok(offsets(list));
            }
            self.pause(&self.committed, || format!("the committed offsets of {}: {answer:?}", self.names.group))?;
        }
    }

    /// Hands the committed records of `topic` up to `ends` to `take`, each partition from the offset in `from`, or from
    /// its beginning.
    pub fn read(
        &self,
        topic: &str,
        from: &Offsets,
        ends: &Offsets,
        take: &mut dyn FnMut(Record),
    ) -> Result<(), ReadError> {
        self.await_committed(topic, ends)?;
        let mut list = TopicPartitionList::new();
        for partition in ends.keys() {
            let offset = from.get(partition).map_or(Offset::Beginning, |offset| Offset::Offset(*offset));
            list.add_partition_offset(topic, *partition, offset).map_err(kafka(format!("an offset of {topic}")))?;
        }
        // One topic at a time: what tells the end of a partition does not name its topic.
        let consumer = &self.committed;
        consumer.assign(&list).map_err(kafka(format!("assigning {topic}")))?;
        let mut ended = BTreeSet::new();
        let mut trouble = None;
        while ended.len() < ends.len() {
            match consumer.poll(POLL) {
                Some(Ok(message)) if ends.get(&message.partition()).is_some_and(|end| message.offset() < *end) => {
                    take(owned(topic, &message));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ended.insert(partition);
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(kafka(topic)(error)),
                // A lost connection is mended by the client.
                Some(Err(error)) => trouble = Some(error),
                Some(Ok(_)) | None => {}
            }
            self.check_deadline(|| format!("the end of {topic}; last error: {trouble:?}"))?;
        }
        consumer.unassign().map_err(kafka(format!("leaving {topic}")))
    }

    /// Waits until no transaction is open below `ends`.
    fn await_committed(&self, topic: &str, ends: &Offsets) -> Result<(), ReadError> {
        for (partition, wanted) in ends {
            while end(&self.committed, topic, *partition)? < *wanted {
                self.pause(&self.committed, || format!("the end of a transaction in {topic}/{partition}"))?;
            }
        }
        Ok(())
    }

    /// Is there time left to wait for `what`?
    pub fn check_deadline(&self, what: impl FnOnce() -> String) -> Result<(), ReadError> {
        if Instant::now() >= self.deadline { Err(ReadError::Deadline(what())) } else { Ok(()) }
    }

    /// Lets a moment pass in which the client does its work.
    fn pause(&self, consumer: &BaseConsumer, what: impl FnOnce() -> String) -> Result<(), ReadError> {
        self.check_deadline(what)?;
        // Nothing is assigned, so that there is nothing to lose.
        drop(consumer.poll(POLL));
        Ok(())
    }
}

fn end(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<i64, ReadError> {
    let watermarks = consumer.fetch_watermarks(topic, partition, REQUEST_TIMEOUT);
    watermarks.map(|(_, end)| end).map_err(kafka(format!("the end of {topic}/{partition}")))
}

fn offsets(list: &TopicPartitionList) -> Offsets {
    list.elements()
        .iter()
        .filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        })
        .collect()
}

fn owned(topic: &str, message: &BorrowedMessage) -> Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    });
    Record {
        position: Position::new(topic, message.partition(), message.offset()),
        timestamp: message.timestamp().to_millis().unwrap_or(0) * 1000,
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}
