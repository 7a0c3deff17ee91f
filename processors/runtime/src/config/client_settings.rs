//! The `[kafka]` table: settings of librdkafka, passed on as they are.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ConfigError;

/// What is shown instead of a secret.
const HIDDEN: &str = "(hidden)";

/// Parts of a setting's name that mark its value as a secret. Rather too many than too few.
const SECRET_MARKS: [&str; 8] = ["pass", "secret", "token", "pem", "oauthbearer", "jaas", "kinit", "credential"];

const EXACTLY_ONCE: &str = "the lane sets it, exactly-once depends on it";
const LANE_GROUP: &str = "the lane sets it, the assignment of partitions depends on it";
const PER_LANE: &str = "it would be the same for every lane, and they would fence each other";
const DERIVED: &str = "the lane sets it, from the limits of the topics";

/// Settings that are not the user's, each with the reason.
const OWNED: [(&str, &str); 28] = [
    ("acks", EXACTLY_ONCE),
    ("allow.auto.create.topics", "`topics` creates them, with their settings"),
    ("auto.commit.enable", EXACTLY_ONCE),
    ("auto.commit.interval.ms", EXACTLY_ONCE),
    ("auto.offset.reset", EXACTLY_ONCE),
    ("bootstrap.servers", "set `brokers` instead"),
    ("enable.auto.commit", EXACTLY_ONCE),
    ("enable.auto.offset.store", EXACTLY_ONCE),
    ("enable.gapless.guarantee", EXACTLY_ONCE),
    ("enable.idempotence", EXACTLY_ONCE),
    ("enable.partition.eof", "the lane sets it, restore depends on it"),
    ("group.id", "it is the namespace and `.router`: set `namespace` instead"),
    ("group.instance.id", PER_LANE),
    ("group.protocol", LANE_GROUP),
    ("group.protocol.type", LANE_GROUP),
    ("group.remote.assignor", LANE_GROUP),
    ("isolation.level", EXACTLY_ONCE),
    ("message.max.bytes", DERIVED),
    ("metadata.broker.list", "set `brokers` instead"),
    ("msg_order_cmp", "the lane sets it, the order of events depends on it"),
    ("partition.assignment.strategy", LANE_GROUP),
    ("partitioner", "the lane sets it, it must be the same for every client of a topic"),
    ("queuing.strategy", "the lane sets it, the order of events depends on it"),
    ("request.required.acks", EXACTLY_ONCE),
    ("session.timeout.ms", "set `session.timeout.ms` at the top level instead"),
    ("test.mock.num.brokers", "it would replace `brokers` by an imitation without a word"),
    ("transaction.timeout.ms", "set `transaction.timeout.ms` at the top level instead"),
    ("transactional.id", PER_LANE),
];

/// Settings of librdkafka by name. Values that are secrets are never shown: not by `Debug`, and
/// not when serialized.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientSettings(BTreeMap<String, String>);

impl ClientSettings {
    /// Sets one setting, as the table would.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Adds the settings to those of a client.
    pub(super) fn apply(&self, client: &mut ClientConfig) {
        for (name, value) in &self.0 {
            client.set(name, value);
        }
    }

    /// Refuses settings which the lane must own, and those which librdkafka does not take.
    ///
    /// # Errors
    /// [`ConfigError::KafkaOwned`], [`ConfigError::KafkaRefused`].
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (name, value) in &self.0 {
            if let Some((_, reason)) = OWNED.iter().find(|(owned, _)| owned == name) {
                return Err(ConfigError::KafkaOwned { name: name.clone(), reason });
            }
            let mut alone = ClientConfig::new();
            alone.set(name, value);
            if let Err(refusal) = alone.create_native_config() {
                let reason = match refusal {
                    KafkaError::ClientConfig(_, reason, _, _) if !is_secret(name) => reason,
                    _ => "invalid value".to_owned(),
                };
                return Err(ConfigError::KafkaRefused { name: name.clone(), reason });
            }
        }
        Ok(())
    }

    fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        // What librdkafka does not know may be a password whose name has a slip in it.
        let hidden = |name: &str, value: &str| is_secret(name) || !is_taken(name, value);
        self.0.iter().map(move |(n, value)| (n.as_str(), if hidden(n, value) { HIDDEN } else { value.as_str() }))
    }
}

fn is_secret(name: &str) -> bool {
    SECRET_MARKS.iter().any(|mark| name.contains(mark))
}

/// Does librdkafka take this setting?
fn is_taken(name: &str, value: &str) -> bool {
    ClientConfig::new().set(name, value).create_native_config().is_ok()
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.shown()).finish()
    }
}

impl Serialize for ClientSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.shown())
    }
}

impl<'de> Deserialize<'de> for ClientSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = BTreeMap::<String, Scalar>::deserialize(deserializer)?;
        Ok(ClientSettings(table.into_iter().map(|(name, value)| (name, value.text())).collect()))
    }
}

/// librdkafka takes strings only; a file may write its numbers and booleans as such.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string, a number or a boolean")]
enum Scalar {
    Text(String),
    Flag(bool),
    Whole(i64),
    Real(f64),
}

impl Scalar {
    fn text(self) -> String {
        match self {
            Scalar::Text(text) => text,
            Scalar::Flag(flag) => flag.to_string(),
            Scalar::Whole(number) => number.to_string(),
            Scalar::Real(number) => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(entries: &[(&str, &str)]) -> ClientSettings {
        let mut settings = ClientSettings::default();
        for (name, value) in entries {
            settings.set(*name, *value);
        }
        settings
    }

    #[test]
    fn what_the_lane_owns_is_refused_with_the_reason() {
        for (name, reason) in OWNED {
            let refusal = settings(&[(name, "1")]).check().unwrap_err().to_string();
            assert_eq!(refusal, format!("kafka.{name} can't be set: {reason}"));
        }
    }

    #[test]
    fn librdkafka_judges_the_rest() {
        let good = [("security.protocol", "SASL_SSL"), ("sasl.mechanisms", "SCRAM-SHA-512")];
        settings(&good).check().unwrap();

        let unknown = settings(&[("sasl.pasword", "x")]).check().unwrap_err().to_string();
        assert!(unknown.contains("kafka.sasl.pasword"), "{unknown}");
        let invalid = settings(&[("security.protocol", "carrier-pigeon")]).check().unwrap_err();
        assert!(invalid.to_string().contains("security.protocol"), "{invalid}");
    }

    #[test]
    fn secrets_are_never_shown() {
        let names = [
            "sasl.password",
            "ssl.key.password",
            "ssl.keystore.password",
            "ssl.key.pem",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.config",
            "sasl.kerberos.kinit.cmd",
            "sasl.pasword",
        ];
        let mut all = settings(&names.map(|name| (name, "hunter2")));
        all.set("sasl.username", "alice");
        let json = serde_json::to_string(&all).unwrap();
        for shown in [format!("{all:?}"), json] {
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("alice"), "{shown}");
        }
        let mut client = ClientConfig::new();
        all.apply(&mut client);
        assert_eq!(client.get("ssl.key.pem"), Some("hunter2"));
    }

    #[test]
    fn a_refused_secret_is_not_in_the_error() {
        let refusal = settings(&[("sasl.oauthbearer.method", "hunter2")]).check().unwrap_err();
        assert!(!format!("{refusal} {refusal:?}").contains("hunter2"));
    }
}
