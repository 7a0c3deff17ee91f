//! The configuration of a processor.

mod check;
mod client_settings;
mod error;
pub(crate) mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use rdkafka::ClientConfig;
use serde::{Deserialize, Deserializer, Serialize};
use thalweg_core::Channel;

pub use client_settings::ClientSettings;
pub use error::ConfigError;
use source::{Dotted, Environment};

/// Lanes of one process: each is a thread with three Kafka clients.
pub const LANES_MAX: usize = 64;
/// Partitions of a namespace: each costs files on the broker and a request per transaction.
pub const PARTITIONS_MAX: i32 = 1000;

/// The configuration of a processor.
///
/// It is read from one TOML file, then the environment, then flags; later ones win, and what none
/// of them sets has the default given here. A setting that is not listed here is an error.
///
/// In the file a dot is TOML's own, so that these say the same:
///
/// ```toml
/// batch.max.records = 500
///
/// [batch]
/// max.records = 500
/// ```
///
/// `[channels]` maps a channel to its topic. A name without a dot is put behind the namespace, one
/// with a dot is a topic as it stands, and channels may share a topic. `[kafka]` takes any setting
/// of librdkafka, TLS and SASL among them, except those that a lane must own:
///
/// ```toml
/// brokers = "kafka-1:9093,kafka-2:9093"
/// namespace = "claims"
///
/// [channels]
/// plan-events = "events"          # claims.events
/// task-events = "events"          # the same topic
/// billing-events = "acme.billing" # acme.billing
///
/// [kafka]
/// security.protocol = "SASL_SSL"
/// sasl.mechanisms = "SCRAM-SHA-512"
/// sasl.username = "router"
/// ssl.ca.location = "/etc/ssl/kafka-ca.pem"
/// ```
///
/// In the environment a setting is `THALWEG_` and its name in capitals, with `_` for a dot or a
/// hyphen: `THALWEG_BATCH_MAX_RECORDS`, `THALWEG_CHANNELS_PLAN_EVENTS`,
/// `THALWEG_KAFKA_SASL_PASSWORD`. `THALWEG_LOG` (the log's filter) and `THALWEG_TEST_*` are not
/// part of the configuration.
///
/// Neither `Debug` nor `Display` nor serializing shows a secret of `[kafka]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `brokers`: host:port of one or more brokers, separated by commas. No default.
    pub brokers: String,
    /// `namespace`: what the names of topics and of the consumer group begin with. Default
    /// `thalweg`.
    pub namespace: String,
    /// `instance`: the name of this process, unique and stable, part of its transactional ids.
    /// Default: the host name and the admin port, see [`Config::instance_name`].
    pub instance: Option<String>,
    /// `lanes`: lanes of this process, 1 to 64. Default: see [`Config::lane_count`].
    pub lanes: Option<usize>,
    /// `partitions`: partitions of the topics that are created, 1 to 1000. Default 12. Fixed for
    /// the life of a namespace.
    pub partitions: i32,
    /// `admin.addr`: where `/metrics`, `/livez` and `/readyz` are served. Default 127.0.0.1:9464;
    /// port 0 takes a free one.
    #[serde(rename = "admin.addr")]
    pub admin_addr: SocketAddr,
    /// `batch.max.records`: inbox records of one transaction at most. Default 1000.
    #[serde(rename = "batch.max.records")]
    pub batch_max_records: usize,
    /// `commit.interval.ms`: milliseconds that a transaction is kept open under load, at most.
    /// Default 100.
    #[serde(rename = "commit.interval.ms")]
    pub commit_interval_ms: u64,
    /// `step.max.ms`: milliseconds of one input's work in one transaction; the rest waits as
    /// `pending`. Default 2000.
    #[serde(rename = "step.max.ms")]
    pub step_max_ms: u64,
    /// `step.max.events`: events handled for one input in one transaction. Default 256.
    #[serde(rename = "step.max.events")]
    pub step_max_events: u32,
    /// `inline.deadline.ms`: milliseconds that an inline task may run. Default 1000.
    #[serde(rename = "inline.deadline.ms")]
    pub inline_deadline_ms: u64,
    /// `inline.stuck.ms`: milliseconds after which an inline task that never returns ends the
    /// process; `/livez` turns red at half of it. Default 30000.
    #[serde(rename = "inline.stuck.ms")]
    pub inline_stuck_ms: u64,
    /// `transaction.timeout.ms`: milliseconds after which the broker aborts a transaction.
    /// Default 10000.
    #[serde(rename = "transaction.timeout.ms")]
    pub transaction_timeout_ms: u64,
    /// `session.timeout.ms`: milliseconds without a heartbeat after which a lane loses its
    /// partitions; above `transaction.timeout.ms`. Default 45000.
    #[serde(rename = "session.timeout.ms")]
    pub session_timeout_ms: u64,
    /// `payload.max.bytes`: bytes of an event's payload. Default 512 KiB.
    #[serde(rename = "payload.max.bytes")]
    pub payload_max_bytes: usize,
    /// `effects.max.bytes`: bytes of an event's effects. Default 448 KiB.
    #[serde(rename = "effects.max.bytes")]
    pub effects_max_bytes: usize,
    /// `context.max.bytes`: bytes of an execution's context. Default 960 KiB.
    #[serde(rename = "context.max.bytes")]
    pub context_max_bytes: usize,
    /// `early.ttl.ms`: milliseconds for which an event is kept that came before its wait. Default 24
    /// hours.
    #[serde(rename = "early.ttl.ms")]
    pub early_ttl_ms: u64,
    /// `early.start.ttl.ms`: milliseconds for which an event is kept that came before its execution started; with 0 it is
    /// refused at once. Default 10 seconds.
    #[serde(rename = "early.start.ttl.ms")]
    pub early_start_ttl_ms: u64,
    /// `retention.ms`: milliseconds for which a closed execution is remembered, in the contexts too.
    /// Default 24 hours.
    #[serde(rename = "retention.ms")]
    pub retention_ms: u64,
    /// `retention.max.executions`: closed executions of a partition that are remembered at most.
    /// Default 1,000,000.
    #[serde(rename = "retention.max.executions")]
    pub retention_max_executions: usize,
    /// `channels`: the topics of channels that do not have the default one.
    #[serde(deserialize_with = "channel_map")]
    pub channels: BTreeMap<Channel, String>,
    /// `kafka`: settings of librdkafka.
    pub kafka: ClientSettings,
}

