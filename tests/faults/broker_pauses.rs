//! The broker is halted past the time-outs of transactions and sessions, while transactions are open, and goes on. No
//! router may end for it.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use thalweg_runtime::FailPoint;

use super::cluster::Cluster;
use super::fleet::{Fleet, SESSION, TRANSACTION};
use super::round::{Round, Skipped};
use super::run::let_pass;
use super::work::Work;
use crate::oracle::Summary;
use crate::support::Signal;

const BATCH: usize = 20;
const WAVE: usize = 120;
/// At which pass of its place a router halts.
const PASSES: u32 = 3;
/// Where a transaction is open, with what it has written.
const OPEN: [FailPoint; 3] = [FailPoint::AfterProduce, FailPoint::AfterOffsets, FailPoint::BeforeCommit];
/// How long it has served before it is halted, where no router waits for it with an open transaction.
const SERVED_MAX_MS: u64 = 300;
/// How long after the broker a router goes on: before or after its transaction was found to have outlived its time.
const LATER_MAX_MS: u64 = 2500;

/// One halt of the broker.
struct Halt {
    lasts: Duration,
    /// Where a router halts before it, and goes on after it: it knows nothing of the halt, and all that time its
    /// transaction is open. Else the router is served for a while, and is in whatever it is in.
    doom: Option<(FailPoint, u32)>,
    /// From the router's restore until the halt, or from the halt's end until the halted router goes on.
    between: Duration,
    /// Another router comes afterwards.
    another: bool,
}

impl Halt {
    fn drawn(number: usize, rng: &mut Rng) -> Halt {
        // Past the transactions' time alone, or past the sessions' too.
        let past = if rng.bool() { TRANSACTION } else { SESSION };
        let lasts = past + Duration::from_millis(rng.u64(500..2000));
        let doom = (number == 0 || rng.bool()).then(|| (OPEN[rng.usize(..OPEN.len())], rng.u32(1..=PASSES)));
        let between = Duration::from_millis(rng.u64(..if doom.is_some() { LATER_MAX_MS } else { SERVED_MAX_MS }));
        Halt { lasts, doom, between, another: rng.bool() }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Halt { lasts, doom, between, another } = self;
        write!(f, "{lasts:?}")?;
        if let Some((point, pass)) = doom {
            write!(f, " with a router at pass {pass} of {point:?}, which goes on {between:?} later")?;
        }
        if *another { write!(f, ", then another router") } else { Ok(()) }
    }
}

pub fn run(round: &mut Round) -> Result<Summary, Skipped> {
    let halts: Vec<Halt> = (0..round.amount(1, 3)).map(|number| Halt::drawn(number, &mut round.rng)).collect();
    for halt in &halts {
        round.tell(format!("the broker halted for {halt}"));
    }
    let cluster = Cluster::of(round)?;
    let namespace = cluster.namespace("broker-pauses");
    let mut fleet = Fleet::new(&namespace, BATCH);
    let mut work = Work::new(&namespace);
    for (number, halt) in halts.into_iter().enumerate() {
        let name = format!("r{number}");
        work.begin(WAVE);
        work.end();
        match halt.doom {
            Some((point, pass)) => fleet.start_doomed(&name, (point, pass, Signal::STOP)).await_halted(),
            None => {
                fleet.start(&name).await_restored(1);
                let_pass(halt.between);
            }
        }
        let broker = cluster.broker.process().unwrap();
        broker.signal(Signal::STOP);
        let_pass(halt.lasts);
        broker.signal(Signal::CONT);
        if halt.doom.is_some() {
            let_pass(halt.between);
            fleet.router(&name).process.signal(Signal::CONT);
        }
        if halt.another {
            fleet.start(&format!("another{number}"));
        }
        work.begin(WAVE);
        work.end();
        fleet.await_consumed();
        fleet.dismiss_all();
    }
    fleet.start("last");
    Ok(fleet.finish(&work, &mut round.load))
}
