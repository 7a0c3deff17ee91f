//! A router is halted past its session, another takes over, and it wakes up.

use super::cluster;
use super::fleet::{FAIL_POINTS, Fleet};
use super::round::{Round, Skipped};
use super::work::Work;
use crate::namespace::one_topic;
use crate::oracle::Summary;
use crate::support::Signal;

const BATCH: usize = 10;
const WAVE: usize = 60;
const PASSES: u32 = 5;

pub fn run(round: &mut Round) -> Result<Summary, Skipped> {
    let namespace = cluster::namespace(round, "zombies", one_topic);
    let mut fleet = Fleet::new(&namespace, BATCH);
    let mut work = Work::new(&namespace);
    for number in 0..round.amount(1, 3) {
        let (zombie, successor) = (format!("zombie{number}"), format!("successor{number}"));
        let (point, pass) = (FAIL_POINTS[round.rng.usize(..FAIL_POINTS.len())], round.rng.u32(1..=PASSES));
        round.tell(format!("{zombie} halted at pass {pass} of {point:?}"));
        work.begin(WAVE);
        fleet.start_doomed(&zombie, (point, pass, Signal::STOP)).await_halted();
        work.begin(WAVE);
        fleet.start(&successor).await_restored(2);
        if round.rng.bool() {
            fleet.await_consumed();
            round.tell("woken with nothing left");
        } else {
            round.tell("woken under load");
        }
        work.end();
        work.begin(WAVE);
        fleet.router(&zombie).process.signal(Signal::CONT);
        work.end();
        fleet.await_consumed();
        fleet.dismiss_all();
    }
    fleet.start("last");
    Ok(fleet.finish(&work, &mut round.load))
}
