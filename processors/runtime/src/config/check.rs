//! What a configuration must fulfil before anything is started with it.

use thalweg_core::Channel;
use thalweg_core::limits::RECORD_MARGIN_BYTES;

use super::{Config, ConfigError, LANES_MAX, PARTITIONS_MAX};
use crate::topic::Topics;
use crate::topic_setup::CHANNEL_RECORD_MAX_BYTES;

/// Bytes of a topic's name, Kafka's limit.
const TOPIC_MAX_BYTES: usize = 249;
/// Bytes of a namespace, so that the names of queues fit behind it.
const NAMESPACE_MAX_BYTES: usize = 128;
/// Bytes of an instance, part of a transactional id.
const INSTANCE_MAX_BYTES: usize = 256;
/// Milliseconds of any setting at most, an hour: librdkafka's limit for a session.
const TIME_MAX_MS: u64 = 3_600_000;

impl Config {
    /// Checks every setting, alone and against the others.
    ///
    /// # Errors
    /// The first that can't work, in the order of the documentation.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_names()?;
        self.check_counts()?;
        self.check_times()?;
        self.check_sizes()?;
        self.check_channels()?;
        self.kafka.check()
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        ensure(!self.brokers.trim().is_empty(), "brokers", || {
            "not set: give --brokers, THALWEG_BROKERS or the file's `brokers`".to_owned()
        })?;
        self.check_brokers()?;
        ensure(is_topic_name(&self.namespace, NAMESPACE_MAX_BYTES), "namespace", || {
            format!("must be 1 to {NAMESPACE_MAX_BYTES} of a-z A-Z 0-9 . _ -")
        })?;
        let Some(instance) = &self.instance else { return Ok(()) };
        let length = 1..=INSTANCE_MAX_BYTES;
        let legal = length.contains(&instance.len()) && !instance.contains(char::is_control);
        ensure(legal, "instance", || format!("must be 1 to {INSTANCE_MAX_BYTES} bytes without control characters"))
    }

    /// What stands before an `@` would be shown wherever the brokers are.
    pub(super) fn check_brokers(&self) -> Result<(), ConfigError> {
        ensure(!self.brokers.contains('@'), "brokers", || {
            "must be host:port; user and password are `sasl.username` and `sasl.password` of [kafka]".to_owned()
        })
    }

    fn check_counts(&self) -> Result<(), ConfigError> {
        let lanes = self.lanes.unwrap_or(1);
        ensure((1..=LANES_MAX).contains(&lanes), "lanes", || format!("{lanes} is not in 1 to {LANES_MAX}"))?;
        ensure((1..=PARTITIONS_MAX).contains(&self.partitions), "partitions", || {
            format!("{} is not in 1 to {PARTITIONS_MAX}", self.partitions)
        })?;
        ensure(self.batch_max_records > 0, "batch.max.records", above_zero)?;
        ensure(self.step_max_events > 0, "step.max.events", above_zero)
    }

    fn check_times(&self) -> Result<(), ConfigError> {
        let times = [
            ("commit.interval.ms", self.commit_interval_ms),
            ("step.max.ms", self.step_max_ms),
            ("inline.deadline.ms", self.inline_deadline_ms),
            ("inline.stuck.ms", self.inline_stuck_ms),
            ("transaction.timeout.ms", self.transaction_timeout_ms),
            ("session.timeout.ms", self.session_timeout_ms),
        ];
        for (setting, milliseconds) in times {
            ensure((1..=TIME_MAX_MS).contains(&milliseconds), setting, || {
                format!("{milliseconds} is not in 1 to {TIME_MAX_MS}")
            })?;
        }
        let orders = [
            ("commit.interval.ms", "transaction.timeout.ms"),
            ("step.max.ms", "transaction.timeout.ms"),
            ("inline.deadline.ms", "inline.stuck.ms"),
            ("transaction.timeout.ms", "session.timeout.ms"),
        ];
        let value = |name| times.iter().find(|(n, _)| *n == name).map_or(0, |(_, ms)| *ms);
        for (smaller, larger) in orders {
            let (low, high) = (value(smaller), value(larger));
            ensure(low < high, smaller, || format!("{low} must be below {larger}, {high}"))?;
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), ConfigError> {
        ensure(self.payload_max_bytes > 0, "payload.max.bytes", above_zero)?;
        ensure(self.effects_max_bytes > 0, "effects.max.bytes", above_zero)?;
        ensure(self.context_max_bytes > 0, "context.max.bytes", above_zero)?;
        let free = CHANNEL_RECORD_MAX_BYTES - RECORD_MARGIN_BYTES;
        let event = self.payload_max_bytes.saturating_add(self.effects_max_bytes);
        ensure(event <= free, "payload.max.bytes", || {
            format!(
                "with effects.max.bytes it makes {event}, and {free} fit: a record of a channel \
                 has {CHANNEL_RECORD_MAX_BYTES} bytes, {RECORD_MARGIN_BYTES} of them for the rest"
            )
        })?;
        ensure(self.context_max_bytes <= free, "context.max.bytes", || {
            format!("{} is above {free}, what a record of contexts holds", self.context_max_bytes)
        })
    }

    fn check_channels(&self) -> Result<(), ConfigError> {
        let topics = Topics::new(self);
        for &channel in Channel::ALL {
            let topic = topics.channel(channel);
            let problem = if !is_topic_name(topic, TOPIC_MAX_BYTES) {
                format!("{topic:?} is no name of a topic: 1 to {TOPIC_MAX_BYTES} of a-z A-Z 0-9 . _ -")
            } else if topics.is_taken(topic) {
                format!("the topic {topic} has another use")
            } else {
                continue;
            };
            return Err(ConfigError::Channel { channel, problem });
        }
        Ok(())
    }
}

fn ensure(holds: bool, setting: &'static str, problem: impl FnOnce() -> String) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::Setting { setting, problem: problem() }) }
}

fn above_zero() -> String {
    "must be above 0".to_owned()
}

fn is_topic_name(name: &str, bytes_max: usize) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=bytes_max).contains(&name.len()) && name.bytes().all(legal) && name != "." && name != ".."
}
