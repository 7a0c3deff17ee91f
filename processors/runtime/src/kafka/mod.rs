//! What a lane needs of Kafka, as one narrow trait, so that another client can be put under it.

mod listener;
mod not_authorized;
mod outgoing;
mod rdkafka_client;
mod restore_reader;
mod transaction;

pub use not_authorized::{NotAuthorized, is_denied};
pub use outgoing::{Outgoing, OutgoingRef, Records};
pub(crate) use rdkafka_client::judged;
pub use rdkafka_client::{KafkaSettings, RdKafka};

use std::collections::BTreeMap;
use std::time::Duration;

use thalweg_core::Micros;
use thalweg_core::original_record::{OriginalHeader, OriginalRecord};

/// A client of Kafka for one lane: one consumer in the group, its transactions, and what restore reads.
pub trait Kafka {
    /// The group's generation as the lane knows it: what fences a transaction against a zombie.
    type Generation: Clone;

    /// One record, one change of the assignment, or nothing within `timeout`.
    ///
    /// Newly assigned partitions are paused; they deliver after [`Kafka::serve`].
    ///
    /// # Errors
    /// [`KafkaFault::Fatal`] where the client can't go on.
    fn poll(&mut self, timeout: Duration) -> Result<Polled<Self::Generation>, KafkaFault>;

    /// Delivers these partitions of the inbox from these offsets on: seek, then resume.
    ///
    /// # Errors
    /// Where the seek failed; the caller tries again or has lost the partition.
    fn serve(&mut self, offsets: &[(i32, i64)]) -> Result<(), KafkaFault>;

    /// Stops delivering these partitions.
    ///
    /// # Errors
    /// Where they are not assigned any more.
    fn pause(&mut self, partitions: &[i32]) -> Result<(), KafkaFault>;

    /// Begins a transaction.
    ///
    /// # Errors
    /// Where none could be begun; nothing is open then.
    fn begin(&mut self) -> Result<(), KafkaFault>;

    /// Adds a record to the open transaction.
    ///
    /// # Errors
    /// Where it was not taken; the caller aborts.
    fn write(&mut self, record: &OutgoingRef) -> Result<(), KafkaFault>;

    /// Sends a record outside of the transaction; [`Kafka::forwarded`] waits for it.
    ///
    /// # Errors
    /// Where it was not taken; the caller aborts.
    fn forward(&mut self, record: &OutgoingRef) -> Result<(), KafkaFault>;

    /// Waits until every forwarded record is acknowledged.
    ///
    /// # Errors
    /// Where one was not; the caller aborts.
    fn forwarded(&mut self) -> Result<(), KafkaFault>;

    /// Adds the inbox offsets to the open transaction, under this generation.
    ///
    /// # Errors
    /// Where the group refused them, a zombie's among others; the caller aborts.
    fn send_offsets(&mut self, offsets: &[(i32, i64)], generation: &Self::Generation) -> Result<(), KafkaFault>;

    /// Waits until every record of the transaction is acknowledged or refused; [`Kafka::commit`] tells which.
    fn drain(&mut self);

    /// Commits the open transaction.
    fn commit(&mut self) -> Ended;

    /// Aborts the open transaction.
    fn abort(&mut self) -> Ended;

    /// After [`Ended::Unknown`]: finds out what became of the transaction, by the broker's own fencing.
    ///
    /// # Errors
    /// Where the broker could not be reached in time; the caller tries again.
    fn resolve(&mut self) -> Result<(), KafkaFault>;

