//! Puts the records of a golden set where they lay.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use thalweg_core::Channel;

use super::scenario::Stretch;
use crate::golden_set::{EVENTS, GoldenRecord, GoldenSet, INBOX, registered_schema};
use crate::namespace::{DEADLINE, Namespace};
use crate::support::{Broker, eventually_observed};

/// The namespace `name` on a broker of its own: positions in what is loaded name it.
pub fn namespace(broker: &Broker, name: &str, partitions: i32) -> Namespace {
    Namespace::with("golden", |config| {
        config.brokers = broker.bootstrap().to_owned();
        config.namespace = name.to_owned();
        config.partitions = partitions;
        for channel in Channel::ALL {
            config.channels.insert(*channel, EVENTS.to_owned());
        }
    })
}

/// Loads the records of one turn after another.
pub struct Loading<'a> {
    namespace: &'a Namespace,
    producer: BaseProducer,
    /// What makes the newest record of the set as old as now: retention would delete one that was written long ago.
    shift_ms: i64,
}

impl<'a> Loading<'a> {
    pub fn new(namespace: &'a Namespace, set: &GoldenSet) -> Loading<'a> {
        let turns = [&set.first, &set.second_inputs, &set.third];
        let newest = turns.into_iter().flatten().map(|record| record.timestamp).max().unwrap_or(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        let producer = namespace.client().set("enable.idempotence", "true").create().unwrap();
        Loading { namespace, producer, shift_ms: now - newest }
    }

    /// Writes the records in their order. Those of the inbox come to lie at the very offsets that they had.
    pub fn load(&self, records: &[GoldenRecord]) {
        let mut inbox_ends: BTreeMap<i32, i64> = BTreeMap::new();
        for read in self.namespace.read(self.namespace.topics.inbox()) {
            inbox_ends.insert(read.partition, read.offset + 1);
        }
        for record in records {
            if record.topic == INBOX {
                let end = inbox_ends.entry(record.partition).or_default();
                assert_eq!(*end, record.offset, "the inbox lies as it lay: partition {}", record.partition);
                *end += 1;
            }
            self.write(record);
        }
        self.producer.flush(DEADLINE).unwrap();
    }

    fn write(&self, record: &GoldenRecord) {
        let topic = format!("{}.{}", self.namespace.config.namespace, record.topic);
        let mut headers = OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let (key, value) = (record.key_bytes(), record.value_bytes());
        let mut written: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&topic)
            .partition(record.partition)
            .timestamp(record.timestamp + self.shift_ms)
            .headers(headers);
        written.key = key.as_deref();
        written.payload = value.as_deref();
        self.producer.send(written).map_err(|(error, _)| error).unwrap();
    }
}

impl Namespace {
    /// Takes in the schemas that the registry holds, as any reader does.
    pub fn learn_registry(&self) {
        for read in self.read(self.topics.registry()) {
            if let Some((fingerprint, text)) = registered_schema(&read.key.unwrap(), read.value.unwrap()) {
                self.schemas.learn(fingerprint, &text).unwrap();
            }
        }
    }

    /// The routers' next inbox offsets.
    pub fn committed(&self) -> BTreeMap<i32, i64> {
        self.oracle().read().unwrap().committed
    }

    /// Sets the next inbox offset of each partition, once no router is left in the group.
    pub fn commit(&self, offsets: &BTreeMap<i32, i64>) {
        let consumer: BaseConsumer = self.client().set("group.id", self.topics.group()).create().unwrap();
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            list.add_partition_offset(self.topics.inbox(), *partition, Offset::Offset(*offset)).unwrap();
        }
        eventually_observed(DEADLINE, "a group that nobody is in", || consumer.commit(&list, CommitMode::Sync));
    }

    /// Writes a stretch to the inbox.
    pub fn send_stretch(&self, stretch: &Stretch) {
        let records: Vec<_> = stretch.records.iter().map(|(key, value)| (key.as_deref(), value.clone())).collect();
        self.send_raw(&records, &[]);
    }
}
