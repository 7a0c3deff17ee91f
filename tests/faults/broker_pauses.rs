//! The broker is halted past the time-outs of transactions and sessions, and goes on. No router may end for it.

use std::time::Duration;

use super::cluster::Cluster;
use super::fleet::{Fleet, SESSION, TRANSACTION};
use super::round::{Round, Skipped};
use super::run::let_pass;
use super::work::Work;
use crate::oracle::Summary;
use crate::support::Signal;

const BATCH: usize = 20;
const WAVE: usize = 120;
/// How long it has served before it is halted.
const SERVED_MAX_MS: u64 = 300;

pub fn run(round: &mut Round) -> Result<Summary, Skipped> {
    let mut rng = round.rng.fork();
    let routers = rng.usize(1..=2);
    // Past the transactions' time alone, or past the sessions' too.
    let mut halt = || if rng.bool() { TRANSACTION } else { SESSION } + Duration::from_millis(rng.u64(500..2000));
    let halts: Vec<Duration> = (0..round.amount(1, 4)).map(|_| halt()).collect();
    round.tell(format!("{routers} routers, the broker halted for {halts:?}"));
    let cluster = Cluster::of(round)?;
    let namespace = cluster.namespace("broker-pauses");
    let mut fleet = Fleet::new(&namespace, BATCH);
    let mut work = Work::new(&namespace);
    for number in 0..routers {
        fleet.start(&format!("r{number}")).await_restored(1);
    }
    for halt in halts {
        work.begin(WAVE);
        work.end();
        let_pass(Duration::from_millis(rng.u64(..SERVED_MAX_MS)));
        let process = cluster.broker.process().unwrap();
        process.signal(Signal::STOP);
        let_pass(halt);
        process.signal(Signal::CONT);
        fleet.check();
    }
    work.begin(WAVE);
    work.end();
    Ok(fleet.finish(&work, &mut round.load))
}