    /// The stable committed offset of each inbox partition, or none where nothing was ever committed.
    ///
    /// # Errors
    /// Where it is not stable yet, or not to be had; the caller tries again.
    fn committed(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, Option<i64>>, KafkaFault>;

    /// First and end offset of an inbox partition.
    ///
    /// # Errors
    /// As [`Kafka::committed`].
    fn inbox_range(&mut self, partition: i32) -> Result<(i64, i64), KafkaFault>;

    /// End offset of a contexts partition, uncommitted records included.
    ///
    /// # Errors
    /// As [`Kafka::committed`].
    fn contexts_end(&mut self, partition: i32) -> Result<i64, KafkaFault>;

    /// End offset of what is committed in a contexts partition.
    ///
    /// # Errors
    /// As [`Kafka::committed`].
    fn contexts_stable_end(&mut self, partition: i32) -> Result<i64, KafkaFault>;

    /// Reads a contexts partition from its beginning.
    ///
    /// # Errors
    /// Where it can't be assigned.
    fn read_contexts(&mut self, partition: i32) -> Result<(), KafkaFault>;

    /// Gives the next records of the contexts partitions that are read to `take`, some dozens at most, or tells that one
    /// was read to its end.
    ///
    /// # Errors
    /// Where the client can't go on.
    fn poll_contexts(&mut self, timeout: Duration, take: TakeContext) -> Result<ContextsPolled, KafkaFault>;

    /// Stops reading a contexts partition.
    ///
    /// # Errors
    /// Where the rest can't be assigned.
    fn leave_contexts(&mut self, partition: i32) -> Result<(), KafkaFault>;

    /// Leaves the group, so that others take over at once.
    fn close(&mut self);
}

/// What a poll came to.
#[derive(Debug)]
pub enum Polled<G> {
    /// An inbox record.
    Record(InboxMessage),
    /// These partitions were added, maybe none; the generation is that of the group from now on.
    Assigned(Vec<i32>, G),
    /// These partitions are lost; until the next assignment there is no generation to commit under.
    Revoked(Vec<i32>),
    /// Nothing.
    Idle,
}

/// A record of the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxMessage {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Microseconds since the epoch.
    pub timestamp: Micros,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value.
    pub value: Option<Vec<u8>>,
    /// Headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl InboxMessage {
    /// Key, value and headers, to be kept.
    pub fn original(&self) -> OriginalRecord {
        let headers = self.headers.iter();
        OriginalRecord {
            key: self.key.clone(),
            value: self.value.clone().unwrap_or_default(),
            headers: headers.map(|(name, value)| OriginalHeader { name: name.clone(), value: value.clone() }).collect(),
        }
    }

    /// The newest header of this name as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.headers.iter().rev().find(|(key, _)| key == name)?.1.as_deref()?;
        std::str::from_utf8(value).ok()
    }

    /// Bytes of key and value.
    pub fn bytes(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// Takes a record of the contexts as it lies in the client's memory: partition, key, value (none: a tombstone).
pub type TakeContext<'a> = &'a mut dyn FnMut(i32, &[u8], Option<&[u8]>);

/// What polling the contexts came to.
#[derive(Debug)]
pub enum ContextsPolled {
    /// A record was taken.
    Taken,
    /// The partition was read to its end.
    End(i32),
    /// Nothing.
    Idle,
}

/// How a transaction ended.
#[derive(Debug)]
pub enum Ended {
    /// Committed.
    Committed,
    /// Aborted, and the broker said so; or it never began.
    Aborted(KafkaFault),
    /// Nobody knows yet: an answer is missing, or the transaction outlived its time.
    Unknown(KafkaFault),
    /// The process can't go on.
    Fatal(KafkaFault),
}

/// What went wrong with Kafka, sorted into what a lane does about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KafkaFault {
    /// The group has moved on: abort, undo, poll.
    #[error("the group has moved on: {0}")]
    Rebalance(String),
    /// It may work the next time.
    #[error("{0}")]
    Retriable(String),
    /// Another producer has this transactional id.
    #[error("INSTANCE_IN_USE: another process uses this instance name, give each its own: {0}")]
    InstanceInUse(String),
    /// A right lacks.
    #[error(transparent)]
    NotAuthorized(#[from] NotAuthorized),
    /// It won't work again.
    #[error("{0}")]
    Fatal(String),
}
