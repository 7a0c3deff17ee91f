//! The trait on librdkafka.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::listener::{Change, EndIsNoError, Generation, RebalanceListener};
use super::not_authorized::{NotAuthorized, is_denied};
use super::restore_reader::RestoreReader;
use super::transaction::{Forwarder, Transactions};
use super::{ContextsPolled, Ended, InboxMessage, Kafka, KafkaFault, OutgoingRef, Polled, TakeContext};

/// How long a request for offsets may take before the lane goes round again.
const OFFSETS_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one look for stable committed offsets lasts: while another owner's transaction is open there are none, and
/// what is served already must not wait for it.
const COMMITTED_TIMEOUT: Duration = Duration::from_millis(500);
/// What the reader of contexts fetches ahead of the lane: what a restore takes beside them stays taken.
const RESTORE_QUEUE_KBYTES: &str = "8192";
/// How long a seek may take.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);

/// What a lane's client is made from.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// Brokers, security and the user's own settings.
    pub client: ClientConfig,
    /// The inbox.
    pub inbox: String,
    /// The compacted topic of contexts.
    pub contexts: String,
    /// The consumer group.
    pub group: String,
    /// Prefix of the transactional ids, unique to this lane: `<ns>.<instance>.<lane>`.
    pub transactional_id: String,
    /// Milliseconds after which the broker aborts a transaction.
    pub transaction_timeout_ms: u64,
    /// Milliseconds without a heartbeat after which the group gives the partitions away.
    pub session_timeout_ms: u64,
    /// Bytes of the largest record that the lane writes.
    pub message_max_bytes: usize,
}

impl KafkaSettings {
    fn consumer(&self) -> ClientConfig {
        let mut config = self.client.clone();
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("retry.backoff.ms", "5");
        set_unless_given(&mut config, "fetch.queue.backoff.ms", "5");
        config
    }

    fn reader_of_contexts(&self) -> ClientConfig {
        let mut config = self.consumer();
        config
            .set("group.id", format!("{}.restore", self.group))
            .set("enable.partition.eof", "true")
            // The end of a partition is told by an empty answer: it should not be waited for.
            .set("fetch.wait.max.ms", "10")
            .set("auto.offset.reset", "earliest");
        set_unless_given(&mut config, "queued.max.messages.kbytes", RESTORE_QUEUE_KBYTES);
        config
    }

    fn member(&self) -> ClientConfig {
        let mut config = self.consumer();
        config
            .set("group.id", &self.group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", self.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", (self.session_timeout_ms / 10).clamp(100, 3000).to_string());
        config
    }
}

/// Sets what the user's own settings leave open.
fn set_unless_given(config: &mut ClientConfig, name: &str, value: &str) {
    if config.get(name).is_none() {
        config.set(name, value);
    }
}

/// The lane's clients on librdkafka.
pub struct RdKafka {
    settings: KafkaSettings,
    /// None once the group was left.
    consumer: Option<BaseConsumer<RebalanceListener>>,
    uncommitted: BaseConsumer<EndIsNoError>,
    restore: RestoreReader,
    transactions: Transactions,
    forwarder: Option<Forwarder>,
}

impl RdKafka {
    /// Connects: both transactional producers are initialised, then the group is joined.
    ///
    /// # Errors
    /// Where the settings are refused, the brokers can't be reached, or the instance is in use.
    pub fn connect(settings: KafkaSettings) -> Result<RdKafka, KafkaFault> {
        let transactions = Transactions::new(&settings)?;
        let fatal = |error: KafkaError| KafkaFault::Fatal(error.to_string());
        let consumer: BaseConsumer<RebalanceListener> =
            settings.member().create_with_context(RebalanceListener::default()).map_err(fatal)?;
        let mut uncommitted = settings.consumer();
        uncommitted.set("isolation.level", "read_uncommitted").set("group.id", format!("{}.restore", settings.group));
        let kafka = RdKafka {
            uncommitted: uncommitted.create_with_context(EndIsNoError::of("reader of offsets")).map_err(fatal)?,
            restore: RestoreReader::new(
                settings
                    .reader_of_contexts()
                    .create_with_context(EndIsNoError::of("reader of contexts"))
                    .map_err(fatal)?,
                settings.contexts.clone(),
            ),
            transactions,
            forwarder: None,
            consumer: Some(consumer),
            settings,
        };
        kafka.member()?.subscribe(&[&kafka.settings.inbox]).map_err(fatal)?;
        Ok(kafka)
    }

