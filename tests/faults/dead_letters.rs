//! The dead letters can't be written: the lane stops at that input, drops nothing, and goes on when they can.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::cluster;
use super::fleet::Fleet;
use super::round::{Round, Skipped};
use super::topics;
use super::work::Work;
use crate::namespace::{DEADLINE, Namespace, one_topic};
use crate::oracle::Summary;
use crate::support::eventually_observed;

const BATCH: usize = 20;
const WAVE: usize = 30;
/// Transactions that must have been tried in vain: the lane does not give up after the first.
const TRIES: usize = 3;
pub fn run(round: &mut Round) -> Result<Summary, Skipped> {
    let namespace = cluster::namespace(round, "dead-letters", one_topic);
    let mut fleet = Fleet::new(&namespace, BATCH);
    let mut work = Work::new(&namespace);
    let unwritable = if round.rng.bool() { Unwritable::TakesNothing } else { Unwritable::IsGone };
    round.tell(unwritable.told());
    work.begin(WAVE);
    fleet.start("a");
    fleet.await_consumed();
    unwritable.make(&namespace);
    // To partition 0, as it has no key.
    work.send(&[(None, b"no event".to_vec())]);
    let poisoned = newest(&namespace);
    work.begin(WAVE);
    work.end();
    await_tries(&mut fleet, "a");
    // Without the topic another router would not start.
    if matches!(unwritable, Unwritable::TakesNothing) && round.rng.bool() {
        round.tell("the router killed meanwhile");
        fleet.kill("a");
        fleet.start("b");
        await_tries(&mut fleet, "b");
    }
    let committed = committed(&namespace);
    assert!(committed <= poisoned, "offset {poisoned} can't be dead-lettered, and the next one is {committed}");
    unwritable.mend(&namespace);
    let summary = fleet.finish(&work, &mut round.load);
    assert_eq!(summary.dead_lettered, 1);
    Ok(summary)
}

/// Bytes of a record batch: enough for the marker that ends a transaction (78), which must not hang for want of it, and
/// too few for a dead letter.
const TAKES_BYTES: &str = "100";

/// Why the dead letters can't be written.
#[derive(Clone, Copy)]
enum Unwritable {
    /// Every record is too large for the topic.
    TakesNothing,
    /// The topic was deleted.
    IsGone,
}

impl Unwritable {
    fn told(self) -> &'static str {
        match self {
            Unwritable::TakesNothing => "every record too large for the topic",
            Unwritable::IsGone => "the topic deleted",
        }
    }

    fn make(self, namespace: &Namespace) {
        let topic = namespace.topics.dead_letters();
        match self {
            Unwritable::TakesNothing => topics::set(namespace, topic, &[("max.message.bytes", TAKES_BYTES)]),
            Unwritable::IsGone => topics::delete(namespace, &[topic]),
        }
    }

    fn mend(self, namespace: &Namespace) {
        match self {
            Unwritable::TakesNothing => topics::set(namespace, namespace.topics.dead_letters(), &[]),
            Unwritable::IsGone => namespace.create_topics(),
        }
    }
}

/// Where the poisoned record lies, which is the newest of its partition.
fn newest(namespace: &Namespace) -> i64 {
    let consumer: BaseConsumer = namespace.client().create().unwrap();
    consumer.fetch_watermarks(namespace.topics.inbox(), 0, DEADLINE).unwrap().1 - 1
}

/// Waits until the router has tried in vain.
fn await_tries(fleet: &mut Fleet, name: &str) {
    eventually_observed(DEADLINE, "a lane that stops at what it can't write", || {
        let log = fleet.router(name).process.log();
        let tries = log.matches("a transaction was aborted and is tried again").count();
        if tries >= TRIES { Ok(()) } else { Err(format!("{tries} transactions were aborted")) }
    });
    fleet.check();
}

/// The next offset of partition 0 of the inbox.
fn committed(namespace: &Namespace) -> i64 {
    let group = namespace.topics.group();
    let consumer: BaseConsumer = namespace.client().set("group.id", group).create().unwrap();
    let mut asked = TopicPartitionList::new();
    asked.add_partition(namespace.topics.inbox(), 0);
    eventually_observed(DEADLINE, "a committed offset", || {
        let list = consumer.committed_offsets(asked.clone(), DEADLINE).map_err(|error| error.to_string())?;
        match list.elements()[0].offset() {
            Offset::Offset(offset) => Ok(offset),
            other => Err(format!("{other:?}")),
        }
    })
}
