//! What differs between the topics that a namespace needs and those that exist.

use std::collections::BTreeMap;
use std::fmt;

use thalweg_core::ErrorCode;

use super::wanted::{Accepts, TopicSetting, WantedTopic};
use crate::config::Config;
use crate::topic::Topics;

/// Minutes that Kafka keeps the offsets of a group without members, the brokers' default.
const OFFSETS_RETENTION: &str = "offsets.retention.minutes";
/// Where the broker's settings are reported: the topic that they are about.
const OFFSETS_TOPIC: &str = "__consumer_offsets";
const MINUTE_MS: i64 = 60_000;

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where the error table tells more, if it does.
    pub code: Option<ErrorCode>,
    /// The topic.
    pub topic: String,
    /// Kafka's name of the setting, `partitions`, or `topic` for its existence.
    pub setting: String,
    /// What it should be.
    pub wanted: String,
    /// What it is.
    pub found: String,
    /// What to do.
    pub advice: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Slower or otherwise than usual, but right.
    Notice,
    /// A promise breaks, or a router can't work.
    Fault,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Notice => "notice",
            Severity::Fault => "fault",
        })
    }
}

/// What was found on the brokers.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The needed topics that exist, by name.
    pub topics: BTreeMap<String, FoundTopic>,
    /// The settings of a broker; `None` if they can't be read.
    pub broker: Option<Settings>,
}

/// A topic that exists.
#[derive(Clone, Debug)]
pub(super) struct FoundTopic {
    pub partitions: i32,
    /// `None` if they can't be read.
    pub settings: Option<Settings>,
}

/// Values by Kafka's names.
pub(super) type Settings = BTreeMap<String, String>;

/// Compares what is wanted, with the partition count that exists, with what was found. The order
/// is that of `wanted`.
pub(super) fn compare(config: &Config, wanted: &[WantedTopic], found: &Found) -> Vec<Finding> {
    let topics = Topics::new(config);
    let mut findings = Vec::new();
    for topic in wanted {
        match found.topics.get(&topic.name) {
            None => findings.push(missing(topic)),
            Some(existing) => {
                findings.extend(partitions(config, &topics, topic, existing.partitions));
                findings.extend(settings(topic, existing.settings.as_ref()));
            }
        }
    }
    findings.extend(offsets_retention(&topics, found));
    findings
}

fn missing(topic: &WantedTopic) -> Finding {
    Finding {
        severity: Severity::Fault,
        code: None,
        topic: topic.name.clone(),
        setting: "topic".to_owned(),
        wanted: format!("{} partitions", topic.partitions),
        found: "nothing".to_owned(),
        advice: "create it: thalweg topics".to_owned(),
    }
}

fn partitions(config: &Config, topics: &Topics, topic: &WantedTopic, found: i32) -> Option<Finding> {
    let finding = |severity, code, wanted: i32, advice: &str| Finding {
        severity,
        code,
        topic: topic.name.clone(),
        setting: "partitions".to_owned(),
        wanted: wanted.to_string(),
        found: found.to_string(),
        advice: advice.to_owned(),
    };
    if found == topic.partitions {
        let configured = config.partitions;
        let is_ruling = topic.name == topics.inbox();
        return (is_ruling && found != configured).then(|| {
            let advice = format!("the topic rules: set `partitions = {found}`");
            finding(Severity::Notice, None, configured, &advice)
        });
    }
    let wanted = topic.partitions;
    if topic.name == topics.contexts() {
        let advice = "the count is fixed for life, each execution is bound to its partition: give \
                      inbox and contexts the count they had, or begin a new namespace";
        let code = Some(ErrorCode::PartitionsChanged);
        return Some(finding(Severity::Fault, code, wanted, advice));
    }
    if topic.name == topics.registry() {
        let advice = "its order matters: delete it and call `thalweg topics` and start the routers \
                      again, they write what they need into it";
        return Some(finding(Severity::Fault, None, wanted, advice));
    }
    let advice = "the router works, but an execution's records are not in the partition of the \
                  same number: readers that rely on it need a topic with the right count";
    Some(finding(Severity::Notice, None, wanted, advice))
}