    fn member(&self) -> Result<&BaseConsumer<RebalanceListener>, KafkaFault> {
        self.consumer.as_ref().ok_or_else(|| KafkaFault::Fatal("the group was left".to_owned()))
    }

    /// Where a partition begins and ends, uncommitted records counted.
    fn range(&self, topic: &str, partition: i32) -> KafkaResult<(i64, i64)> {
        // It reads nothing, so that errors are all it has to report, which it keeps until it is polled.
        while let Some(Err(_)) = self.uncommitted.poll(Duration::ZERO) {}
        self.uncommitted.fetch_watermarks(topic, partition, OFFSETS_TIMEOUT)
    }

    /// An error that a poll came to. The consumer goes on after most of them, and its context has told them.
    fn judge(&self, error: KafkaError) -> Result<(), KafkaFault> {
        if let KafkaError::MessageConsumptionFatal(code) = error {
            return Err(KafkaFault::Fatal(format!("the consumer can't go on: {code}")));
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => Err(NotAuthorized::group(&self.settings.group).into()),
            // librdkafka tells it once, and then delivers nothing.
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                Err(NotAuthorized::topic("Read", &self.settings.inbox).into())
            }
            _ => Ok(()),
        }
    }

    fn offsets(&self, offsets: &[(i32, i64)]) -> Result<TopicPartitionList, KafkaFault> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            list.add_partition_offset(&self.settings.inbox, *partition, Offset::Offset(*offset)).map_err(retriable)?;
        }
        Ok(list)
    }

    fn partitions(&self, partitions: impl IntoIterator<Item = i32>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.settings.inbox, partition);
        }
        list
    }
}

/// A fault that the lane meets by going round again.
pub(super) fn retriable(error: KafkaError) -> KafkaFault {
    KafkaFault::Retriable(error.to_string())
}

/// The same, but for a right that lacks.
pub(crate) fn judged(error: KafkaError, denied: impl FnOnce() -> NotAuthorized) -> KafkaFault {
    if is_denied(error.rdkafka_error_code()) { denied().into() } else { retriable(error) }
}

impl Kafka for RdKafka {
    type Generation = Generation;

