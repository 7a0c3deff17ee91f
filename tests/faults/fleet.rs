//! The routers of a round, and the end of the round.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use thalweg_runtime::FailPoint;

use super::topics;
use super::work::{STEP_MAX_EVENTS, Work};
use crate::namespace::{DEADLINE, Namespace};
use crate::oracle::Summary;
use crate::router_process::RouterProcess;
use crate::support::{Signal, eventually_observed};

/// The times that routers are given in most rounds: short, so that what waits for them comes soon.
pub const SESSION: Duration = Duration::from_millis(3000);
pub const TRANSACTION: Duration = Duration::from_millis(2000);
/// How long after the fault is over everything must be handled.
const HEALED_WITHIN: Duration = Duration::from_secs(120);
/// Seconds that a restore may wait for the end of others' transactions, which [`TRANSACTION`] bounds.
const WAITS_IN_VAIN: f64 = 30.0;
/// So many lines of the log of a router that ended by itself are told with its end.
const LAST_LINES: usize = 12;
/// The places in the lane's loop.
pub const FAIL_POINTS: [FailPoint; 6] = [
    FailPoint::AfterPoll,
    FailPoint::AfterStep,
    FailPoint::AfterProduce,
    FailPoint::AfterOffsets,
    FailPoint::BeforeCommit,
    FailPoint::AfterCommit,
];

/// Routers of one namespace, none of which may end unless it is made to.
pub struct Fleet<'a> {
    namespace: &'a Namespace,
    environment: Vec<(String, String)>,
    members: Vec<Member>,
    /// Those that were asked to leave.
    leaving: Vec<Member>,
    met: Met,
}

/// What routers that have ended had met, as their logs say: whether the fault has hit work at all.
#[derive(Default)]
struct Met {
    unknown: usize,
    aborted: usize,
    restored: usize,
}

impl Met {
    fn add(&mut self, router: &RouterProcess) {
        let log = router.process.log();
        let count = |text: &str| log.matches(text).count();
        self.unknown += count("the outcome of a transaction is unknown");
        self.aborted += count("a transaction was aborted");
        self.restored += count("\"partition restored\"");
    }
}

/// How long what comes before its start is kept.
const EARLY_START_TTL_MS: u64 = 2000;

struct Member {
    name: String,
    router: RouterProcess,
}

