//! The load: claims written to the inbox as any client writes them, and every event of them read back.

use std::time::{Duration, Instant};

use claims::{ExampleKind, WORKFLOW_ID, example};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::json;

use crate::cluster::{DEADLINE, Namespace, assign_all};

/// What a car claim comes to: 6 tasks, a fan-out of 3.
pub const EVENTS_PER_CLAIM: usize = 11;
/// Example claims repeat after so many, but for their amount.
pub const EXAMPLES_REPEAT: usize = 140;
/// While the producer's queue is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(1);

/// Writes and reads in one thread: the cores are the broker's and the router's.
pub struct Load {
    inbox: String,
    starts: Vec<Vec<u8>>,
    producer: ThreadedProducer<DefaultProducerContext>,
    consumer: BaseConsumer,
    /// Of each claim that was started: when, and how many of its events were read.
    claims: Vec<(Instant, u8)>,
    completed: usize,
}

/// How eagerly the events are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Each at once: somebody waits for it.
    AtOnce,
    /// Many at a time, which costs less.
    InBulk,
}

impl Load {
    /// A load of claims of this kind.
    pub fn new(namespace: &Namespace, kind: ExampleKind, reads: Reads) -> Load {
        let start = |number| {
            let start = json!({
                "event_type": "workflow.started", "workflow_id": WORKFLOW_ID, "payload": example(kind, number),
            });
            start.to_string().into_bytes()
        };
        let mut producer = namespace.config.client();
        producer.set("partitioner", "murmur2_random").set("compression.type", "lz4").set("linger.ms", "0");
        let mut consumer = namespace.config.client();
        consumer
            .set("group.id", format!("{}.load", namespace.config.namespace))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.queue.backoff.ms", "5");
        if reads == Reads::InBulk {
            consumer.set("fetch.min.bytes", "1000000").set("fetch.wait.max.ms", "50");
        }
        let consumer = consumer.create().expect("a consumer");
        let channels: Vec<&str> = namespace.topics.channel_topics().into_iter().collect();
        assign_all(&consumer, &channels);
        Load {
            inbox: namespace.topics.inbox().to_owned(),
            starts: (0..EXAMPLES_REPEAT as u64).map(start).collect(),
            producer: producer.create().expect("a producer"),
            consumer,
            claims: Vec::new(),
            completed: 0,
        }
    }

    /// Writes the start of one more claim.
    pub fn start_claim(&mut self) {
        let number = self.claims.len();
        let key = execution_id(number);
        let start = &self.starts[number % self.starts.len()];
        self.claims.push((Instant::now(), 0));
        send(&self.producer, BaseRecord::to(&self.inbox).key(key.as_bytes()).payload(start));
    }

    /// Writes the starts of so many claims, and waits until they are in the inbox.
    pub fn start_claims(&mut self, count: usize) {
        for _ in 0..count {
            self.start_claim();
        }
        self.producer.flush(DEADLINE).expect("the inbox takes claims");
    }

    /// Reads until a claim is complete, and tells how long that took from its start.
    pub fn next_completed(&mut self) -> Duration {
        loop {
            let message = match self.consumer.poll(DEADLINE) {
                Some(Ok(message)) => message,
                Some(Err(error)) => panic!("the events can't be read: {error}"),
                None => {
                    panic!("no event for {DEADLINE:?}; {} of {} claims are complete", self.completed, self.claims.len())
                }
            };
            let (started, read) = &mut self.claims[number_of(message.key().unwrap_or_default())];
            *read += 1;
            match usize::from(*read) {
                EVENTS_PER_CLAIM => {
                    self.completed += 1;
                    return started.elapsed();
                }
                more => assert!(more < EVENTS_PER_CLAIM, "a claim has more than {EVENTS_PER_CLAIM} events"),
            }
        }
    }

    /// Reads until every claim that was started is complete.
    pub fn complete_all(&mut self) {
        while self.completed < self.claims.len() {
            self.next_completed();
        }
    }
}

/// Hands a record to a producer, which has room for it sooner or later.
pub fn send(producer: &ThreadedProducer<DefaultProducerContext>, mut record: BaseRecord<'_, [u8], [u8]>) {
    while let Err((error, refused)) = producer.send(record) {
        assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
        std::thread::sleep(QUEUE_PAUSE);
        record = refused;
    }
}

/// As long as a UUID, and with its number at the end.
pub fn execution_id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn number_of(execution_id: &[u8]) -> usize {
    let digits = &execution_id[execution_id.len().saturating_sub(12)..];
    digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}
