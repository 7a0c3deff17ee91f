//! Puts a lane together from the configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use thalweg_core::codec::Schemas;
use thalweg_core::{Channel, Limits, Workflows};
use thalweg_runtime::kafka::{KafkaFault, KafkaSettings, NotAuthorized, RdKafka, is_denied};
use thalweg_runtime::{
    Config, DEAD_LETTER_RECORD_MAX_BYTES, FailPoints, Fixtures, InlineTasks, Lane, LaneError, LaneHealth, Registry,
    Retention, Topics,
};
use tokio::runtime::Handle;

use crate::RouterError;

/// How long the brokers may take to say which topics there are.
const METADATA_TIMEOUT: Duration = Duration::from_secs(15);
/// How many transaction time-outs a restore waits for others' transactions before it says so. The brokers end a
/// transaction at its time-out, of which they think every 10 s by default.
const RESTORE_PATIENCE: u32 = 3;
/// How long the registry may take to become readable and writable, its partition's first leader included.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(60);
/// How the metadata of a topic say that the user may not know of it.
const DENIED: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;

/// What the lanes of one router share.
pub struct Parts {
    topics: Topics,
    schemas: Arc<Schemas>,
    registry: Arc<Registry>,
    workflows: Arc<Workflows>,
    partitions: i32,
    instance: String,
}

impl Parts {
    /// Checks the topics and registers the schemas that this router writes with.
    pub fn prepare(config: &Config, workflows: Workflows, admin_port: u16) -> Result<Parts, RouterError> {
        let topics = Topics::new(config);
        let partitions = count_partitions(config, &topics)?;
        let schemas = Arc::new(Schemas::new()?);
        let registry = Registry::open(config.client(), topics.registry(), Arc::clone(&schemas), REGISTRY_PATIENCE);
        let registry = registry.map_err(|error| registry_error(error, "Read", &topics))?;
        registry.register_schemas().map_err(|error| registry_error(error, "Write", &topics))?;
        Ok(Parts {
            instance: config.instance_name(admin_port)?,
            registry: Arc::new(registry),
            workflows: Arc::new(workflows),
            topics,
            schemas,
            partitions,
        })
    }

    /// A lane with its own clients.
    pub fn lane(
        &self,
        config: &Config,
        health: LaneHealth,
        runtime: &Handle,
        fail_points: Option<FailPoints>,
        stop: Arc<AtomicBool>,
    ) -> Result<Lane<RdKafka>, RouterError> {
        let deadline = Duration::from_millis(config.inline_deadline_ms);
        let kafka = RdKafka::connect(KafkaSettings {
            client: config.client(),
            inbox: self.topics.inbox().to_owned(),
            contexts: self.topics.contexts().to_owned(),
            group: self.topics.group().to_owned(),
            transactional_id: format!("{}.{}.{}", config.namespace, self.instance, health.number()),
            transaction_timeout_ms: config.transaction_timeout_ms,
            session_timeout_ms: config.session_timeout_ms,
            message_max_bytes: DEAD_LETTER_RECORD_MAX_BYTES,
        })?;
        let fixtures = Fixtures {
            schemas: Arc::clone(&self.schemas),
            registry: Arc::clone(&self.registry),
            workflows: Arc::clone(&self.workflows),
            limits: Limits {
                payload_max_bytes: config.payload_max_bytes,
                effects_max_bytes: config.effects_max_bytes,
                context_max_bytes: config.context_max_bytes,
                step_max_events: config.step_max_events,
                early_ttl_ms: config.early_ttl_ms,
                early_start_ttl_ms: config.early_start_ttl_ms,
                ..Limits::default()
            },
            tasks: InlineTasks::new(runtime.clone(), deadline, health.clone()),
            inbox: self.topics.inbox().into(),
            contexts: self.topics.contexts().into(),
            dead_letters: self.topics.dead_letters().into(),
            channels: Channel::ALL.iter().map(|channel| self.topics.channel(*channel).into()).collect(),
            partitions: self.partitions,
            batch_max_records: config.batch_max_records,
            commit_interval: Duration::from_millis(config.commit_interval_ms),
            step_max: Duration::from_millis(config.step_max_ms),
            restore_patience: Duration::from_millis(config.transaction_timeout_ms) * RESTORE_PATIENCE,
            retention: Retention {
                after: Duration::from_millis(config.retention_ms),
                closed_max: config.retention_max_executions,
            },
        };
        Ok(Lane::new(kafka, Arc::new(fixtures), health, fail_points, stop))
    }
}

/// Runs a lane on a thread of its own; where it ends by itself, the others are asked to stop.
pub fn spawn(
    mut lane: Lane<RdKafka>,
    health: LaneHealth,
    stop: Arc<AtomicBool>,
) -> Result<JoinHandle<Result<(), LaneError>>, std::io::Error> {
    std::thread::Builder::new().name(format!("lane-{}", health.number())).spawn(move || {
        let _stop = StopAll(stop);
        let ended = lane.run();
        if let Err(error) = &ended {
            tracing::error!(%error, "a lane ended");
            health.failed(error.to_string());
        }
        ended
    })
}

/// Asks every lane to stop when it is dropped, also by a panic.
struct StopAll(Arc<AtomicBool>);

impl Drop for StopAll {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn registry_error(error: KafkaError, operation: &'static str, topics: &Topics) -> RouterError {
    if is_denied(error.rdkafka_error_code()) {
        denied(operation, topics.registry())
    } else {
        RouterError::Registry(error)
    }
}

fn denied(operation: &'static str, topic: &str) -> RouterError {
    RouterError::Connect(KafkaFault::NotAuthorized(NotAuthorized::topic(operation, topic)))
}

fn count_partitions(config: &Config, topics: &Topics) -> Result<i32, RouterError> {
    let unreachable = |error| RouterError::Unreachable { brokers: config.brokers.clone(), error };
    let consumer: BaseConsumer = config.client().create().map_err(unreachable)?;
    let metadata = consumer.fetch_metadata(None, METADATA_TIMEOUT).map_err(unreachable)?;
    let count = |topic: &str| {
        let found = metadata.topics().iter().find(|found| found.name() == topic).map(|found| found.partitions().len());
        match found {
            Some(count) if count > 0 => Ok(count as i32),
            // Without a right to a topic it is passed over in silence, unless it is asked for by its name.
            _ => Err(match consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT) {
                Ok(named) if named.topics().iter().any(|t| t.error() == Some(DENIED)) => denied("Describe", topic),
                _ => RouterError::TopicMissing { topic: topic.to_owned() },
            }),
        }
    };
    let (inbox, contexts) = (count(topics.inbox())?, count(topics.contexts())?);
    if inbox != contexts {
        return Err(RouterError::PartitionsChanged { inbox, contexts });
    }
    for topic in topics.channel_topics().into_iter().chain([topics.dead_letters(), topics.registry()]) {
        count(topic)?;
    }
    Ok(inbox)
}
