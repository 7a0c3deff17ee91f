//! Creates the topics of a namespace, and says what differs where they exist.

mod cluster;
mod finding;
mod wanted;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigEntry, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::warn;

use crate::config::{Config, ConfigError};
use crate::kafka::NotAuthorized;
use crate::topic::Topics;
use cluster::ClusterClient;
pub use finding::{Finding, Severity};
use finding::{Found, FoundTopic, Settings};
pub use wanted::{
    Accepts, CHANNEL_RECORD_MAX_BYTES, DEAD_LETTER_RECORD_MAX_BYTES, INBOX_RECORD_MAX_BYTES, TopicSetting, WantedTopic,
    wanted_topics,
};

/// One request to the brokers at most, and the wait for new topics to be visible.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks for new topics.
const VISIBLE_PAUSE: Duration = Duration::from_millis(50);

/// The brokers decide how often a partition is replicated.
pub const REPLICATION_OF_BROKER: i32 = -1;

/// What [`create_topics`] did and saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicReport {
    /// The topics that lacked, and exist now.
    pub created: Vec<String>,
    /// What differs.
    pub findings: Vec<Finding>,
}

/// Why topics can't be created or checked.
#[derive(Debug, thiserror::Error)]
pub enum TopicSetupError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// librdkafka could not make a client.
    #[error("no client for Kafka: {0}")]
    Client(KafkaError),
    /// No broker answered within 10 s.
    #[error("Kafka at {brokers} can't be reached: {reason}")]
    Unreachable {
        /// The brokers asked.
        brokers: String,
        /// librdkafka's words: refused, wrong password, unknown certificate, ...
        reason: String,
    },
    /// A broker refused to create a topic.
    #[error("the topic {topic} can't be created: {error}")]
    Create {
        /// The topic.
        topic: String,
        /// The broker's error.
        error: RDKafkaErrorCode,
    },
    /// Kafka denies the user a right.
    #[error(transparent)]
    NotAuthorized(#[from] NotAuthorized),
    /// The request to create topics failed.
    #[error("topics can't be created: {0}")]
    CreateRequest(KafkaError),
    /// Topics were created but not visible within 10 s.
    #[error("created, but not visible after 10 s: {}", .0.join(", "))]
    NotVisible(Vec<String>),
    /// The blocking part did not end.
    #[error("the look at the brokers was broken off: {0}")]
    BrokenOff(tokio::task::JoinError),
}

/// Creates the topics that lack, and says what differs at those that exist. It changes none.
///
/// Topics that lack get the partition count of the inbox or contexts that exist, else the
/// configuration's. `replication` is the replication factor, [`REPLICATION_OF_BROKER`] the usual.
///
/// # Errors
/// [`TopicSetupError`]; topics created before the error stay, and calling again goes on.
pub async fn create_topics(config: &Config, replication: i32) -> Result<TopicReport, TopicSetupError> {
    let admin = Admin::connect(config)?;
    let before = admin.cluster.look(ADMIN_TIMEOUT).await?.partitions;
    let wanted = wanted_topics(&with_existing_partitions(config, &before));
    let lacking: Vec<&WantedTopic> = wanted.iter().filter(|topic| !before.contains_key(&topic.name)).collect();
    let created = admin.create(&lacking, replication).await?;
    admin.wait_until_visible(&created).await?;
    Ok(TopicReport { created, findings: admin.findings().await? })
}

/// Says what lacks and what differs, and changes nothing.
///
/// # Errors
/// [`TopicSetupError`].
pub async fn check_topics(config: &Config) -> Result<Vec<Finding>, TopicSetupError> {
    Admin::connect(config)?.findings().await
}

/// The configuration with the partition count of the topics that exist: it is fixed for life.
fn with_existing_partitions(config: &Config, existing: &BTreeMap<String, i32>) -> Config {
    let topics = Topics::new(config);
    let count = existing.get(topics.inbox()).or_else(|| existing.get(topics.contexts()));
    Config { partitions: count.copied().unwrap_or(config.partitions), ..config.clone() }
}

struct Admin<'a> {
    config: &'a Config,
    cluster: ClusterClient,
    client: AdminClient<DefaultClientContext>,
}