fn settings(topic: &WantedTopic, found: Option<&Settings>) -> Vec<Finding> {
    let Some(found) = found else {
        return vec![Finding {
            severity: Severity::Notice,
            code: None,
            topic: topic.name.clone(),
            setting: "settings".to_owned(),
            wanted: "readable".to_owned(),
            found: "unreadable".to_owned(),
            advice: "allow DescribeConfigs on the topic, so that they can be checked".to_owned(),
        }];
    };
    let differing = topic.settings.iter().filter_map(|wanted| {
        let value = found.get(wanted.name).map_or("", String::as_str);
        (!wanted.is_met_by(value)).then(|| differs(&topic.name, wanted, value))
    });
    differing.collect()
}

fn differs(topic: &str, wanted: &TopicSetting, found: &str) -> Finding {
    let (name, value) = (wanted.name, &wanted.value);
    let severity = if wanted.required { Severity::Fault } else { Severity::Notice };
    let alter =
        format!("kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config {name}={value}");
    let advice = match severity {
        Severity::Fault => alter,
        Severity::Notice => format!("nothing if it is meant so, else {alter}"),
    };
    Finding {
        severity,
        code: None,
        topic: topic.to_owned(),
        setting: name.to_owned(),
        wanted: wanted.to_string(),
        found: found.to_owned(),
        advice,
    }
}

/// A group whose offsets expire while the inbox still has records does not know where to go on.
fn offsets_retention(topics: &Topics, found: &Found) -> Option<Finding> {
    let inbox = found.topics.get(topics.inbox())?.settings.as_ref()?;
    let inbox_ms: i64 = inbox.get("retention.ms")?.parse().ok()?;
    let offsets_minutes: i64 = found.broker.as_ref()?.get(OFFSETS_RETENTION)?.parse().ok()?;
    let kept_ms = offsets_minutes.saturating_mul(MINUTE_MS);
    let is_unlimited = inbox_ms < 0;
    if !is_unlimited && kept_ms >= inbox_ms {
        return None;
    }
    let minutes = (inbox_ms / MINUTE_MS).to_string();
    Some(Finding {
        severity: Severity::Notice,
        code: Some(ErrorCode::InboxReplaced),
        topic: OFFSETS_TOPIC.to_owned(),
        setting: OFFSETS_RETENTION.to_owned(),
        wanted: if is_unlimited { "the inbox's, unlimited".to_owned() } else { minutes },
        found: offsets_minutes.to_string(),
        advice: format!(
            "keep offsets as long as the inbox: a router that is away for longer stops with \
             INBOX_REPLACED (a setting of the brokers; or lower {}'s retention.ms)",
            topics.inbox()
        ),
    })
}

impl TopicSetting {
    fn is_met_by(&self, found: &str) -> bool {
        match self.accepts {
            Accepts::Same => match (self.value.parse::<f64>(), found.parse::<f64>()) {
                (Ok(wanted), Ok(found)) => wanted == found,
                _ => self.value == found,
            },
            Accepts::Between(least, most) => found.parse().is_ok_and(|found: i64| (least..=most).contains(&found)),
        }
    }
}

