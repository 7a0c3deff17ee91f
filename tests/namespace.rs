//! A namespace of a test: its topics, what is written to its inbox, and what is read back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use thalweg_core::codec::Schemas;
use thalweg_core::{Channel, Event, partition_of};
use thalweg_runtime::{Config, REPLICATION_OF_BROKER, Topics, create_topics};

use crate::oracle::{Oracle, Outputs, Positions, StillOpen, Summary, TopicNames};
use crate::support::{broker, eventually_observed, namespace};

/// How long a test waits for what must come.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A namespace with its topics, on the broker of this run.
pub struct Namespace {
    pub config: Config,
    pub topics: Topics,
    /// What its records are read with.
    pub schemas: Arc<Schemas>,
}

/// A record as read back.
#[derive(Clone, Debug)]
pub struct Read {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: BTreeMap<String, String>,
}

/// All channels in one topic.
pub fn one_topic(config: &mut Config) {
    for channel in Channel::ALL {
        config.channels.insert(*channel, "events".to_owned());
    }
}

impl Namespace {
    /// Two partitions, all channels in one topic.
    pub fn new(test: &str) -> Namespace {
        Namespace::with(test, one_topic)
    }

    /// Two partitions, the broker of this run, and what `change` makes of the configuration.
    pub fn with(test: &str, change: impl FnOnce(&mut Config)) -> Namespace {
        let mut config = Config { namespace: namespace(test), partitions: 2, lanes: Some(1), ..Config::default() };
        change(&mut config);
        if config.brokers.is_empty() {
            config.brokers = broker().bootstrap().to_owned();
        }
        let namespace = Namespace::of(config);
        namespace.create_topics();
        namespace
    }

    /// A namespace whose topics are there, or are created otherwise.
    pub fn of(config: Config) -> Namespace {
        Namespace { topics: Topics::new(&config), config, schemas: Arc::new(Schemas::new().unwrap()) }
    }

    /// Creates those of its topics that are not there.
    pub fn create_topics(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(create_topics(&self.config, REPLICATION_OF_BROKER)).unwrap();
    }

    /// The partition of an execution.
    pub fn partition(&self, execution_id: &str) -> i32 {
        partition_of(execution_id.as_bytes(), self.config.partitions)
    }

    /// Writes JSON events to the inbox, keyed, in order.
    pub fn send(&self, events: &[(&str, Value)]) {
        let records: Vec<_> = events.iter().map(|(key, event)| (Some(*key), event.to_string().into_bytes())).collect();
        self.send_raw(&records, &[]);
    }