    fn poll(&mut self, timeout: Duration) -> Result<Polled<Generation>, KafkaFault> {
        let consumer = self.member()?;
        if let Some(change) = consumer.context().next() {
            return Ok(changed(change));
        }
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let polled = match consumer.poll(whole_millis(left)) {
                None => Polled::Idle,
                Some(Ok(message)) => Polled::Record(owned(&message)),
                Some(Err(error)) => {
                    self.judge(error)?;
                    Polled::Idle
                }
            };
            if let Polled::Record(_) = polled {
                return Ok(polled);
            }
            // A rebalance ends the poll that it came with: it is told before the next record.
            if let Some(change) = consumer.context().next() {
                return Ok(changed(change));
            }
            if left.is_zero() {
                return Ok(Polled::Idle);
            }
        }
    }

    fn serve(&mut self, offsets: &[(i32, i64)]) -> Result<(), KafkaFault> {
        let list = self.offsets(offsets)?;
        let sought = self.member()?.seek_partitions(list, SEEK_TIMEOUT).map_err(retriable)?;
        for element in sought.elements() {
            element.error().map_err(retriable)?;
        }
        self.member()?.resume(&self.partitions(offsets.iter().map(|(partition, _)| *partition))).map_err(retriable)
    }

    fn pause(&mut self, partitions: &[i32]) -> Result<(), KafkaFault> {
        self.member()?.pause(&self.partitions(partitions.iter().copied())).map_err(retriable)
    }

    fn begin(&mut self) -> Result<(), KafkaFault> {
        self.transactions.begin()
    }

    fn write(&mut self, record: &OutgoingRef) -> Result<(), KafkaFault> {
        self.transactions.write(record)
    }

    fn forward(&mut self, record: &OutgoingRef) -> Result<(), KafkaFault> {
        let forwarder = match &mut self.forwarder {
            Some(forwarder) => forwarder,
            none => none.insert(Forwarder::new(&self.settings)?),
        };
        forwarder.send(record)
    }

    fn forwarded(&mut self) -> Result<(), KafkaFault> {
        self.forwarder.as_mut().map_or(Ok(()), Forwarder::wait)
    }

    fn send_offsets(&mut self, offsets: &[(i32, i64)], generation: &Generation) -> Result<(), KafkaFault> {
        let list = self.offsets(offsets)?;
        self.transactions.send_offsets(&list, generation)
    }

    fn drain(&mut self) {
        self.transactions.drain();
    }

    fn commit(&mut self) -> Ended {
        self.transactions.commit()
    }

    fn abort(&mut self) -> Ended {
        self.transactions.abort()
    }

    fn resolve(&mut self) -> Result<(), KafkaFault> {
        self.transactions.rebuild(&self.settings)
    }

    fn committed(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, Option<i64>>, KafkaFault> {
        let asked = self.partitions(partitions.iter().copied());
        let denied = || NotAuthorized::group(&self.settings.group);
        let list = self.member()?.committed_offsets(asked, COMMITTED_TIMEOUT).map_err(|e| judged(e, denied))?;
        let mut committed = BTreeMap::new();
        for element in list.elements() {
            element.error().map_err(retriable)?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            committed.insert(element.partition(), offset);
        }
        Ok(committed)
    }

    fn inbox_range(&mut self, partition: i32) -> Result<(i64, i64), KafkaFault> {
        let range = self.range(&self.settings.inbox, partition);
        range.map_err(|e| judged(e, || NotAuthorized::topic("Describe", &self.settings.inbox)))
    }

    fn contexts_end(&mut self, partition: i32) -> Result<i64, KafkaFault> {
        let range = self.range(&self.settings.contexts, partition);
        let denied = || NotAuthorized::topic("Describe", &self.settings.contexts);
        range.map(|(_, end)| end).map_err(|e| judged(e, denied))
    }

    fn contexts_stable_end(&mut self, partition: i32) -> Result<i64, KafkaFault> {
        self.restore.stable_end(partition, OFFSETS_TIMEOUT)
    }

    fn read_contexts(&mut self, partition: i32) -> Result<(), KafkaFault> {
        self.restore.read(partition)
    }

    fn poll_contexts(&mut self, timeout: Duration, take: TakeContext) -> Result<ContextsPolled, KafkaFault> {
        self.restore.poll(timeout, take)
    }

    fn leave_contexts(&mut self, partition: i32) -> Result<(), KafkaFault> {
        self.restore.leave(partition)
    }

    fn close(&mut self) {
        // Dropped, not unsubscribed: that leaves the group some time later, and the process may have ended by then (tried:
        // the others then wait out the session). Dropping goes on until the group is left.
        self.consumer = None;
    }
}

/// A time-out in whole milliseconds, rounded up. rdkafka 0.39 cuts what is left of one to those, and with less than one
/// left it would be polled without a pause.
pub(super) fn whole_millis(timeout: Duration) -> Duration {
    Duration::from_millis(timeout.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(u64::MAX))
}

fn changed(change: Change) -> Polled<Generation> {
    match change {
        Change::Assigned(partitions, generation) => Polled::Assigned(partitions, generation),
        Change::Revoked(partitions) => Polled::Revoked(partitions),
    }
}

fn owned(message: &BorrowedMessage) -> InboxMessage {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    });
    InboxMessage {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis().unwrap_or(0) * 1000,
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_a_millisecond_is_waited_for_as_one() {
        for (nanos, millis) in [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (7_000_001, 8)] {
            assert_eq!(whole_millis(Duration::from_nanos(nanos)), Duration::from_millis(millis));
        }
    }

    #[test]
    fn what_the_user_sets_of_the_fetches_stands() {
        let settings = |client: ClientConfig| KafkaSettings {
            client,
            inbox: "inbox".to_owned(),
            contexts: "contexts".to_owned(),
            group: "group".to_owned(),
            transactional_id: "id".to_owned(),
            transaction_timeout_ms: 1,
            session_timeout_ms: 1,
            message_max_bytes: 1,
        };
        for (name, default) in [("queued.max.messages.kbytes", RESTORE_QUEUE_KBYTES), ("fetch.queue.backoff.ms", "5")] {
            assert_eq!(settings(ClientConfig::new()).reader_of_contexts().get(name), Some(default));
            let mut own = ClientConfig::new();
            own.set(name, "77");
            assert_eq!(settings(own).reader_of_contexts().get(name), Some("77"), "{name}");
        }
    }
}