/// What is accepted, for people.
impl fmt::Display for TopicSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.accepts {
            Accepts::Same => f.write_str(&self.value),
            Accepts::Between(least, i64::MAX) => write!(f, "at least {least}"),
            Accepts::Between(least, most) => write!(f, "{least} to {most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wanted::wanted_topics;
    use super::*;

    /// A cluster where everything is as `wanted_topics` asks for.
    fn as_wanted(config: &Config) -> Found {
        let topic = |topic: WantedTopic| {
            let settings = topic.settings.into_iter().map(|s| (s.name.to_owned(), s.value));
            let settings = Some(settings.collect());
            (topic.name, FoundTopic { partitions: topic.partitions, settings })
        };
        Found {
            topics: wanted_topics(config).into_iter().map(topic).collect(),
            broker: Some([(OFFSETS_RETENTION.to_owned(), "10080".to_owned())].into()),
        }
    }

    fn findings(found: &Found) -> Vec<Finding> {
        let config = Config::default();
        compare(&config, &wanted_topics(&config), found)
    }

    fn with_setting(topic: &str, setting: &str, value: &str) -> Vec<Finding> {
        let mut found = as_wanted(&Config::default());
        let settings = found.topics.get_mut(topic).unwrap().settings.as_mut().unwrap();
        settings.insert(setting.to_owned(), value.to_owned());
        findings(&found)
    }

    #[test]
    fn what_was_created_as_wanted_has_no_findings() {
        assert_eq!(findings(&as_wanted(&Config::default())), []);
        assert_eq!(with_setting("thalweg.contexts", "min.cleanable.dirty.ratio", "0.20"), []);
        assert_eq!(with_setting("thalweg.task-events", "max.message.bytes", "9000000"), []);
    }

    #[test]
    fn a_topic_that_lacks_is_a_fault() {
        let mut found = as_wanted(&Config::default());
        found.topics.remove("thalweg.registry");
        let [finding] = &findings(&found)[..] else { panic!("one finding") };
        assert_eq!((finding.severity, finding.setting.as_str()), (Severity::Fault, "topic"));
        assert_eq!(finding.topic, "thalweg.registry");
    }

    #[test]
    fn settings_that_break_promises_are_faults() {
        for (topic, setting, value) in [
            ("thalweg.contexts", "cleanup.policy", "compact,delete"),
            ("thalweg.inbox", "cleanup.policy", "compact"),
            ("thalweg.task-events", "max.message.bytes", "1048575"),
            ("thalweg.dead-letters", "max.message.bytes", "1048588"),
            ("thalweg.inbox", "max.message.bytes", "4194305"),
            ("thalweg.inbox", "max.message.bytes", "1000"),
        ] {
            let [finding] = &with_setting(topic, setting, value)[..] else { panic!("{topic}") };
            assert_eq!(finding.severity, Severity::Fault, "{topic}");
            assert_eq!((finding.topic.as_str(), finding.setting.as_str()), (topic, setting));
            assert_eq!(finding.found, value);
            assert!(finding.advice.contains(&format!("{setting}=")), "{}", finding.advice);
        }
    }

    #[test]
    fn settings_of_taste_are_notices() {
        let [finding] = &with_setting("thalweg.plan-events", "retention.ms", "1")[..] else { panic!("one finding") };
        assert_eq!(finding.severity, Severity::Notice);
        assert_eq!((finding.wanted.as_str(), finding.found.as_str()), ("604800000", "1"));
    }

    #[test]
    fn inbox_and_contexts_of_different_counts_have_a_code() {
        let mut found = as_wanted(&Config::default());
        found.topics.get_mut("thalweg.contexts").unwrap().partitions = 6;
        let [finding] = &findings(&found)[..] else { panic!("one finding") };
        assert_eq!(finding.code, Some(ErrorCode::PartitionsChanged));
        assert_eq!(finding.severity, Severity::Fault);
        assert_eq!((finding.wanted.as_str(), finding.found.as_str()), ("12", "6"));
    }

    #[test]
    fn a_configured_count_that_the_topics_do_not_have_is_a_notice() {
        let config = Config { partitions: 4, ..Config::default() };
        let existing = wanted_topics(&Config::default());
        let [finding] = &compare(&config, &existing, &as_wanted(&Config::default()))[..] else { panic!("one finding") };
        assert_eq!((finding.severity, finding.code), (Severity::Notice, None));
        assert_eq!((finding.wanted.as_str(), finding.found.as_str()), ("4", "12"));
    }

    #[test]
    fn unreadable_settings_are_said_to_be() {
        let mut found = as_wanted(&Config::default());
        found.topics.get_mut("thalweg.inbox").unwrap().settings = None;
        let [finding] = &findings(&found)[..] else { panic!("one finding") };
        assert_eq!((finding.severity, finding.found.as_str()), (Severity::Notice, "unreadable"));
    }

    #[test]
    fn offsets_that_expire_before_the_inbox_are_found() {
        let mut found = as_wanted(&Config::default());
        found.broker = Some([(OFFSETS_RETENTION.to_owned(), "1440".to_owned())].into());
        let [finding] = &findings(&found)[..] else { panic!("one finding") };
        assert_eq!((finding.wanted.as_str(), finding.found.as_str()), ("10080", "1440"));
        assert_eq!(with_setting("thalweg.inbox", "retention.ms", "-1").len(), 2);
    }
}
