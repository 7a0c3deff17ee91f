//! What is to be known of a namespace and its brokers: facts, for others to judge.
//!
//! Nothing here writes a record. Whether writing is allowed is told by records that the brokers refuse in any case.

mod allowance;
mod clock;
mod contact;
mod group;
mod layout;
mod listener;
mod offsets;
mod registry;
mod settings;

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use tokio::runtime::Runtime;

use crate::config::{Config, ConfigError};
use crate::topic::Topics;
use crate::topic_setup::{Finding, TopicSetupError, check_topics};
pub use allowance::{Allowance, Answer, Operation, Resource};
pub use clock::{RecordAhead, Skew, TOLERANCE_MS};
pub use contact::{BrokerAddress, Contact, ContactFailure, contact};
pub use group::{Group, Member};
pub use layout::{Look, PartitionLayout};
use listener::Listener;
pub use offsets::{OpenTransaction, Span};
pub use registry::RegistryRecord;
pub use settings::Settings;

/// How long the brokers may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Before it is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// Why something could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    /// The configuration can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A client or a request failed.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The topics could not be compared.
    #[error(transparent)]
    Topics(#[from] TopicSetupError),
    /// The process can't start what it needs.
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
    /// The brokers gave no answer in time.
    #[error("the brokers gave no answer in time")]
    Silent,
}

impl InspectionError {
    /// Do the brokers not know what they are asked for? Kafka's own do.
    pub fn is_unsupported(&self) -> bool {
        use RDKafkaErrorCode as Code;
        let InspectionError::Kafka(error) = self else { return false };
        matches!(error.rdkafka_error_code(), Some(Code::UnsupportedFeature | Code::UnsupportedVersion))
    }
}

/// Looks at a namespace on brokers that can be reached.
pub struct Inspector {
    config: Config,
    topics: Topics,
    runtime: Runtime,
    admin: AdminClient<Listener>,
    /// Reads what is committed.
    committed: BaseConsumer<Listener>,
    /// Reads everything.
    uncommitted: BaseConsumer<Listener>,
}

impl Inspector {
    /// Makes the clients; they connect when they are asked for something.
    ///
    /// # Errors
    /// Where the configuration can't be used.
    pub fn new(config: &Config) -> Result<Inspector, InspectionError> {
        config.check()?;
        let topics = Topics::new(config);
        Ok(Inspector {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            admin: config.client().create_with_context(Listener::default())?,
            committed: reader(config, &topics, "read_committed").create_with_context(Listener::default())?,
            uncommitted: reader(config, &topics, "read_uncommitted").create_with_context(Listener::default())?,
            config: config.clone(),
            topics,
        })
    }

    /// What differs between the topics that the namespace needs and those that exist.
    ///
    /// # Errors
    /// Where the brokers don't answer.
    pub fn topic_findings(&self) -> Result<Vec<Finding>, InspectionError> {
        Ok(self.runtime.block_on(check_topics(&self.config))?)
    }
}

/// A consumer that reads, and asks for the routers' group, which it does not join.
fn reader(config: &Config, topics: &Topics, isolation: &str) -> ClientConfig {
    let mut client = config.client();
    client
        .set("group.id", topics.group())
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", isolation)
        .set("enable.partition.eof", "true")
        // The end of a partition is told after this time.
        .set("fetch.wait.max.ms", "10");
    client
}

/// What reading comes to.
enum Taken<T> {
    Record(T),
    End,
}

/// The next record that a consumer has been assigned, or the news that it was read to its end.
fn take<T>(
    consumer: &BaseConsumer<Listener>,
    timeout: Duration,
    record: impl Fn(&BorrowedMessage<'_>) -> T,
) -> Result<Taken<T>, InspectionError> {
    let deadline = Instant::now() + timeout;
    loop {
        match consumer.poll(deadline.saturating_duration_since(Instant::now())) {
            Some(Ok(message)) => return Ok(Taken::Record(record(&message))),
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Taken::End),
            Some(Err(error)) if !is_passing(&error) => return Err(error.into()),
            _ if Instant::now() >= deadline => return Err(InspectionError::Silent),
            _ => {}
        }
    }
}

/// Errors that do not concern the partition that is read: librdkafka tries again, or asks for a group that need not be
/// seen to read.
fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Resolve
        )
    )
}

/// Asks again while a leader or coordinator that is new does not know yet that it is one.
fn patiently<T>(mut ask: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match ask() {
            Err(error) if is_settling(&error) && Instant::now() < deadline => thread::sleep(PAUSE),
            answer => return answer,
        }
    }
}

fn is_settling(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
        )
    )
}
