//! The run: rounds as the seed draws them, the groups side by side, until the time is over.

use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::GROUPS;
use super::cluster::Cluster;
use super::options::{Options, Size};
use super::report;
use super::round::{Ended, Fault, Verdict};

/// Makes the rounds that were asked for; success means that none of them failed.
pub fn run(options: &Options) -> ExitCode {
    let names: Vec<&str> = GROUPS.iter().flat_map(|group| group.iter()).map(|fault| fault.name).collect();
    if let Some(unknown) = options.unknown(&names) {
        eprintln!("no fault is called {unknown:?}: there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    let groups = GROUPS.map(|group| group.iter().filter(|fault| options.selects(fault.name)).collect::<Vec<_>>());
    let chosen: Vec<&str> = groups.iter().flatten().map(|fault| fault.name).collect();
    if options.list {
        chosen.iter().for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    println!("\nrunning {} faults, seed {}", chosen.len(), options.seed);
    let run = Run { options, deadline: options.budget().map(|budget| began + budget), ended: Mutex::default() };
    thread::scope(|scope| {
        for (number, group) in (0..).zip(groups).filter(|(_, group)| !group.is_empty()) {
            let run = &run;
            scope.spawn(move || run.group(number, group));
        }
    });
    let ended = run.ended.into_inner().unwrap();
    report::print(&ended, names.len() - chosen.len(), began.elapsed())
}

/// How often a round is made that Kafka makes void.
const VOID_MAX: usize = 3;

struct Run<'a> {
    options: &'a Options,
    /// No round begins after it; where there is none each fault comes once.
    deadline: Option<Instant>,
    ended: Mutex<Vec<Ended>>,
}

impl Run<'_> {
    /// Each fault of the group once, or as often as was asked for, in an order of the seed, then one after the other as
    /// the seed draws them.
    fn group(&self, number: u64, group: Vec<&'static Fault>) {
        let mut cluster = None;
        if let Some(seed) = self.options.round_seed {
            for fault in group {
                self.round(fault, seed, &mut cluster);
            }
            return;
        }
        let mut rng = Rng::with_seed(self.options.seed ^ (number << 32));
        for _ in 0..self.options.rounds.unwrap_or(1) {
            let mut each = group.clone();
            rng.shuffle(&mut each);
            for fault in each {
                self.round(fault, rng.u32(..), &mut cluster);
            }
        }
        while self.deadline.is_some_and(|deadline| Instant::now() < deadline) {
            let fault = group[rng.usize(..group.len())];
            self.round(fault, rng.u32(..), &mut cluster);
        }
    }

    /// A round, and again where Kafka has made it void.
    fn round(&self, fault: &'static Fault, seed: u32, cluster: &mut Option<Cluster>) {
        for _ in 0..VOID_MAX {
            if !self.once(fault, seed, cluster) {
                return;
            }
        }
    }

    /// Makes a round, and tells of it; whether it is void.
    fn once(&self, fault: &'static Fault, seed: u32, cluster: &mut Option<Cluster>) -> bool {
        let ended = fault.round(seed, self.options.size(), cluster);
        let mut all = self.ended.lock().unwrap();
        println!("round {:<3} {ended}", all.len() + 1);
        if matches!(ended.verdict, Verdict::Failed(_)) {
            println!("          again: {}", again(fault, seed, self.options.size()));
        }
        let void = matches!(ended.verdict, Verdict::Void(_));
        all.push(ended);
        void
    }
}

/// The command that repeats a round.
fn again(fault: &Fault, seed: u32, size: Size) -> String {
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    let small = if size == Size::Small { " --small" } else { "" };
    format!("cargo test{release} -p thalweg --test faults -- --only {} --round-seed {seed}{small}", fault.name)
}

/// How long a fault lasts where nothing but time makes it: drawn, and never waited for as a proof of anything.
pub fn let_pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}
