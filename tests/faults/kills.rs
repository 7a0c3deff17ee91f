//! kill -9 of routers, one after the other, each at a place of the loop that the seed draws.

use super::cluster;
use super::fleet::{FAIL_POINTS, Fleet};
use super::round::{Round, Skipped};
use super::work::Work;
use crate::namespace::one_topic;
use crate::oracle::Summary;
use crate::support::Signal;

/// Records of a transaction, and executions begun before each kill: more than enough for the passes that are waited for.
const BATCH: usize = 10;
const WAVE: usize = 60;
const PASSES: u32 = 5;

pub fn run(round: &mut Round) -> Result<Summary, Skipped> {
    let namespace = cluster::namespace(round, "kills", one_topic);
    let mut fleet = Fleet::new(&namespace, BATCH);
    let mut work = Work::new(&namespace);
    let mut points = FAIL_POINTS;
    round.rng.shuffle(&mut points);
    for (number, point) in points.into_iter().take(round.amount(2, FAIL_POINTS.len())).enumerate() {
        if round.rng.bool() {
            work.end();
        }
        work.begin(WAVE);
        // Under the same name its producers end the dead one's transaction; under another one nothing does but time.
        let name = if round.rng.bool() { "a".to_owned() } else { format!("b{number}") };
        let pass = round.rng.u32(1..=PASSES);
        round.tell(format!("{name} killed at pass {pass} of {point:?}"));
        fleet.start_doomed(&name, (point, pass, Signal::KILL));
        fleet.await_killed(&name);
        round.kills.push(point);
    }
    work.end();
    fleet.start("a");
    Ok(fleet.finish(&work, &mut round.load))
}
