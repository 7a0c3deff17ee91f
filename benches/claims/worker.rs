//! What works on the inbox, in a process of its own: the router, or the ceiling. This program, started once more.

use std::process::Command;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::groups::GroupMemberInfo;
use thalweg_core::Workflows;
use thalweg_router::Router;
use thalweg_runtime::{Config, Overrides, init_processor_log};

use crate::cluster::{DEADLINE, Namespace};
use crate::support::{Process, Signal, eventually, eventually_observed};

/// Who works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The router with the sample's workflow.
    Engine,
    /// The same bytes through the same transactions, with no step.
    Ceiling,
}

impl Side {
    pub fn name(self) -> &'static str {
        match self {
            Side::Engine => "engine",
            Side::Ceiling => "ceiling",
        }
    }
}

/// A process that works on a namespace; killed when dropped.
pub struct Worker {
    process: Process,
}

impl Worker {
    /// Starts one, and waits until its lanes share the partitions. The ceiling writes what is recorded in a namespace.
    pub fn start(namespace: &Namespace, side: Side, recorded_in: &Namespace) -> Worker {
        let mut worker = Worker::start_unready(namespace, side, recorded_in);
        worker.await_members(namespace);
        worker
    }

    /// Starts one, and waits for nothing.
    pub fn start_unready(namespace: &Namespace, side: Side, recorded_in: &Namespace) -> Worker {
        let config = &namespace.config;
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .env("THALWEG_BROKERS", &config.brokers)
            .env("THALWEG_NAMESPACE", &config.namespace)
            .env("THALWEG_ADMIN_ADDR", "127.0.0.1:0")
            .arg(side.name());
        if side == Side::Ceiling {
            command.arg(&recorded_in.config.namespace);
        }
        Worker { process: Process::spawn(side.name(), command) }
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until every lane is a member of the group and has its share of the partitions.
    pub fn await_members(&mut self, namespace: &Namespace) {
        let consumer: BaseConsumer = namespace.config.client().create().expect("a client");
        let (lanes, partitions) = (namespace.config.lane_count(), namespace.config.partitions as usize);
        eventually_observed(DEADLINE, "lanes that share the partitions", || {
            assert!(self.process.is_running(), "it has ended");
            // A broker that has just started loads its coordinator first.
            let groups = consumer.fetch_group_list(Some(namespace.topics.group()), DEADLINE);
            let groups = groups.map_err(|error| error.to_string())?;
            let members = groups.groups().iter().flat_map(|group| group.members());
            let shares: Vec<usize> = members.map(assigned_partitions).collect();
            let idle = lanes.saturating_sub(partitions);
            let shared = shares.len() == lanes && shares.iter().filter(|share| **share == 0).count() == idle;
            if shared && shares.iter().sum::<usize>() == partitions { Ok(()) } else { Err(format!("{shares:?}")) }
        });
    }

    /// Halts it: it does not know of the time until [`Worker::go_on`].
    pub fn halt(&mut self) {
        self.process.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.id());
        eventually(DEADLINE, "a halted process", || {
            let stat = std::fs::read_to_string(&stat).expect("a process that runs");
            stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T')).then_some(())
        });
    }

    /// Lets it go on.
    pub fn go_on(&mut self) {
        self.process.signal(Signal::CONT);
    }

    /// Asks it to leave the group and end.
    pub fn stop(mut self) {
        self.process.signal(Signal::TERM);
        let status = self.process.wait_exit(DEADLINE);
        assert!(status.success(), "{status}");
    }
}

/// How many partitions a member has.
///
/// Source of the format: Kafka's `ConsumerProtocolAssignment.json`: version, then topics, each a name and its partitions.
fn assigned_partitions(member: &GroupMemberInfo) -> usize {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
    let Some(assignment) = member.assignment().filter(|assignment| assignment.len() > 6) else { return 0 };
    let (topics, mut rest) = (number(&assignment[2..6]), &assignment[6..]);
    let mut partitions = 0;
    for _ in 0..topics {
        let name = number(&rest[..2]);
        let count = number(&rest[2 + name..6 + name]);
        partitions += count;
        rest = &rest[6 + name + 4 * count..];
    }
    partitions
}

/// The router itself, with the sample's workflow, until SIGTERM.
pub fn serve_engine() {
    init_processor_log().expect("a log");
    let config = Config::load(None, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"));
    let ended = Router::run(&config, Workflows::new().with(claims::workflow()), None, |_| {});
    ended.unwrap_or_else(|error| panic!("{error}"));
}