    /// Writes records to the inbox; those with a key go to its partition, others to partition 0.
    pub fn send_raw(&self, records: &[(Option<&str>, Vec<u8>)], headers: &[(&str, &str)]) {
        let producer: BaseProducer =
            self.client().set("enable.idempotence", "true").set("message.max.bytes", "8000000").create().unwrap();
        for (key, value) in records {
            let mut list = OwnedHeaders::new();
            for (name, text) in headers {
                list = list.insert(Header { key: name, value: Some(*text) });
            }
            let partition = key.map_or(0, |key| self.partition(key));
            let mut record: BaseRecord<'_, str, [u8]> =
                BaseRecord::to(self.topics.inbox()).partition(partition).payload(value.as_slice()).headers(list);
            record.key = *key;
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(DEADLINE).unwrap();
    }

    /// Writes a record that the inbox takes only because it is compressed.
    pub fn send_packed(&self, key: &str, value: &[u8]) {
        let mut client = self.client();
        client.set("compression.type", "gzip").set("message.max.bytes", "64000000");
        let producer: BaseProducer = client.create().unwrap();
        let record = BaseRecord::to(self.topics.inbox()).partition(self.partition(key)).key(key).payload(value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(DEADLINE).unwrap();
    }

    /// A client of the broker.
    pub fn client(&self) -> ClientConfig {
        self.config.client()
    }

    /// All committed records of a topic, in the order of partition and offset.
    pub fn read(&self, topic: &str) -> Vec<Read> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", format!("{topic}.test"))
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "10")
            .set("isolation.level", "read_committed")
            .create()
            .unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).unwrap();
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let (mut records, mut ended) = (Vec::new(), 0);
        while ended < list.count() {
            match consumer.poll(DEADLINE) {
                Some(Ok(message)) => records.push(Read {
                    partition: message.partition(),
                    offset: message.offset(),
                    timestamp: message.timestamp().to_millis().unwrap(),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: message.headers().map_or_else(BTreeMap::new, |headers| {
                        let text =
                            |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
                        headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
                    }),
                }),
                Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ended += 1,
                other => panic!("reading {topic}: {:?}", other.map(|polled| polled.map(|_| ()))),
            }
        }
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }

    /// All events of all channels.
    pub fn events(&self) -> Vec<Event> {
        let topics = self.topics.channel_topics();
        let records = topics.into_iter().flat_map(|topic| self.read(topic));
        records.map(|record| self.schemas.read_event(&record.value.unwrap()).unwrap()).collect()
    }

    /// The events of one execution in the order of their sequence, rejections first.
    pub fn history(&self, execution_id: &str) -> Vec<Event> {
        let mut events: Vec<Event> =
            self.events().into_iter().filter(|event| event.execution_id == execution_id).collect();
        events.sort_by_key(|event| event.sequence);
        events
    }

    /// Waits until `count` events of these types are in the channels, and returns them all.
    pub fn await_events(&self, types: &[&str], count: usize) -> Vec<Event> {
        eventually_observed(DEADLINE, &format!("{count} of {types:?}"), || {
            let events = self.events();
            let found = events.iter().filter(|event| types.contains(&event.event_type.as_str())).count();
            if found >= count { Ok(events) } else { Err(format!("{found} of them, {} events in all", events.len())) }
        })
    }

    /// Waits until `count` executions have ended.
    pub fn await_ended(&self, count: usize) -> Vec<Event> {
        let ends = ["workflow.completed", "workflow.failed", "workflow.limit_exceeded", "workflow.canceled"];
        self.await_events(&ends, count)
    }
}

impl Namespace {
    /// Looks at this namespace from the topics alone.
    pub fn oracle(&self) -> Oracle {
        Oracle::new(
            &self.config.brokers,
            TopicNames {
                inbox: self.topics.inbox().to_owned(),
                channels: Channel::ALL.iter().map(|c| (*c, self.topics.channel(*c).to_owned())).collect(),
                contexts: self.topics.contexts().to_owned(),
                dead_letters: self.topics.dead_letters().to_owned(),
                group: self.topics.group().to_owned(),
                partitions: self.config.partitions,
            },
        )
        .with_schemas(Arc::clone(&self.schemas))
    }

    /// Waits until every inbox record is consumed.
    pub fn await_drained(&self) {
        let oracle = self.oracle();
        eventually_observed(DEADLINE, "an inbox that is consumed", || match oracle.backlog() {
            Ok(0) => Ok(()),
            Ok(backlog) => Err(format!("{backlog} records are left")),
            Err(error) => Err(error.to_string()),
        });
    }

    /// Every promise of the design was kept, as the topics tell; executions in `still_open` may not have ended.
    pub fn verify_but(&self, still_open: StillOpen) -> Summary {
        self.await_drained();
        let observed = self.oracle().read().unwrap();
        match observed.check(still_open) {
            Ok(summary) => summary,
            Err(anomalies) => {
                let list: Vec<String> = anomalies.iter().take(20).map(ToString::to_string).collect();
                panic!("{} anomalies in {}:\n{}", anomalies.len(), self.config.namespace, list.join("\n"));
            }
        }
    }

    /// Every promise was kept, and every execution has ended.
    pub fn verify(&self) -> Summary {
        self.verify_but(StillOpen::None)
    }

    /// All outputs, without what differs from run to run.
    pub fn outputs(&self) -> Outputs {
        self.oracle().read().unwrap().outputs(Positions::Left)
    }
}
