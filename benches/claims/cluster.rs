//! The broker that the benches run on, and the topics of one measurement.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message, OwnedMessage};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use thalweg_runtime::{Config, Overrides, REPLICATION_OF_BROKER, Topics, create_topics, wanted_topics};
use tokio::runtime::Runtime;

use crate::support::{Broker, eventually, eventually_observed, namespace};

/// How long anything may take that has to come; far beyond what it takes.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// As a broker is run, apart from its memory.
const JAVA: [&str; 1] = ["-Xmx1g"];
/// The files of a cell's topics are gone before the next cell is measured; and as Kafka has it by default, a group's
/// first members are waited for, so that the lanes of a router share the partitions from the beginning.
const PROPERTIES: [(&str, &str); 2] =
    [("log.segment.delete.delay.ms", "1000"), ("group.initial.rebalance.delay.ms", "3000")];

/// A broker, or the cluster that `THALWEG_TEST_BROKERS` names.
pub struct Cluster {
    broker: Broker,
    runtime: Runtime,
}

impl Cluster {
    pub fn start() -> Cluster {
        let broker = Broker::running_before().unwrap_or_else(|| Broker::start_with_java(&JAVA, &PROPERTIES));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Cluster { broker, runtime }
    }

    /// The process that is the broker, where it is one of this machine.
    pub fn broker_id(&self) -> Option<u32> {
        self.broker.java_id()
    }

    /// Topics of their own, as `thalweg topics` creates them.
    pub fn create(&self, name: &str, partitions: i32) -> Namespace<'_> {
        let flags = Overrides {
            brokers: Some(self.broker.bootstrap().to_owned()),
            namespace: Some(namespace(name)),
            partitions: Some(partitions),
            ..Overrides::default()
        };
        let config = Config::load(None, &flags).unwrap_or_else(|error| panic!("{error}"));
        // What it could not wait for, such as topics that are created and not visible yet, it goes on with.
        eventually_observed(DEADLINE, "the topics", || {
            self.runtime.block_on(create_topics(&config, REPLICATION_OF_BROKER)).map_err(|error| error.to_string())
        });
        await_leaders(&config);
        Namespace { topics: Topics::new(&config), config, cluster: self }
    }
}

/// Topics are visible somewhat before their partitions take requests.
fn await_leaders(config: &Config) {
    let client: BaseConsumer = config.client().create().expect("a client");
    for topic in wanted_topics(config) {
        for partition in 0..topic.partitions {
            eventually(DEADLINE, "a partition with a leader", || {
                client.fetch_watermarks(&topic.name, partition, DEADLINE).ok()
            });
        }
    }
}

/// The topics of one measurement; deleted when dropped.
pub struct Namespace<'a> {
    pub config: Config,
    pub topics: Topics,
    cluster: &'a Cluster,
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        let topics = wanted_topics(&self.config);
        let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        let client: Result<AdminClient<DefaultClientContext>, _> = self.config.client().create();
        // The broker may have ended first, and ends with its files.
        if let Ok(client) = client {
            let options = AdminOptions::new().request_timeout(Some(DEADLINE));
            let _ = self.cluster.runtime.block_on(client.delete_topics(&names, &options));
        }
    }
}

/// All committed records of a topic, in the order of partition and offset.
pub fn read_topic(config: &Config, topic: &str) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = config
        .client()
        .set("group.id", format!("{topic}.bench"))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .create()
        .expect("a consumer");
    let assigned = assign_all(&consumer, &[topic]);
    let (mut records, mut ended) = (Vec::new(), 0);
    while ended < assigned {
        match consumer.poll(DEADLINE).map(|polled| polled.map(|message: BorrowedMessage| message.detach())) {
            Some(Ok(message)) => records.push(message),
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            other => panic!("reading {topic}: {:?}", other.map(|polled| polled.map(|_| ()))),
        }
    }
    records.sort_by_key(|record| (record.partition(), record.offset()));
    records
}

/// Reads these topics from their beginning; tells how many partitions they have.
pub fn assign_all(consumer: &BaseConsumer, topics: &[&str]) -> usize {
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), DEADLINE).expect("the topic's metadata");
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("a partition");
        }
    }
    consumer.assign(&list).expect("an assignment");
    list.count()
}