impl<'a> Fleet<'a> {
    /// No router yet; each will gather at most `batch` records for a transaction.
    pub fn new(namespace: &'a Namespace, batch: usize) -> Fleet<'a> {
        let mut fleet =
            Fleet { namespace, environment: Vec::new(), members: Vec::new(), leaving: Vec::new(), met: Met::default() };
        fleet.set("THALWEG_SESSION_TIMEOUT_MS", SESSION.as_millis());
        fleet.set("THALWEG_TRANSACTION_TIMEOUT_MS", TRANSACTION.as_millis());
        fleet.set("THALWEG_STEP_MAX_MS", TRANSACTION.as_millis() / 2);
        fleet.set("THALWEG_STEP_MAX_EVENTS", STEP_MAX_EVENTS);
        fleet.set("THALWEG_BATCH_MAX_RECORDS", batch);
        fleet.set("THALWEG_EARLY_START_TTL_MS", EARLY_START_TTL_MS);
        fleet
    }

    /// Gives every router that is started from now on this variable.
    pub fn set(&mut self, name: &str, value: impl ToString) {
        self.environment.push((name.to_owned(), value.to_string()));
    }

    /// Starts a router.
    pub fn start(&mut self, name: &str) -> &mut RouterProcess {
        let router = RouterProcess::start_with(self.namespace, name, &self.environment());
        self.members.push(Member { name: name.to_owned(), router });
        &mut self.members.last_mut().unwrap().router
    }

    /// Starts a router that kills or halts itself at a pass of a place.
    pub fn start_doomed(&mut self, name: &str, doom: (FailPoint, u32, Signal)) -> &mut RouterProcess {
        let router = RouterProcess::start_doomed(self.namespace, name, doom, &self.environment());
        self.members.push(Member { name: name.to_owned(), router });
        &mut self.members.last_mut().unwrap().router
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether a router of this name runs, or has yet to leave.
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().chain(&self.leaving).any(|member| member.name == name)
    }

    /// A router.
    pub fn router(&mut self, name: &str) -> &mut RouterProcess {
        let member = self.members.iter_mut().find(|member| member.name == name);
        &mut member.unwrap_or_else(|| panic!("no router {name}")).router
    }

    /// A router of those there are.
    pub fn name(&self, number: usize) -> String {
        self.members[number].name.clone()
    }

    /// Waits until a doomed router has killed itself.
    pub fn await_killed(&mut self, name: &str) {
        let mut member = self.take(name);
        member.router.process.wait_exit(DEADLINE);
        self.met.add(&member.router);
    }

    /// kill -9.
    pub fn kill(&mut self, name: &str) {
        let mut member = self.take(name);
        member.router.process.signal(Signal::KILL);
        member.router.process.wait_exit(DEADLINE);
        self.met.add(&member.router);
    }

    /// Asks a router to leave, and does not wait for it.
    pub fn dismiss(&mut self, name: &str) {
        let mut member = self.take(name);
        member.router.process.signal(Signal::TERM);
        self.leaving.push(member);
    }

    fn take(&mut self, name: &str) -> Member {
        let found = self.members.iter().position(|member| member.name == name);
        self.members.remove(found.unwrap_or_else(|| panic!("no router {name}")))
    }

    /// No router has ended that was not made to.
    pub fn check(&mut self) {
        for Member { name, router } in &mut self.members {
            let Some(status) = router.process.exit_status() else { continue };
            let log = router.process.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
            panic!(
                "router {name} ended by itself, {status}; the end of its log, which is whole on standard error:\n{last}"
            );
        }
    }

    /// No router waits in vain for the end of a transaction: also those of routers that were killed end by themselves.
    fn check_restores(&self) {
        for Member { name, router } in &self.members {
            let log = router.process.log();
            let waits = log.lines().filter(|line| line.contains("\"a restore waits\"")).find(|line| {
                let said: Option<serde_json::Value> = serde_json::from_str(line).ok();
                said.and_then(|said| said["seconds"].as_f64()).is_some_and(|seconds| seconds > WAITS_IN_VAIN)
            });
            assert!(
                waits.is_none(),
                "router {name} waits for a transaction that does not end: {}",
                waits.unwrap_or("")
            );
        }
    }

    /// Waits until those that were asked to leave have left in order.
    pub fn await_left(&mut self) {
        for Member { name, mut router } in self.leaving.drain(..) {
            let status = router.process.wait_exit(DEADLINE);
            self.met.add(&router);
            let log = router.process.log();
            // One that has only begun to start is ended by the signal as any process is.
            let early = status.signal() == Some(Signal::TERM.as_raw()) && !log.contains("\"partition restored\"");
            assert!(status.success() || early, "router {name} was asked to leave and ended with {status}: {log}");
        }
    }

    /// Asks all of them to leave, and waits until they have.
    pub fn dismiss_all(&mut self) {
        self.check();
        while !self.members.is_empty() {
            let name = self.name(0);
            self.dismiss(&name);
        }
        self.await_left();
    }

    /// Waits until the inbox is consumed.
    pub fn await_consumed(&mut self) {
        let oracle = self.namespace.oracle();
        eventually_observed(HEALED_WITHIN, "an inbox that is consumed", || {
            self.check();
            self.check_restores();
            match oracle.backlog() {
                Ok(0) => Ok(()),
                Ok(backlog) => Err(format!("{backlog} records are left")),
                Err(error) => Err(error.to_string()),
            }
        });
    }

    /// The fault is over: waits until everything is handled, ends the routers, and asks the oracle.
    pub fn finish(mut self, work: &Work, load: &mut String) -> Summary {
        *load = format!("{} executions, {} records", work.executions(), work.records());
        self.await_consumed();
        let ended = |event_type: &str| {
            matches!(event_type, "workflow.completed" | "workflow.failed" | "workflow.limit_exceeded")
        };
        eventually_observed(HEALED_WITHIN, &format!("the end of {} executions", work.executions()), || {
            self.check();
            let count = self.namespace.events().iter().filter(|event| ended(&event.event_type)).count();
            if count >= work.executions() { Ok(()) } else { Err(format!("{count} have ended")) }
        });
        self.dismiss_all();
        let Met { unknown, aborted, restored } = self.met;
        load.push_str(&format!(", {unknown} unknown outcomes, {aborted} aborts, {restored} restores"));
        let summary = self.namespace.verify();
        // A forward may have been sent twice.
        let inbox = self.namespace.read(self.namespace.topics.inbox());
        let sent = inbox.iter().filter(|record| !record.headers.contains_key("origin")).count();
        assert_eq!(sent, work.records(), "records of the inbox that were sent by nobody, or are not there");
        delete_topics(self.namespace);
        summary
    }
}

/// A namespace that was found sound is of no more use, and a run has many.
fn delete_topics(namespace: &Namespace) {
    let topics = &namespace.topics;
    let mut names = topics.channel_topics();
    names.extend([topics.inbox(), topics.contexts(), topics.dead_letters(), topics.registry()]);
    let names: Vec<&str> = names.into_iter().collect();
    topics::delete(namespace, &names);
}