/// Settings given as flags: those that are `Some` win over every other source.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overrides {
    /// `brokers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brokers: Option<String>,
    /// `namespace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `instance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// `lanes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<usize>,
    /// `partitions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// `admin.addr`.
    #[serde(rename = "admin.addr", skip_serializing_if = "Option::is_none")]
    pub admin_addr: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            brokers: String::new(),
            namespace: "thalweg".to_owned(),
            instance: None,
            lanes: None,
            partitions: 12,
            admin_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)),
            batch_max_records: 1000,
            commit_interval_ms: 100,
            step_max_ms: 2000,
            step_max_events: 256,
            inline_deadline_ms: 1000,
            inline_stuck_ms: 30_000,
            transaction_timeout_ms: 10_000,
            session_timeout_ms: 45_000,
            payload_max_bytes: 512 * 1024,
            effects_max_bytes: 448 * 1024,
            context_max_bytes: 960 * 1024,
            early_ttl_ms: 24 * 3600 * 1000,
            early_start_ttl_ms: 10_000,
            retention_ms: 24 * 3600 * 1000,
            retention_max_executions: 1_000_000,
            channels: BTreeMap::new(),
            kafka: ClientSettings::default(),
        }
    }
}

impl Config {
    /// Reads `file`, the environment of this process and the flags, in that order.
    ///
    /// The result may still be unusable: complete it if need be, then call [`Config::check`].
    ///
    /// # Errors
    /// [`ConfigError::File`] and [`ConfigError::Source`]; [`ConfigError::Setting`] for brokers with a password.
    pub fn load(file: Option<&Path>, flags: &Overrides) -> Result<Config, ConfigError> {
        Config::read(file, Environment::of_process(), flags)
    }

    fn read(file: Option<&Path>, environment: Environment, flags: &Overrides) -> Result<Config, ConfigError> {
        let mut sources = Figment::new();
        if let Some(path) = file {
            // figment takes a file that is not there for an empty one.
            File::open(path).map_err(|error| ConfigError::File { path: path.into(), error })?;
            sources = sources.merge(Dotted(Toml::file_exact(path)));
        }
        let sources = sources.merge(environment).merge(Serialized::defaults(flags));
        let config: Config = sources.extract_lossy().map_err(|error| ConfigError::of_source(&error))?;
        // Before anything can show it.
        config.check_brokers()?;
        Ok(config)
    }

    /// What every client of Kafka is made from: the brokers, a client id, and `[kafka]`, which
    /// may name another client id.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("client.id", &self.namespace);
        self.kafka.apply(&mut client);
        client.set("bootstrap.servers", &self.brokers);
        client
    }

    /// Lanes of this process: as configured, else one for each core.
    pub fn lane_count(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        self.lanes.unwrap_or_else(cores).clamp(1, LANES_MAX)
    }

    /// The name of this process: as configured, else the host name, `:` and the admin port.
    ///
    /// `admin_port` is the bound one: two processes whose configured port is 0 would else have
    /// the same name, and fence each other.
    ///
    /// # Errors
    /// [`ConfigError::HostName`].
    pub fn instance_name(&self, admin_port: u16) -> Result<String, ConfigError> {
        if let Some(instance) = &self.instance {
            return Ok(instance.clone());
        }
        let host = hostname::get().map_err(ConfigError::HostName)?;
        Ok(format!("{}:{admin_port}", host.to_string_lossy()))
    }
}

/// One setting a line, `name = value`, without secrets.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(serde_json::Value::Object(settings)) = serde_json::to_value(self) else {
            return Err(fmt::Error);
        };
        for (name, value) in settings {
            match value {
                serde_json::Value::Null => {}
                serde_json::Value::Object(table) => {
                    for (inner, value) in table {
                        writeln!(f, "{name}.{inner} = {value}")?;
                    }
                }
                scalar => writeln!(f, "{name} = {scalar}")?,
            }
        }
        Ok(())
    }
}

fn channel_map<'de, D>(deserializer: D) -> Result<BTreeMap<Channel, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let named = BTreeMap::<String, String>::deserialize(deserializer)?;
    let parsed = named.into_iter().map(|(name, topic)| match name.parse::<Channel>() {
        Ok(channel) => Ok((channel, topic)),
        Err(unknown) => Err(serde::de::Error::custom(format_args!(
            "unknown channel {unknown:?}, the channels are {}",
            Channel::list()
        ))),
    });
    parsed.collect()
}
