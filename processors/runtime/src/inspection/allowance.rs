//! What the brokers allow, found out without writing a record.
//!
//! Kafka checks the rights of a request before it looks at what is in it. So a request that it refuses for its content
//! was allowed: a record without a key to a compacted topic, a record from the far future, an offset of a partition
//! that does not exist.

use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;

use futures_util::future::join_all;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::clock::Stamps;
use super::listener::Listener;
use super::{InspectionError, Inspector, Settings, Taken, patiently, reader, take};
use crate::clock::wall_clock;

/// How long one question may take: a broker that is there answers in milliseconds.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Further in the future than any clock is wrong.
const FAR_MS: i64 = 366 * 24 * 60 * 60 * 1000;
/// A partition that no topic has.
const NO_PARTITION: i32 = 1_000_000;

/// What something is done to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// A topic.
    Topic(String),
    /// A consumer group.
    Group(String),
    /// All transactional ids that begin so.
    TransactionalIds(String),
}

impl Resource {
    /// The topic, if it is one.
    pub fn topic(&self) -> Option<&str> {
        match self {
            Resource::Topic(topic) => Some(topic),
            Resource::Group(_) | Resource::TransactionalIds(_) => None,
        }
    }
}

/// What is done, in Kafka's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Read its records, or be a member of it.
    Read,
    /// Write to it, or with it.
    Write,
}

/// Whether it is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is.
    Allowed,
    /// It is not.
    Denied,
    /// The question can't be asked, or got another answer.
    Unknown(String),
}

/// Whether an operation on a resource is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// On what.
    pub resource: Resource,
    /// What.
    pub operation: Operation,
    /// The answer.
    pub answer: Answer,
}

impl Inspector {
    /// Whether the records of this topic may be read: tries it at the end of its partition 0.
    ///
    /// # Errors
    /// Where the client can't ask.
    pub fn may_read(&self, topic: &str) -> Result<Allowance, InspectionError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::End)?;
        self.uncommitted.assign(&list)?;
        let answer = match take(&self.uncommitted, TIMEOUT, |_| ()) {
            Ok(Taken::Record(()) | Taken::End) => Answer::Allowed,
            Err(InspectionError::Kafka(error)) => of_error(&error),
            Err(error) => Answer::Unknown(error.to_string()),
        };
        self.uncommitted.unassign()?;
        Ok(Allowance { resource: Resource::Topic(topic.to_owned()), operation: Operation::Read, answer })
    }

    /// Whether these topics may be written to: sends a record to each that the broker refuses, whoever sends it.
    ///
    /// # Errors
    /// Where there is no client to ask with.
    pub fn may_write(&self, topics: &BTreeMap<String, Settings>) -> Result<Vec<Allowance>, InspectionError> {
        let mut client = sender(&self.config.client());
        let producer: FutureProducer<Listener> =
            client.set("linger.ms", "0").create_with_context(Listener::default())?;
        let asked = topics.iter().map(|(topic, settings)| async {
            let answer = match Unacceptable::for_topic(settings) {
                Some(record) => record.send(&producer, topic).await,
                None => Answer::Unknown("its settings would let any record in".to_owned()),
            };
            Allowance { resource: Resource::Topic(topic.clone()), operation: Operation::Write, answer }
        });
        Ok(self.runtime.block_on(join_all(asked)))
    }

    /// Whether a member of the routers' group may commit what it read from the inbox: commits an offset of a partition
    /// that does not exist.
    ///
    /// # Errors
    /// Where the client can't ask.
    pub fn may_join(&self) -> Result<Allowance, InspectionError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.topics.inbox(), NO_PARTITION, Offset::Offset(0))?;
        let mut client = reader(&self.config, &self.topics, "read_committed");
        // So long a commit waits for the coordinator of the group.
        client.set("session.timeout.ms", TIMEOUT.as_millis().to_string());
        let member: BaseConsumer<Listener> = client.create_with_context(Listener::default())?;
        let answer = match patiently(|| member.commit(&list, CommitMode::Sync)) {
            Ok(())
            | Err(KafkaError::ConsumerCommit(
                RDKafkaErrorCode::UnknownTopicOrPartition
                // Members are looked at after rights, too; the in-process broker does so first.
                | RDKafkaErrorCode::UnknownMemberId,
            )) => Answer::Allowed,
            Err(error) => match of_error(&error) {
                // Where the group may not even be seen, that is told inside of a poll.
                Answer::Unknown(_) if is_refused(&member) => Answer::Denied,
                answer => answer,
            },
        };
        let resource = Resource::Group(self.topics.group().to_owned());
        Ok(Allowance { resource, operation: Operation::Read, answer })
    }

    /// Whether a transactional id of the namespace may be used: initialises one of its own, without a transaction.
    /// The brokers forget it after `transactional.id.expiration.ms`.
    ///
    /// # Errors
    /// Where there is no client to ask with.
    pub fn may_transact(&self) -> Result<Allowance, InspectionError> {
        let prefix = format!("{}.", self.config.namespace);
        let mut client = self.config.client();
        client
            .set("transactional.id", format!("{prefix}doctor"))
            .set("transaction.timeout.ms", self.config.transaction_timeout_ms.to_string());
        let producer: ThreadedProducer<Sender> = client.create_with_context(Sender(Listener::default()))?;
        let answer = match producer.init_transactions(TIMEOUT) {
            Ok(()) => Answer::Allowed,
            Err(error) => of_error(&error),
        };
        Ok(Allowance { resource: Resource::TransactionalIds(prefix), operation: Operation::Write, answer })
    }
}

