//! What exists on the brokers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaRespErr;

use super::TopicSetupError;
use crate::config::Config;

/// The topics and brokers that exist.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    /// Partition counts of all topics.
    pub partitions: BTreeMap<String, i32>,
    /// The id of a broker.
    pub broker: Option<i32>,
}

/// Asks the brokers what exists.
pub(super) struct ClusterClient {
    brokers: String,
    // A producer is served by a thread, so that its errors and log lines are seen; an admin client is not.
    client: Arc<ThreadedProducer<Reason>>,
}

impl ClusterClient {
    pub fn new(config: &Config) -> Result<ClusterClient, TopicSetupError> {
        let client = config.client().create_with_context(Reason::default()).map_err(TopicSetupError::Client)?;
        Ok(ClusterClient { brokers: config.brokers.clone(), client: Arc::new(client) })
    }

    /// What exists now. It asks for all topics, which creates none.
    pub async fn look(&self, timeout: Duration) -> Result<Cluster, TopicSetupError> {
        let client = Arc::clone(&self.client);
        let fetch = move || client.client().fetch_metadata(None, timeout);
        let answer = tokio::task::spawn_blocking(fetch).await.map_err(TopicSetupError::BrokenOff)?;
        let metadata = answer.map_err(|error| self.unreachable(&error))?;

        let count = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
        let existing = metadata.topics().iter().filter(|topic| !topic.partitions().is_empty());
        let counted = existing.map(|topic| (topic.name().to_owned(), count(topic.partitions().len())));
        let broker = metadata.brokers().first().map(|broker| broker.id());
        Ok(Cluster { partitions: counted.collect(), broker })
    }

    /// May the user not know of this topic?
    pub async fn denies(&self, topic: &str, timeout: Duration) -> Result<bool, TopicSetupError> {
        let (client, topic) = (Arc::clone(&self.client), topic.to_owned());
        let fetch = move || client.client().fetch_metadata(Some(&topic), timeout);
        let answer = tokio::task::spawn_blocking(fetch).await.map_err(TopicSetupError::BrokenOff)?;
        let metadata = answer.map_err(|error| self.unreachable(&error))?;
        let denied = Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
        Ok(metadata.topics().iter().any(|topic| topic.error() == denied))
    }

    fn unreachable(&self, error: &KafkaError) -> TopicSetupError {
        let seen = self.client.context().0.lock().unwrap_or_else(PoisonError::into_inner).take();
        TopicSetupError::Unreachable {
            brokers: self.brokers.clone(),
            reason: seen.unwrap_or_else(|| error.to_string()),
        }
    }
}

/// Why the brokers could not be reached: a request that timed out does not say it.
#[derive(Default)]
struct Reason(Mutex<Option<String>>);

impl ClientContext for Reason {
    fn error(&self, error: KafkaError, reason: &str) {
        // That all are down follows from the reason why each is, which came before it.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ProducerContext for Reason {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}
