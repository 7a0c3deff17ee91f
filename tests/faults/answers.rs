//! Answers of the broker come late or never, while the requests were carried out.

use std::time::Duration;

use super::cluster::Cluster;
use super::fleet::{Fleet, SESSION};
use super::proxy::{Disturbance, Done, Request};
use super::round::{Round, Skipped};
use super::work::Work;
use crate::namespace::DEADLINE;
use crate::oracle::Summary;
use crate::support::eventually_observed;

const BATCH: usize = 20;
const WAVE: usize = 60;
/// What is disturbed.
const REQUESTS: [&[Request]; 6] = [
    &[Request::EndTxn],
    &[Request::TxnOffsetCommit, Request::AddOffsetsToTxn],
    &[Request::Produce],
    &[Request::AddPartitionsToTxn],
    &[Request::EndTxn, Request::InitProducerId],
    &[Request::Produce, Request::AddOffsetsToTxn, Request::TxnOffsetCommit, Request::EndTxn],
];

pub fn run(round: &mut Round) -> Result<Summary, Skipped> {
    let requests = REQUESTS[round.rng.usize(..REQUESTS.len())];
    // Now and then past the time-outs of transaction and session.
    let delay_max = if round.rng.bool() { SESSION * 2 } else { Duration::from_millis(300) };
    let (withheld, delayed) = (round.rng.u32(2..=12), round.rng.u32(2..=12));
    let disturbance = Disturbance { requests: requests.to_vec(), withheld, delayed, delay_max };
    let seed = round.rng.u64(..);
    let routers = round.rng.usize(1..=2);
    round.tell(format!(
        "{routers} routers, of 100 answers to {requests:?} {withheld} are withheld and {delayed} delayed by up to \
         {delay_max:?}"
    ));
    let wanted = round.amount(3, 12);
    let waves_max = round.amount(20, 60);
    let cluster = Cluster::of(round)?;
    let namespace = cluster.namespace("answers");
    let mut fleet = Fleet::new(&namespace, BATCH);
    fleet.set("THALWEG_BROKERS", format!("127.0.0.1:{}", cluster.proxy.port()));
    let mut work = Work::new(&namespace);
    for number in 0..routers {
        fleet.start(&format!("r{number}")).await_restored(1);
    }
    cluster.proxy.disturb(disturbance, seed);
    for _ in 0..waves_max {
        work.begin(WAVE);
        work.end();
        fleet.check();
        let before = cluster.proxy.done();
        if before.values().sum::<usize>() >= wanted {
            break;
        }
        // The next wave comes when this one is consumed, or when something was done to it.
        let oracle = namespace.oracle();
        eventually_observed(DEADLINE, "progress, or an answer that is disturbed", || {
            let consumed = matches!(oracle.backlog(), Ok(0));
            if consumed || cluster.proxy.done() != before { Ok(()) } else { Err(format!("{before:?}")) }
        });
    }
    let done = cluster.proxy.calm();
    round.tell(told(&done));
    Ok(fleet.finish(&work, &mut round.load))
}

fn told(done: &Done) -> String {
    let told: Vec<String> = done.iter().map(|((what, request), count)| format!("{count} {request:?} {what}")).collect();
    told.join(", ")
}