/// A producer's listener.
struct Sender(Listener);

impl rdkafka::ClientContext for Sender {
    fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl rdkafka::producer::ProducerContext for Sender {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::producer::DeliveryResult<'_>, (): ()) {}
}

/// A client that sends records one way only: no retries, nothing created.
pub(super) fn sender(client: &ClientConfig) -> ClientConfig {
    let mut client = client.clone();
    client
        // A right that idempotence needs is asked for by the transactional id.
        .set("enable.idempotence", "false")
        .set("acks", "all")
        .set("retries", "0")
        .set("message.timeout.ms", TIMEOUT.as_millis().to_string())
        .set("allow.auto.create.topics", "false");
    client
}

/// A record that a topic takes from nobody.
enum Unacceptable {
    /// A compacted topic takes none.
    WithoutKey,
    /// Later than `message.timestamp.after.max.ms`, which is one hour by default since Kafka 4.0.
    At(i64),
}

impl Unacceptable {
    fn for_topic(settings: &Settings) -> Option<Unacceptable> {
        if settings.get("cleanup.policy")?.contains("compact") {
            return Some(Unacceptable::WithoutKey);
        }
        let after_max = Stamps::of(settings)?.after_max_ms.filter(|after_max| *after_max < FAR_MS)?;
        Some(Unacceptable::At(wall_clock() / 1000 + after_max + FAR_MS))
    }

    async fn send(self, producer: &FutureProducer<Listener>, topic: &str) -> Answer {
        let mut record: FutureRecord<'_, str, str> = FutureRecord::to(topic).partition(0).payload("thalweg doctor");
        if let Unacceptable::At(milliseconds) = self {
            record = record.key("thalweg doctor").timestamp(milliseconds);
        }
        match producer.send(record, TIMEOUT).await {
            Ok(_) => Answer::Allowed,
            Err((error, _)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::InvalidRecord | RDKafkaErrorCode::InvalidTimestamp) => Answer::Allowed,
                _ => of_error(&error),
            },
        }
    }
}

/// Was the group refused?
fn is_refused(member: &BaseConsumer<Listener>) -> bool {
    let polled = iter::from_fn(|| member.poll(Duration::ZERO));
    polled.filter_map(Result::err).any(|error| of_error(&error) == Answer::Denied)
}

fn of_error(error: &KafkaError) -> Answer {
    match error.rdkafka_error_code() {
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed,
        ) => Answer::Denied,
        Some(code) => Answer::Unknown(code.to_string()),
        None => Answer::Unknown(error.to_string()),
    }
}
