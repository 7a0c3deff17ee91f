//! A namespace on a cluster that has answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use thalweg_core::Channel;
use thalweg_runtime::kafka::NotAuthorized;
use thalweg_runtime::{Config, Topics};

use crate::error::CommandError;

/// How long the brokers may take to answer for the first time.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// One look for an answer; between two, the reasons why there is none are taken in.
const CONNECT_SLICE: Duration = Duration::from_millis(250);
/// How the metadata of a topic say that the user may not know of it.
const DENIED: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;

/// A namespace on a cluster that has answered, and a consumer that reads what is committed there.
pub struct Connection {
    config: Config,
    topics: Topics,
    /// Partition counts of all topics.
    partitions: BTreeMap<String, i32>,
    consumer: BaseConsumer<ConnectionErrors>,
}

impl Connection {
    /// Checks the configuration, and asks the brokers what topics there are. Its consumer is quick to see the end of
    /// what it reads.
    ///
    /// # Errors
    /// Where the configuration can't be used, or no broker answers.
    pub fn open(config: &Config) -> Result<Connection, CommandError> {
        // At the end of a partition the broker keeps a request for so long, and only its answer tells the end.
        Connection::open_with(config, &[("fetch.wait.max.ms", "10")])
    }

    /// The same for a consumer that stays at the end of what it reads, where asking that often would be a burden.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub fn open_to_follow(config: &Config) -> Result<Connection, CommandError> {
        Connection::open_with(config, &[])
    }

    fn open_with(config: &Config, defaults: &[(&str, &str)]) -> Result<Connection, CommandError> {
        config.check()?;
        let topics = Topics::new(config);
        let mut client = config.client();
        client
            .set("group.id", format!("{}.cli", config.namespace))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true");
        for (name, value) in defaults {
            if client.get(name).is_none() {
                client.set(*name, *value);
            }
        }
        let consumer: BaseConsumer<ConnectionErrors> = client.create_with_context(ConnectionErrors::default())?;
        let partitions = partition_counts(&consumer, &config.brokers)?;
        consumer.context().connected.store(true, Ordering::Relaxed);
        Ok(Connection { config: config.clone(), topics, partitions, consumer })
    }

    /// The configuration that it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The names of the topics.
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The consumer that reads what is committed.
    pub fn consumer(&self) -> &BaseConsumer<ConnectionErrors> {
        &self.consumer
    }

    /// How many partitions a topic has.
    ///
    /// # Errors
    /// Where it does not exist, or the user may not know of it.
    pub fn partition_count(&self, topic: &str) -> Result<i32, CommandError> {
        self.partitions.get(topic).copied().ok_or_else(|| {
            // Without a right to a topic it is passed over in silence, unless it is asked for by its name.
            let named = self.consumer.fetch_metadata(Some(topic), CONNECT_TIMEOUT);
            if named.is_ok_and(|named| named.topics().iter().any(|topic| topic.error() == Some(DENIED))) {
                return NotAuthorized::topic("Describe", topic).into();
            }
            CommandError::NotFound(format!(
                "no topic {topic} at {}\ncheck --brokers and --namespace; `thalweg topics` creates what is missing",
                self.config.brokers
            ))
        })
    }

    /// Every partition of these topics.
    ///
    /// # Errors
    /// Where one does not exist.
    pub fn all_partitions<'a>(
        &self,
        topics: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<(&'a str, i32)>, CommandError> {
        let mut all = Vec::new();
        for topic in topics {
            all.extend((0..self.partition_count(topic)?).map(|partition| (topic, partition)));
        }
        Ok(all)
    }

    /// The partition of an execution, in the inbox and everywhere.
    ///
    /// # Errors
    /// Where the inbox does not exist.
    pub fn partition_of(&self, execution_id: &str) -> Result<i32, CommandError> {
        let partitions = self.partition_count(self.topics.inbox())?;
        Ok(thalweg_core::partition_of(execution_id.as_bytes(), partitions))
    }

    /// The partition of an execution in the topic of a channel.
    ///
    /// # Errors
    /// Where a topic does not exist.
    pub fn channel_partition(&self, channel: Channel, execution_id: &str) -> Result<(&str, i32), CommandError> {
        let topic = self.topics.channel(channel);
        self.partition_count(topic)?;
        Ok((topic, self.partition_of(execution_id)?))
    }

    /// That Kafka does not answer any more.
    pub fn unreachable(&self) -> CommandError {
        unreachable(&self.consumer, &self.config.brokers, "no answer")
    }
}

/// Asks for all topics, which creates none.
fn partition_counts(
    consumer: &BaseConsumer<ConnectionErrors>,
    brokers: &str,
) -> Result<BTreeMap<String, i32>, CommandError> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    loop {
        match consumer.fetch_metadata(None, CONNECT_SLICE) {
            Ok(metadata) => {
                let existing = metadata.topics().iter().filter(|topic| !topic.partitions().is_empty());
                let count = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
                return Ok(existing.map(|t| (t.name().to_owned(), count(t.partitions().len()))).collect());
            }
            Err(error) => {
                // Errors are told to the context inside of polls.
                while let Some(Err(_)) = consumer.poll(Duration::ZERO) {}
                if consumer.context().all_down.load(Ordering::Relaxed) || Instant::now() >= deadline {
                    return Err(unreachable(consumer, brokers, &error.to_string()));
                }
            }
        }
    }
}

fn unreachable(consumer: &BaseConsumer<ConnectionErrors>, brokers: &str, otherwise: &str) -> CommandError {
    let seen = consumer.context().reason.lock().unwrap_or_else(PoisonError::into_inner).take();
    CommandError::Unreachable { brokers: brokers.to_owned(), reason: seen.unwrap_or_else(|| otherwise.to_owned()) }
}

/// Why the brokers could not be reached: a request that timed out does not say it.
#[derive(Default)]
pub struct ConnectionErrors {
    reason: Mutex<Option<String>>,
    all_down: AtomicBool,
    connected: AtomicBool,
}

impl ClientContext for ConnectionErrors {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        // What matters comes as an error, too.
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            // It reads without being a member of a group, and needs no right to one.
            Some(RDKafkaErrorCode::PartitionEOF | RDKafkaErrorCode::GroupAuthorizationFailed) => return,
            Some(RDKafkaErrorCode::AllBrokersDown) => self.all_down.store(true, Ordering::Relaxed),
            _ => *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned()),
        }
        if self.connected.load(Ordering::Relaxed) {
            tracing::warn!(%error, reason, "Kafka reports an error; reading goes on");
        }
    }
}

impl ConsumerContext for ConnectionErrors {}
