//! Reads what is committed in topics: to the end that they have now, or on and on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use thalweg_runtime::kafka::{NotAuthorized, is_denied};

use crate::connection::Connection;
use crate::error::CommandError;

/// How long the brokers may take to tell offsets, or to deliver the next record of those that are there.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Before offsets are asked for again.
const LEADER_PAUSE: Duration = Duration::from_millis(50);

/// A partition with the offsets of its first record and of its committed end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Its first offset.
    pub begin: i64,
    /// Its end, as a reader of what is committed sees it.
    pub end: i64,
}

/// What a poll came to.
pub enum Polled<'a> {
    /// A record.
    Record(BorrowedMessage<'a>),
    /// A partition was read to its end.
    End(i32),
    /// Nothing.
    Nothing,
}

impl Connection {
    /// The offsets of these partitions.
    ///
    /// # Errors
    /// Where the brokers don't tell them.
    pub fn spans(&self, partitions: &[(&str, i32)]) -> Result<Vec<Span>, CommandError> {
        let begins = self.offsets(partitions, Offset::Beginning)?;
        let ends = self.offsets(partitions, Offset::End)?;
        let spans = partitions.iter().zip(begins.into_iter().zip(ends));
        Ok(spans
            .map(|((topic, partition), (begin, end))| Span {
                topic: (*topic).to_owned(),
                partition: *partition,
                begin,
                end,
            })
            .collect())
    }

    /// Asks for the first or the end offsets, of all partitions at once, in their order.
    fn offsets(&self, partitions: &[(&str, i32)], which: Offset) -> Result<Vec<i64>, CommandError> {
        let mut asked = TopicPartitionList::with_capacity(partitions.len());
        for (topic, partition) in partitions {
            asked.add_partition_offset(topic, *partition, which)?;
        }
        let deadline = Instant::now() + TIMEOUT;
        let told = loop {
            match self.consumer().offsets_for_times(asked.clone(), TIMEOUT) {
                Ok(told) => break told,
                Err(_) if Instant::now() >= deadline => return Err(self.unreachable()),
                // A topic that was created just now has no leader for a moment.
                Err(_) => std::thread::sleep(LEADER_PAUSE),
            }
        };
        let offset = |(topic, partition): &(&str, i32)| match told.find_partition(topic, *partition) {
            Some(element) => {
                element.error()?;
                match element.offset() {
                    Offset::Offset(offset) => Ok(offset),
                    _ => Err(self.unreachable()),
                }
            }
            None => Err(CommandError::NotFound(format!("no partition {partition} in topic {topic}"))),
        };
        partitions.iter().map(offset).collect()
    }

    /// Gives every record that these partitions of a topic have now to `take`.
    ///
    /// # Errors
    /// Where Kafka stops answering, or `take` fails.
    pub fn read_to_end(
        &self,
        spans: &[Span],
        mut take: impl FnMut(&BorrowedMessage) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        // The end of a partition is told without its topic, so topics are read one after the other.
        let mut by_topic: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
        for span in spans.iter().filter(|span| span.begin < span.end) {
            by_topic.entry(&span.topic).or_default().push(span);
        }
        for (topic, spans) in &by_topic {
            self.start_at(spans.iter().map(|span| (span.topic.as_str(), span.partition, span.begin)))?;
            let mut left: BTreeMap<i32, i64> = spans.iter().map(|span| (span.partition, span.end)).collect();
            let mut heard = Instant::now();
            while !left.is_empty() {
                match self.poll(Duration::from_millis(100)).map_err(|error| named(error, topic))? {
                    Polled::Record(message) => {
                        heard = Instant::now();
                        take(&message)?;
                        if left.get(&message.partition()).is_some_and(|end| message.offset() + 1 >= *end) {
                            left.remove(&message.partition());
                        }
                    }
                    // Behind the last record there may be markers of transactions.
                    Polled::End(partition) => {
                        left.remove(&partition);
                    }
                    Polled::Nothing if heard.elapsed() > TIMEOUT => return Err(self.unreachable()),
                    Polled::Nothing => {}
                }
            }
        }
        Ok(())
    }

    /// Reads from these offsets on; [`Connection::poll`] gives the records.
    ///
    /// # Errors
    /// Where librdkafka does not take them.
    pub fn start_at<'a>(&self, offsets: impl IntoIterator<Item = (&'a str, i32, i64)>) -> Result<(), CommandError> {
        let mut list = TopicPartitionList::new();
        for (topic, partition, offset) in offsets {
            list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        }
        Ok(self.consumer().assign(&list)?)
    }

    /// The next record, or the news that a partition was read to its end, or nothing within `timeout`.
    ///
    /// # Errors
    /// Where the client can't go on.
    pub fn poll(&self, timeout: Duration) -> Result<Polled<'_>, CommandError> {
        match self.consumer().poll(timeout) {
            None => Ok(Polled::Nothing),
            Some(Ok(message)) => Ok(Polled::Record(message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => Ok(Polled::End(partition)),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => Err(error.into()),
            // What is read is named by the caller's arguments; librdkafka does not say which topic it is.
            Some(Err(error @ KafkaError::MessageConsumption(RDKafkaErrorCode::TopicAuthorizationFailed))) => {
                Err(error.into())
            }
            // The context has told it, and librdkafka goes on by itself.
            Some(Err(_)) => Ok(Polled::Nothing),
        }
    }
}

/// Names the topic that may not be read, which librdkafka does not.
fn named(error: CommandError, topic: &str) -> CommandError {
    match error {
        CommandError::Kafka(error) if is_denied(error.rdkafka_error_code()) => {
            NotAuthorized::topic("Read", topic).into()
        }
        error => error,
    }
}
