//! The topics that a namespace needs, with their settings.

use thalweg_core::limits::RECORD_MARGIN_BYTES;

use crate::config::Config;
use crate::topic::Topics;

/// Bytes of a record batch of a channel or of contexts: Kafka's own default.
pub const CHANNEL_RECORD_MAX_BYTES: usize = 1_048_588;
/// Bytes of a record batch of the inbox. Above what an event may have, so that an input which is
/// too large is answered with TOO_LARGE instead of being refused to its writer.
pub const INBOX_RECORD_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a record batch of dead-letters: any record of the inbox, and what happened to it.
/// A producer of the lane needs it as its `message.max.bytes`.
pub const DEAD_LETTER_RECORD_MAX_BYTES: usize = INBOX_RECORD_MAX_BYTES + RECORD_MARGIN_BYTES;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How long the inbox and the channels are kept.
const EVENT_RETENTION_MS: i64 = 7 * DAY_MS;
/// How long dead letters are kept: people look at them.
const DEAD_LETTER_RETENTION_MS: i64 = 30 * DAY_MS;
/// Bytes of a segment of contexts. The newest one is never compacted, and restore reads it whole.
const CONTEXTS_SEGMENT_BYTES: i64 = 64 * 1024 * 1024;
/// Age of a segment of contexts: a namespace with little load is compacted, too.
const CONTEXTS_SEGMENT_MS: i64 = 60 * 60 * 1000;
/// Part of contexts that is superseded before it is compacted: restore reads at most this more.
const CONTEXTS_DIRTY_RATIO: &str = "0.2";
/// How long a superseded context may stay at most, however small its part.
const CONTEXTS_COMPACTION_LAG_MS: i64 = 6 * 60 * 60 * 1000;

/// A topic that a namespace needs.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedTopic {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: i32,
    /// What it is created with.
    pub settings: Vec<TopicSetting>,
}

/// A setting of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicSetting {
    /// Kafka's name for it.
    pub name: &'static str,
    /// What a topic is created with.
    pub value: String,
    /// What is good enough in a topic that exists.
    pub accepts: Accepts,
    /// With another value promises break; else it is a matter of taste or speed.
    pub required: bool,
}

/// Which values of a setting are good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accepts {
    /// The value itself; numbers are compared as such.
    Same,
    /// Numbers from the first to the second.
    Between(i64, i64),
}

/// The topics that `config` needs, each once: what to create where that can't be done by
/// [`create_topics`](super::create_topics).
pub fn wanted_topics(config: &Config) -> Vec<WantedTopic> {
    let topics = Topics::new(config);
    let event_bytes = config.payload_max_bytes + config.effects_max_bytes + RECORD_MARGIN_BYTES;
    let context_bytes = config.context_max_bytes + RECORD_MARGIN_BYTES;
    let input_bytes = config.payload_max_bytes + RECORD_MARGIN_BYTES;
    let wanted = |name: &str, partitions, settings| WantedTopic { name: name.to_owned(), partitions, settings };

    let mut inbox = delete_after(EVENT_RETENTION_MS);
    // Not above either: a larger record could be neither forwarded nor dead-lettered.
    inbox.push(record_bytes(INBOX_RECORD_MAX_BYTES, input_bytes, INBOX_RECORD_MAX_BYTES));

    let mut contexts = contexts_compaction();
    contexts.push(record_bytes(CHANNEL_RECORD_MAX_BYTES, context_bytes, usize::MAX));

    let mut dead_letters = delete_after(DEAD_LETTER_RETENTION_MS);
    let dead_letter_bytes = DEAD_LETTER_RECORD_MAX_BYTES;
    dead_letters.push(record_bytes(dead_letter_bytes, dead_letter_bytes, usize::MAX));

    let mut all = vec![
        wanted(topics.inbox(), config.partitions, inbox),
        wanted(topics.contexts(), config.partitions, contexts),
        wanted(topics.registry(), 1, vec![required("cleanup.policy", "compact")]),
        wanted(topics.dead_letters(), config.partitions, dead_letters),
    ];
    for topic in topics.channel_topics() {
        let mut channel = delete_after(EVENT_RETENTION_MS);
        channel.push(record_bytes(CHANNEL_RECORD_MAX_BYTES, event_bytes, usize::MAX));
        all.push(wanted(topic, config.partitions, channel));
    }
    all
}

fn delete_after(retention_ms: i64) -> Vec<TopicSetting> {
    vec![required("cleanup.policy", "delete"), preferred("retention.ms", retention_ms)]
}

fn contexts_compaction() -> Vec<TopicSetting> {
    vec![
        required("cleanup.policy", "compact"),
        preferred("segment.bytes", CONTEXTS_SEGMENT_BYTES),
        preferred("segment.ms", CONTEXTS_SEGMENT_MS),
        preferred("min.cleanable.dirty.ratio", CONTEXTS_DIRTY_RATIO),
        preferred("max.compaction.lag.ms", CONTEXTS_COMPACTION_LAG_MS),
    ]
}

fn required(name: &'static str, value: &str) -> TopicSetting {
    TopicSetting { name, value: value.to_owned(), accepts: Accepts::Same, required: true }
}

fn preferred(name: &'static str, value: impl ToString) -> TopicSetting {
    TopicSetting { name, value: value.to_string(), accepts: Accepts::Same, required: false }
}

fn record_bytes(value: usize, least: usize, most: usize) -> TopicSetting {
    let bound = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
    TopicSetting {
        name: "max.message.bytes",
        value: value.to_string(),
        accepts: Accepts::Between(bound(least), bound(most)),
        required: true,
    }
}
