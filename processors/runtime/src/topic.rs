//! The names of a namespace: its topics and its consumer group.

use std::array;
use std::collections::BTreeSet;

use thalweg_core::Channel;

use crate::config::Config;

/// The topics of a namespace, and its consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    inbox: String,
    contexts: String,
    registry: String,
    dead_letters: String,
    queues: String,
    group: String,
    /// In the order of `Channel::ALL`.
    channels: [String; Channel::ALL.len()],
}

impl Topics {
    /// The names that a configuration gives.
    pub fn new(config: &Config) -> Topics {
        let namespace = &config.namespace;
        let channel_topic = |channel: Channel| match config.channels.get(&channel) {
            Some(topic) if topic.contains('.') => topic.clone(),
            Some(suffix) => format!("{namespace}.{suffix}"),
            None => format!("{namespace}.{channel}"),
        };
        Topics {
            inbox: format!("{namespace}.inbox"),
            contexts: format!("{namespace}.contexts"),
            registry: format!("{namespace}.registry"),
            dead_letters: format!("{namespace}.dead-letters"),
            queues: format!("{namespace}.queue."),
            group: format!("{namespace}.router"),
            channels: array::from_fn(|i| channel_topic(Channel::ALL[i])),
        }
    }

    /// Where anyone writes.
    pub fn inbox(&self) -> &str {
        &self.inbox
    }

    /// The compacted topic of the executions' contexts.
    pub fn contexts(&self) -> &str {
        &self.contexts
    }

    /// The compacted topic of schemas and registrations.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Where input goes that can't be handled.
    pub fn dead_letters(&self) -> &str {
        &self.dead_letters
    }

    /// The topic that carries a channel.
    pub fn channel(&self, channel: Channel) -> &str {
        &self.channels[channel as usize]
    }

    /// The topics that carry channels, each once, sorted.
    pub fn channel_topics(&self) -> BTreeSet<&str> {
        self.channels.iter().map(String::as_str).collect()
    }

    /// The consumer group of the namespace's routers.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The topic is one that the engine uses for something else than channels.
    pub(crate) fn is_taken(&self, topic: &str) -> bool {
        let taken = [&self.inbox, &self.contexts, &self.registry, &self.dead_letters];
        taken.into_iter().any(|name| name == topic) || topic.starts_with(&self.queues)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_namespace() {
        let topics = Topics::new(&Config { namespace: "claims".into(), ..Config::default() });
        assert_eq!(topics.inbox(), "claims.inbox");
        assert_eq!(topics.contexts(), "claims.contexts");
        assert_eq!(topics.registry(), "claims.registry");
        assert_eq!(topics.dead_letters(), "claims.dead-letters");
        assert_eq!(topics.group(), "claims.router");
        assert_eq!(topics.channel(Channel::BusinessFacts), "claims.business-facts");
        assert_eq!(topics.channel_topics().len(), 8);
    }

    #[test]
    fn channels_may_share_a_topic_or_leave_the_namespace() {
        let mut config = Config::default();
        config.channels.insert(Channel::TaskEvents, "events".into());
        config.channels.insert(Channel::PlanEvents, "events".into());
        config.channels.insert(Channel::BillingEvents, "acme.billing".into());
        let topics = Topics::new(&config);
        assert_eq!(topics.channel(Channel::TaskEvents), "thalweg.events");
        assert_eq!(topics.channel(Channel::PlanEvents), "thalweg.events");
        assert_eq!(topics.channel(Channel::BillingEvents), "acme.billing");
        assert_eq!(topics.channel_topics().len(), 7);
    }
}
