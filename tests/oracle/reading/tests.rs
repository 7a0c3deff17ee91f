//! The run that never was, written to a real broker: what is read back is what was written, whatever transactions of
//! others stand beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::oracle::{Kind, Observed, Oracle, Positions, Record, StillOpen, TopicNames, made};
use crate::support::{broker, namespace};

const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a transaction stays open in these tests.
const OPEN_FOR: Duration = Duration::from_secs(2);

type TestProducer = ThreadedProducer<DefaultProducerContext>;

fn producer(settings: &[(&str, &str)]) -> TestProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker().bootstrap());
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

fn transaction(id: &str) -> TestProducer {
    let timeout = OPEN_FOR.as_millis().to_string();
    let producer = producer(&[("transactional.id", id), ("transaction.timeout.ms", &timeout)]);
    producer.init_transactions(TIMEOUT).unwrap();
    producer.begin_transaction().unwrap();
    producer
}

fn send(producer: &TestProducer, record: &Record) {
    let mut headers = OwnedHeaders::new();
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: value.as_deref() });
    }
    let mut sent: BaseRecord<[u8], [u8]> = BaseRecord::to(&record.position.topic)
        .partition(record.position.partition)
        .timestamp(record.timestamp / 1000)
        .headers(headers);
    sent.key = record.key.as_deref();
    sent.payload = record.value.as_deref();
    producer.send(sent).map_err(|(error, _)| error).unwrap();
}

/// A record that is in nobody's interest.
fn garbage(like: &Record) -> Record {
    Record { key: None, value: Some(b"garbage".to_vec()), headers: Vec::new(), ..like.clone() }
}

fn create_topics(names: &TopicNames) {
    let mut topics = names.channel_topics();
    topics.extend([names.inbox.as_str(), &names.contexts, &names.dead_letters]);
    let new: Vec<NewTopic> =
        topics.into_iter().map(|topic| NewTopic::new(topic, names.partitions, TopicReplication::Fixed(1))).collect();
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", broker().bootstrap()).create().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    for created in block_on(admin.create_topics(&new, &options)).unwrap() {
        created.unwrap();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// The run in a namespace of this broker, at this time: retention deletes what is old.
fn run() -> Observed {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    made::run(&namespace("oracle"), i64::try_from(now).unwrap() * 1_000_000 - made::BEGUN)
}

/// Everything but the inbox, and the committed offsets.
fn write_outputs(producer: &TestProducer, run: &Observed) {
    made::outputs(run).iter().for_each(|record| send(producer, record));
    let group: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker().bootstrap())
        .set("group.id", &run.names.group)
        .create()
        .unwrap();
    let mut offsets = TopicPartitionList::new();
    for (partition, next) in &run.committed {
        offsets.add_partition_offset(&run.names.inbox, *partition, Offset::Offset(*next)).unwrap();
    }
    producer.send_offsets_to_transaction(&offsets, &group.group_metadata().unwrap(), TIMEOUT).unwrap();
}

#[test]
fn what_is_read_is_what_was_committed() {
    let run = run();
    create_topics(&run.names);
    let oracle = Oracle::new(broker().bootstrap(), run.names.clone());
    let outsider = producer(&[]);
    run.inbox.values().for_each(|record| send(&outsider, record));
    outsider.flush(TIMEOUT).unwrap();
    assert_eq!(oracle.backlog().unwrap(), made::INPUTS);

    let router = transaction(&run.names.group);
    write_outputs(&router, &run);
    let committing = thread::spawn(move || {
        thread::park_timeout(OPEN_FOR / 2);
        router.commit_transaction(TIMEOUT).unwrap();
    });
    let read = oracle.read().unwrap();
    committing.join().unwrap();
    read.check(StillOpen::Any).unwrap();
    assert_eq!(read.outputs(Positions::Kept).difference(&run.outputs(Positions::Kept)), None);
    assert_eq!(oracle.backlog().unwrap(), 0);

    // What others abort, or leave open until its time is over, changes nothing.
    let newest = run.inbox.values().next_back().unwrap();
    let aborts = transaction(&format!("{}.aborts", run.names.group));
    send(&aborts, &garbage(newest));
    aborts.abort_transaction(TIMEOUT).unwrap();
    let leaves_open = transaction(&format!("{}.leaves-open", run.names.group));
    send(&leaves_open, &garbage(&made::outputs(&run)[0]));
    leaves_open.flush(TIMEOUT).unwrap();
    let began = Instant::now();
    oracle.read().unwrap().check(StillOpen::Any).unwrap();
    assert!(began.elapsed() < TIMEOUT);
    assert_eq!(oracle.backlog().unwrap(), 0);

    // What is committed counts.
    send(&outsider, &garbage(newest));
    send(&outsider, &garbage(&made::outputs(&run)[0]));
    outsider.flush(TIMEOUT).unwrap();
    assert_eq!(oracle.backlog().unwrap(), 1);
    assert_eq!(made::kinds(oracle.read().unwrap().check(StillOpen::Any)), [Kind::Unreadable, Kind::Lag]);
}
