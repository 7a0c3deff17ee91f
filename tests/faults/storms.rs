//! A rebalance storm: routers join and leave all the time, in order and by kill -9, under load.

use std::time::Duration;

use super::cluster;
use super::fleet::Fleet;
use super::round::{Round, Skipped};
use super::run::let_pass;
use super::work::Work;
use crate::namespace::one_topic;
use crate::oracle::Summary;

const BATCH: usize = 20;
const WAVE: usize = 24;
const ROUTERS_MAX: usize = 4;
/// Between two changes: from none, so that a rebalance meets the next one, to longer than one takes.
const PAUSE_MAX_MS: u64 = 1500;

pub fn run(round: &mut Round) -> Result<Summary, Skipped> {
    // More partitions than routers, so that each has some and most of them move.
    let namespace = cluster::namespace(round, "storms", |config| {
        one_topic(config);
        config.partitions = 6;
    });
    let mut fleet = Fleet::new(&namespace, BATCH);
    let mut work = Work::new(&namespace);
    let (mut joined, mut left, mut killed) = (0, 0, 0);
    for number in 0..round.amount(8, 24) {
        if round.rng.bool() {
            work.end();
        }
        work.begin(WAVE);
        let draw = round.rng.u32(..4);
        if fleet.len() == 0 || (draw < 2 && fleet.len() < ROUTERS_MAX) {
            joined += 1;
            // Sometimes under the name of one that is gone, and whose producers may have left something open.
            let name = format!("r{}", if round.rng.bool() { number } else { number % ROUTERS_MAX + 100 });
            if !fleet.has(&name) {
                fleet.start(&name);
            }
        } else {
            let name = fleet.name(round.rng.usize(..fleet.len()));
            fleet.check();
            if draw == 2 {
                killed += 1;
                fleet.kill(&name);
            } else {
                left += 1;
                fleet.dismiss(&name);
            }
        }
        let_pass(Duration::from_millis(round.rng.u64(..PAUSE_MAX_MS)));
    }
    round.tell(format!("{joined} joined, {left} left, {killed} killed"));
    work.end();
    fleet.await_left();
    fleet.start("last");
    Ok(fleet.finish(&work, &mut round.load))
}
