//! Where partitions begin and end, and transactions that hold back their readers.

use std::collections::BTreeMap;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::listener::Listener;
use super::{InspectionError, Inspector, TIMEOUT, Taken, patiently, take};

/// The offsets of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Of its first record.
    pub begin: i64,
    /// The end for a reader of what is committed: the first offset of the oldest open transaction.
    pub stable_end: i64,
    /// The end.
    pub end: i64,
}

/// The oldest open transaction of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Of its first record.
    pub offset: i64,
    /// The time of its first record, in milliseconds since the epoch, on its writer's clock.
    pub began: Option<i64>,
}

impl Inspector {
    /// The offsets of these partitions. Those that are not told are left out.
    ///
    /// # Errors
    /// Where the brokers don't answer.
    pub fn spans(&self, partitions: &[(&str, i32)]) -> Result<BTreeMap<(String, i32), Span>, InspectionError> {
        let begins = ask(&self.committed, partitions, Offset::Beginning)?;
        // In this order a transaction that ends meanwhile looks shorter, not longer.
        let ends = ask(&self.uncommitted, partitions, Offset::End)?;
        let stable_ends = ask(&self.committed, partitions, Offset::End)?;
        let span = |(partition, begin): (&(String, i32), &i64)| {
            let (end, stable_end) = (*ends.get(partition)?, *stable_ends.get(partition)?);
            Some((partition.clone(), Span { begin: *begin, stable_end, end }))
        };
        Ok(begins.iter().filter_map(span).collect())
    }

    /// The first record of each of these partitions whose time is `milliseconds` since the epoch, or later.
    ///
    /// # Errors
    /// Where the brokers don't answer.
    pub(super) fn since(
        &self,
        partitions: &[(&str, i32)],
        milliseconds: i64,
    ) -> Result<BTreeMap<(String, i32), i64>, InspectionError> {
        ask(&self.committed, partitions, Offset::Offset(milliseconds))
    }

    /// The oldest open transaction of a partition, if it is still open.
    ///
    /// # Errors
    /// Where the record can't be read.
    pub fn open_transaction(
        &self,
        topic: &str,
        partition: i32,
        span: Span,
    ) -> Result<Option<OpenTransaction>, InspectionError> {
        if span.stable_end >= span.end {
            return Ok(None);
        }
        let began = time_of(&self.uncommitted, topic, partition, span.stable_end)?;
        let now = ask(&self.committed, &[(topic, partition)], Offset::End)?;
        let still_open = now.get(&(topic.to_owned(), partition)) == Some(&span.stable_end);
        Ok(still_open.then_some(OpenTransaction { offset: span.stable_end, began }))
    }

    /// Does a partition have a committed record from this offset on?
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn has_record(&self, topic: &str, partition: i32, from: i64) -> Result<bool, InspectionError> {
        Ok(self.time_at(topic, partition, from)?.is_some())
    }

    /// The time of the record at an offset, on its writer's clock.
    ///
    /// # Errors
    /// Where it can't be read.
    pub(super) fn time_at(&self, topic: &str, partition: i32, offset: i64) -> Result<Option<i64>, InspectionError> {
        time_of(&self.committed, topic, partition, offset)
    }
}

/// Asks for an offset of all partitions at once.
fn ask(
    consumer: &BaseConsumer<Listener>,
    partitions: &[(&str, i32)],
    which: Offset,
) -> Result<BTreeMap<(String, i32), i64>, InspectionError> {
    if partitions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        asked.add_partition_offset(topic, *partition, which)?;
    }
    let told = patiently(|| consumer.offsets_for_times(asked.clone(), TIMEOUT))?;
    let elements = told.elements();
    let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset() {
        Offset::Offset(offset) if element.error().is_ok() => {
            Some(((element.topic().to_owned(), element.partition()), offset))
        }
        _ => None,
    };
    Ok(elements.iter().filter_map(offset).collect())
}

fn time_of(
    consumer: &BaseConsumer<Listener>,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Option<i64>, InspectionError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    consumer.assign(&list)?;
    let time = take(consumer, TIMEOUT, |message| message.timestamp().to_millis());
    consumer.unassign()?;
    match time? {
        Taken::Record(time) => Ok(time),
        Taken::End => Ok(None),
    }
}
