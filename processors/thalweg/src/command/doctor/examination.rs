//! What is looked at once, for all areas.

use std::collections::BTreeMap;

use thalweg_runtime::inspection::{
    Allowance, Answer, BrokerAddress, InspectionError, Inspector, Look, PartitionLayout, Settings, Span,
};
use thalweg_runtime::{Config, Topics, WantedTopic, wanted_topics};

use super::check::{Area, Check};
use super::{brokers, clocks, group, permissions, registry, topics, transactions};

/// A namespace that is looked at.
pub struct Examination {
    /// The configuration.
    pub config: Config,
    /// The names of the topics.
    pub topics: Topics,
    /// Who looks.
    pub inspector: Inspector,
    /// The topics that are needed.
    pub wanted: Vec<WantedTopic>,
    /// The brokers of the cluster.
    pub brokers: Vec<BrokerAddress>,
    /// Their settings, where they may be read.
    pub broker_settings: BTreeMap<i32, Option<Settings>>,
    /// What is seen of each needed topic.
    pub looks: BTreeMap<String, Look>,
    /// The settings of those that exist, where they may be read.
    pub topic_settings: BTreeMap<String, Option<Settings>>,
    /// Whether the routers' group may be used; `None` where there is no inbox to ask with.
    pub group: Option<Allowance>,
    /// What the group had committed when the examination began.
    pub committed: BTreeMap<i32, i64>,
    /// The offsets of their partitions.
    pub spans: BTreeMap<(String, i32), Span>,
}

impl Examination {
    /// Looks at what every area needs.
    ///
    /// # Errors
    /// Where the brokers stop answering.
    pub fn begin(config: &Config) -> Result<Examination, InspectionError> {
        let inspector = Inspector::new(config)?;
        let wanted = wanted_topics(config);
        let brokers = inspector.brokers()?;
        let looks = inspector.look(wanted.iter().map(|topic| topic.name.as_str()))?;
        let broker_settings = brokers.iter().map(|broker| Ok((broker.id, inspector.broker_settings(broker.id)?)));
        let mut examination = Examination {
            topics: Topics::new(config),
            config: config.clone(),
            broker_settings: broker_settings.collect::<Result<_, InspectionError>>()?,
            topic_settings: BTreeMap::new(),
            group: None,
            committed: BTreeMap::new(),
            spans: BTreeMap::new(),
            inspector,
            wanted,
            brokers,
            looks,
        };
        let existing: Vec<&str> = examination.existing().map(|(topic, _)| topic).collect();
        let topic_settings = examination.inspector.topic_settings(existing)?;
        let spans = examination.inspector.spans(&examination.partitions())?;
        (examination.topic_settings, examination.spans) = (topic_settings, spans);
        let partitions = examination.inbox_partitions();
        if !partitions.is_empty() {
            let group = examination.inspector.may_join()?;
            if group.answer == Answer::Allowed {
                examination.committed = examination.inspector.committed(&partitions)?;
            }
            examination.group = Some(group);
        }
        Ok(examination)
    }

    /// The findings of all areas.
    pub fn checks(&self) -> Vec<Check> {
        let areas = [
            (Area::Permissions, permissions::checks as fn(&Examination) -> Result<Vec<Check>, InspectionError>),
            (Area::Topics, topics::checks),
            (Area::Brokers, brokers::checks),
            (Area::Clocks, clocks::checks),
            (Area::Transactions, transactions::checks),
            (Area::Registry, registry::checks),
            // Last, so that something may have moved since the examination began.
            (Area::Group, group::checks),
        ];
        let looked = areas.into_iter().flat_map(|(area, checks)| {
            checks(self).unwrap_or_else(|error| vec![broken_off(area, &self.config.namespace, &error)])
        });
        looked.collect()
    }

    /// The topics that exist and may be seen, with their partitions.
    pub fn existing(&self) -> impl Iterator<Item = (&str, &[PartitionLayout])> {
        self.looks.iter().filter_map(|(topic, look)| match look {
            Look::Exists(partitions) => Some((topic.as_str(), partitions.as_slice())),
            Look::Missing | Look::Forbidden => None,
        })
    }

    /// All partitions that have a leader to be asked.
    fn partitions(&self) -> Vec<(&str, i32)> {
        let led = |(topic, partitions): (_, &[PartitionLayout])| -> Vec<(_, i32)> {
            let led = partitions.iter().filter(|partition| partition.leader.is_some());
            led.map(|partition| (topic, partition.partition)).collect()
        };
        self.existing().flat_map(led).collect()
    }

    /// The partitions of the inbox.
    pub fn inbox_partitions(&self) -> Vec<i32> {
        let inbox = self.existing().find(|(topic, _)| *topic == self.topics.inbox());
        inbox.map_or_else(Vec::new, |(_, partitions)| partitions.iter().map(|layout| layout.partition).collect())
    }

    /// The offsets of a partition.
    pub fn span(&self, topic: &str, partition: i32) -> Option<Span> {
        self.spans.get(&(topic.to_owned(), partition)).copied()
    }

    /// A setting of a topic, where it can be read.
    pub fn topic_setting(&self, topic: &str, setting: &str) -> Option<&str> {
        self.topic_settings.get(topic)?.as_ref()?.get(setting).map(String::as_str)
    }
}

/// The look at an area came to no end.
pub fn broken_off(area: Area, namespace: &str, error: &InspectionError) -> Check {
    let check = Check::problem(area, "looked-at", namespace, format!("broken off: {error}"));
    check.advice("try again; THALWEG_LOG=debug shows what librdkafka says")
}

/// Numbers as people list them: `0-3, 7`.
pub fn ranges(numbers: &[i32]) -> String {
    let mut runs: Vec<(i32, i32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let run = |(first, last): &(i32, i32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}
