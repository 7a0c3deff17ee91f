//! kill -9 of the broker under load, and a restart on what it has stored. No router may end for it.

use std::time::Duration;

use super::cluster::Cluster;
use super::fleet::Fleet;
use super::round::{Restarted, Round, Skipped};
use super::run::let_pass;
use super::work::Work;
use crate::oracle::Summary;

const BATCH: usize = 20;
const WAVE: usize = 120;
/// How long the broker is away, beyond its start.
const AWAY_MAX_MS: u64 = 4000;
/// How long it has served before it is killed.
const SERVED_MAX_MS: u64 = 1500;

pub fn run(round: &mut Round) -> Result<Summary, Skipped> {
    let kills = round.amount(1, 2);
    let mut rng = round.rng.fork();
    let routers = rng.usize(1..=2);
    round.tell(format!("{routers} routers, the broker killed and restarted {kills} times"));
    let cluster = Cluster::of(round)?;
    let (namespace, log) = (cluster.namespace("broker-kills"), cluster.broker.log());
    round.restarted = Some(Restarted { log, namespace: namespace.config.namespace.clone() });
    let cluster = Cluster::of(round)?;
    let mut fleet = Fleet::new(&namespace, BATCH);
    let mut work = Work::new(&namespace);
    for number in 0..routers {
        fleet.start(&format!("r{number}")).await_restored(1);
    }
    for _ in 0..kills {
        work.begin(WAVE);
        work.end();
        let_pass(Duration::from_millis(rng.u64(..SERVED_MAX_MS)));
        cluster.broker.kill();
        let_pass(Duration::from_millis(rng.u64(..AWAY_MAX_MS)));
        cluster.broker.restart();
        fleet.check();
    }
    work.begin(WAVE);
    work.end();
    Ok(fleet.finish(&work, &mut round.load))
}
