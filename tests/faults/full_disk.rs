//! The disk of the broker's log is full: the broker ends; with room again it is started, and everything is handled.

use std::time::Duration;

use super::cluster::{PROPERTIES, namespace_on};
use super::fleet::Fleet;
use super::round::{Restarted, Round, Skipped};
use super::small_disk::SmallDisk;
use super::work::Work;
use crate::namespace::one_topic;
use crate::oracle::Summary;
use crate::support::{Broker, BrokerSettings};

const BATCH: usize = 20;
const WAVE: usize = 60;
/// Of the disk: enough for what a round writes and for the broker's own topics.
const DISK_BYTES: u64 = 192 * 1024 * 1024;
const END_DEADLINE: Duration = Duration::from_secs(20);

pub fn run(round: &mut Round) -> Result<Summary, Skipped> {
    if !Broker::can_be_a_process() {
        return Err(Skipped("a broker of its own needs a JDK and Maven".to_owned()));
    }
    let disk = SmallDisk::new(DISK_BYTES)?;
    // The indexes are made in their full size, so they must not be large.
    let properties = [&PROPERTIES[..], &[("log.index.size.max.bytes", "65536")]].concat();
    let mut broker = Broker::start_process(BrokerSettings {
        properties: &properties,
        within: disk.within(),
        data_directory: Some(disk.path().join("data")),
        ..BrokerSettings::default()
    });
    let namespace = namespace_on(&broker, "full-disk", one_topic);
    round.restarted = Some(Restarted { log: broker.log(), namespace: namespace.config.namespace.clone() });
    let mut fleet = Fleet::new(&namespace, BATCH);
    let mut work = Work::new(&namespace);
    fleet.start("a").await_restored(2);
    let mut ends = 0;
    for _ in 0..round.amount(1, 2) {
        work.begin(WAVE);
        if round.rng.bool() {
            fleet.await_consumed();
        }
        work.end();
        work.begin(WAVE);
        disk.fill();
        let ended = broker.process().unwrap().exits_within(END_DEADLINE);
        ends += usize::from(ended);
        fleet.check();
        disk.free();
        // One that has lost its log does not serve again, whether it ended for it or not.
        if broker.process().unwrap().is_running() {
            broker.kill();
        }
        broker.restart();
        fleet.check();
    }
    round.tell(format!("the disk filled, for which the broker ended {ends} times, and restarted with room"));
    work.end();
    Ok(fleet.finish(&work, &mut round.load))
}
