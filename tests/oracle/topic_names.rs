//! The names that a namespace's topics have.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_core::Channel;

/// Where the oracle looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicNames {
    /// Where anyone writes.
    pub inbox: String,
    /// The topic of each channel; several channels may share one.
    pub channels: BTreeMap<Channel, String>,
    /// The compacted topic of the contexts.
    pub contexts: String,
    /// Where input goes that can't be handled.
    pub dead_letters: String,
    /// The consumer group of the routers.
    pub group: String,
    /// Partitions of each of these topics.
    pub partitions: i32,
}

impl TopicNames {
    /// The default names of `namespace`: a topic for each channel.
    pub fn of(namespace: &str, partitions: i32) -> TopicNames {
        let channels = Channel::ALL.iter().map(|channel| (*channel, format!("{namespace}.{channel}"))).collect();
        TopicNames {
            inbox: format!("{namespace}.inbox"),
            channels,
            contexts: format!("{namespace}.contexts"),
            dead_letters: format!("{namespace}.dead-letters"),
            group: format!("{namespace}.router"),
            partitions,
        }
    }

    /// The topics that carry channels, each once.
    pub fn channel_topics(&self) -> BTreeSet<&str> {
        self.channels.values().map(String::as_str).collect()
    }
}
