//! One round: a fault, drawn in its particulars from a seed.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use fastrand::Rng;
use thalweg_runtime::FailPoint;

use super::cluster::Cluster;
use super::options::Size;
use crate::oracle::Summary;
use crate::support::BrokerLog;

/// A kind of fault.
pub struct Fault {
    /// Its name on the command line.
    pub name: &'static str,
    /// Does the harm, heals, waits until all is handled, and asks the oracle; panics where a promise is broken.
    pub run: fn(&mut Round) -> Result<Summary, Skipped>,
}

/// Why a fault can't be made here.
pub struct Skipped(pub String);

/// A round under way, and what it has to tell.
pub struct Round<'a> {
    /// What everything in the round is drawn from.
    pub rng: Rng,
    pub size: Size,
    /// The broker of the group's rounds, where one runs.
    pub cluster: &'a mut Option<Cluster>,
    /// What was done.
    pub did: Vec<String>,
    /// What was handled meanwhile.
    pub load: String,
    /// Where routers were killed.
    pub kills: Vec<FailPoint>,
    /// The broker that is restarted, where one is.
    pub restarted: Option<Restarted>,
}

/// A broker that is restarted, and may lose what ends a transaction by a fault of its own.
///
/// A Kafka 4.3 whose partitions have no leader for a moment, as those with one replica have none while their broker is
/// registered again, takes them for deleted: its coordinator then ends a transaction there without a marker, be it
/// committed or aborted. So the records of an aborted one stay open, or are committed by the next one of their producer.
pub struct Restarted {
    pub log: BrokerLog,
    /// What the round's transactional ids begin with.
    pub namespace: String,
}

impl Restarted {
    /// How often it has ended a transaction of the round without a marker.
    fn markers_lost(&self) -> usize {
        let (what, whose) = ("Couldn't find leader endpoint for partitions", format!(" for {}.", self.namespace));
        self.log.text().lines().filter(|line| line.contains(what) && line.contains(&whose)).count()
    }
}

/// What became of a round.
pub enum Verdict {
    /// The oracle found no anomaly.
    Sound(Summary),
    /// What went wrong.
    Failed(String),
    /// It proves nothing: the broker broke its own promises, as it says itself.
    Void(String),
    /// Why it was not made.
    Skipped(String),
}

/// A round that is over.
pub struct Ended {
    pub fault: &'static Fault,
    pub seed: u32,
    pub did: String,
    pub load: String,
    pub kills: Vec<FailPoint>,
    pub verdict: Verdict,
    pub took: Duration,
}

impl Round<'_> {
    /// One of two amounts: that of a small round, that of a full one.
    pub fn amount(&self, small: usize, full: usize) -> usize {
        match self.size {
            Size::Small => small,
            Size::Full => full,
        }
    }

    /// Tells of something that was done.
    pub fn tell(&mut self, did: impl Into<String>) {
        self.did.push(did.into());
    }
}

impl Fault {
    /// Makes a round of it.
    pub fn round(&'static self, seed: u32, size: Size, cluster: &mut Option<Cluster>) -> Ended {
        let began = Instant::now();
        let rng = Rng::with_seed(seed.into());
        let mut round =
            Round { rng, size, cluster, did: Vec::new(), load: String::new(), kills: Vec::new(), restarted: None };
        // What a panic leaves behind is a broker in any state, which is ended.
        let verdict = match catch_unwind(AssertUnwindSafe(|| (self.run)(&mut round))) {
            Ok(Ok(summary)) => Verdict::Sound(summary),
            Ok(Err(Skipped(why))) => Verdict::Skipped(why),
            Err(panic) => match round.restarted.as_ref().map_or(0, Restarted::markers_lost) {
                0 => Verdict::Failed(message(&*panic)),
                lost => Verdict::Void(format!("Kafka ended {lost} transactions without their markers")),
            },
        };
        let Round { did, load, kills, .. } = round;
        if matches!(verdict, Verdict::Failed(_) | Verdict::Void(_))
            && let Some(mut cluster) = cluster.take()
        {
            cluster.tell_end();
        }
        Ended { fault: self, seed, did: did.join(", "), load, kills, verdict, took: began.elapsed() }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (None, Some(text)) => (*text).to_owned(),
        (None, None) => "a panic without words".to_owned(),
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<13} seed {:<10} | ", self.fault.name, self.seed)?;
        if !self.did.is_empty() {
            write!(f, "{} | ", self.did)?;
        }
        if !self.load.is_empty() {
            write!(f, "{} | ", self.load)?;
        }
        match &self.verdict {
            Verdict::Sound(summary) => write!(f, "no anomaly: {summary}")?,
            Verdict::Failed(why) => write!(f, "FAILED: {why}")?,
            Verdict::Void(why) => write!(f, "void: {why}")?,
            Verdict::Skipped(why) => write!(f, "skipped: {why}")?,
        }
        write!(f, " | {:.1} s", self.took.as_secs_f64())
    }
}