impl Admin<'_> {
    fn connect(config: &Config) -> Result<Admin<'_>, TopicSetupError> {
        config.check()?;
        let client = config.client().create().map_err(TopicSetupError::Client)?;
        Ok(Admin { config, cluster: ClusterClient::new(config)?, client })
    }

    async fn create(&self, lacking: &[&WantedTopic], replication: i32) -> Result<Vec<String>, TopicSetupError> {
        if lacking.is_empty() {
            return Ok(Vec::new());
        }
        let topics: Vec<NewTopic<'_>> = lacking
            .iter()
            .map(|topic| NewTopic {
                name: &topic.name,
                num_partitions: topic.partitions,
                replication: TopicReplication::Fixed(replication),
                config: topic.settings.iter().map(|s| (s.name, s.value.as_str())).collect(),
            })
            .collect();
        let options = options().operation_timeout(Some(ADMIN_TIMEOUT));
        let results = self.client.create_topics(&topics, &options).await;
        let mut created = Vec::new();
        for result in results.map_err(TopicSetupError::CreateRequest)? {
            match result {
                Ok(topic) => created.push(topic),
                // Another process creates the same topics at the same time.
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, RDKafkaErrorCode::TopicAuthorizationFailed)) => {
                    return Err(NotAuthorized::topic("Create", &topic).into());
                }
                Err((topic, error)) => return Err(TopicSetupError::Create { topic, error }),
            }
        }
        Ok(created)
    }

    async fn wait_until_visible(&self, created: &[String]) -> Result<(), TopicSetupError> {
        let begin = Instant::now();
        loop {
            let visible = self.cluster.look(ADMIN_TIMEOUT).await?.partitions;
            let lacking = created.iter().filter(|topic| !visible.contains_key(*topic));
            let lacking: Vec<String> = lacking.cloned().collect();
            if lacking.is_empty() {
                return Ok(());
            }
            if let Some(topic) = lacking.first()
                && self.cluster.denies(topic, ADMIN_TIMEOUT).await?
            {
                return Err(NotAuthorized::topic("Describe", topic).into());
            }
            if begin.elapsed() > ADMIN_TIMEOUT {
                return Err(TopicSetupError::NotVisible(lacking));
            }
            tokio::time::sleep(VISIBLE_PAUSE).await;
        }
    }

    async fn findings(&self) -> Result<Vec<Finding>, TopicSetupError> {
        let cluster = self.cluster.look(ADMIN_TIMEOUT).await?;
        let wanted = wanted_topics(&with_existing_partitions(self.config, &cluster.partitions));
        let names = wanted.iter().map(|topic| topic.name.as_str());
        let existing: Vec<(&str, i32)> =
            names.filter_map(|name| Some((name, *cluster.partitions.get(name)?))).collect();

        let broker = self.broker_settings(cluster.broker).await;
        let mut settings = match &broker {
            // librdkafka's in-process broker; it would take its time to say the same for topics.
            Err(KafkaError::AdminOp(RDKafkaErrorCode::UnsupportedFeature)) => BTreeMap::new(),
            _ => self.topic_settings(&existing).await,
        };
        let topics = existing
            .into_iter()
            .map(|(name, partitions)| (name.to_owned(), FoundTopic { partitions, settings: settings.remove(name) }));
        let found = Found { topics: topics.collect(), broker: broker.ok().flatten() };
        Ok(finding::compare(self.config, &wanted, &found))
    }

    async fn broker_settings(&self, broker: Option<i32>) -> Result<Option<Settings>, KafkaError> {
        let Some(broker) = broker else { return Ok(None) };
        let described = self.client.describe_configs(&[ResourceSpecifier::Broker(broker)], &options()).await?;
        Ok(described.into_iter().flatten().next().map(|resource| values(resource.entries)))
    }

    /// The settings that can be read. Rights may lack: then there is none, and a finding says so.
    async fn topic_settings(&self, topics: &[(&str, i32)]) -> BTreeMap<String, Settings> {
        if topics.is_empty() {
            return BTreeMap::new();
        }
        let resources: Vec<ResourceSpecifier<'_>> =
            topics.iter().map(|(name, _)| ResourceSpecifier::Topic(name)).collect();
        let described = self.client.describe_configs(&resources, &options()).await.unwrap_or_else(|error| {
            warn!(%error, "the settings of topics can't be read");
            Vec::new()
        });
        // Of a topic whose settings may not be read rdkafka gives no error, but no entries either.
        let readable = described.into_iter().flatten().filter(|resource| !resource.entries.is_empty());
        let named = readable.filter_map(|resource| match resource.specifier {
            OwnedResourceSpecifier::Topic(name) => Some((name, values(resource.entries))),
            _ => None,
        });
        named.collect()
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ADMIN_TIMEOUT))
}

fn values(entries: Vec<ConfigEntry>) -> Settings {
    entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;

    use super::*;

    fn in_process(config: &mut Config) -> MockCluster<'static, rdkafka::producer::DefaultProducerContext> {
        let cluster = MockCluster::new(1).unwrap();
        config.brokers = cluster.bootstrap_servers();
        cluster
    }

    #[tokio::test]
    async fn the_in_process_broker_is_checked_as_far_as_it_goes() {
        let mut config = Config { partitions: 4, ..Config::default() };
        let cluster = in_process(&mut config);
        for topic in wanted_topics(&config) {
            cluster.create_topic(&topic.name, topic.partitions, 1).unwrap();
        }
        let report = create_topics(&config, REPLICATION_OF_BROKER).await.unwrap();
        assert_eq!(report.created, Vec::<String>::new());
        assert_eq!(report.findings.len(), wanted_topics(&config).len());
        assert!(report.findings.iter().all(|finding| finding.found == "unreadable"));
    }

    #[tokio::test]
    async fn a_topic_that_lacks_is_found_and_nothing_is_created() {
        let mut config = Config { partitions: 4, ..Config::default() };
        let _cluster = in_process(&mut config);
        for _ in 0..2 {
            let findings = check_topics(&config).await.unwrap();
            assert_eq!(findings.len(), wanted_topics(&config).len());
            assert!(findings.iter().all(|finding| finding.setting == "topic"));
        }
    }

    #[test]
    fn topics_that_exist_rule_the_partition_count() {
        let config = Config { partitions: 4, ..Config::default() };
        let count = |existing: &[(&str, i32)]| {
            let existing = existing.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
            with_existing_partitions(&config, &existing).partitions
        };
        assert_eq!(count(&[("thalweg.task-events", 6)]), 4);
        assert_eq!(count(&[("thalweg.contexts", 6)]), 6);
        assert_eq!(count(&[("thalweg.contexts", 6), ("thalweg.inbox", 12)]), 12);
    }
}
