//! What a run of the demo came to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::output::{Table, count, seconds};

/// What a run of the demo came to.
pub struct Summary {
    /// Claims sent.
    pub claims: u64,
    /// How many of each kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Completed.
    pub completed: u64,
    /// Completed after they had waited for an answer.
    pub resumed: u64,
    /// Left waiting for an answer.
    pub waiting: u64,
    /// Ended otherwise.
    pub failed: u64,
    /// Scopes joined.
    pub joins: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Events published.
    pub events: u64,
    /// Until the router was ready.
    pub ready_after: Duration,
    /// From then to the last end or wait.
    pub took: Duration,
    /// Claims that were under way at a time.
    pub in_flight_max: usize,
    /// From sending a claim to reading its end, without those that waited; sorted.
    pub latencies: Vec<Duration>,
    /// The execution whose history is shown.
    pub shown: String,
}

impl Summary {
    /// Executions per second, once the router was ready.
    fn rate(&self) -> f64 {
        self.claims as f64 / self.took.as_secs_f64().max(1e-6)
    }

    /// The latency that so many of a hundred claims do not exceed.
    fn percentile(&self, percent: usize) -> Option<Duration> {
        let place = (self.latencies.len() * percent).div_ceil(100).checked_sub(1)?;
        self.latencies.get(place).copied()
    }

    /// For people.
    pub fn text(&self) -> String {
        let kinds: Vec<String> = self.kinds.iter().map(|(kind, claims)| format!("{} {kind}", count(*claims))).collect();
        let latency = |percent| self.percentile(percent).map_or_else(|| "-".to_owned(), |l| seconds(l.as_secs_f64()));
        let mut table = Table::without_headings().right(&[1]);
        table.row(["claims", &count(self.claims), &kinds.join(", ")]);
        table.row(["completed", &count(self.completed), &format!("{} after an answer", count(self.resumed))]);
        table.row(["waiting", &count(self.waiting), "for an answer; the demo leaves every tenth one that asks"]);
        if self.failed > 0 {
            table.row(["failed", &count(self.failed), ""]);
        }
        table.row(["joins", &count(self.joins), "a fan-out each, joined once"]);
        table.row(["dead letters", &count(self.dead_letters), ""]);
        table.row(["events", &count(self.events), ""]);
        let rate = count(self.rate().round() as u64);
        let took = seconds(self.took.as_secs_f64());
        table.row(["executions/s", &rate, &format!("in {took}, {} in flight at most", self.in_flight_max)]);
        table.row(["latency p50", &latency(50), "from sending a claim to reading its end, without waits"]);
        table.row(["latency p99", &latency(99), ""]);
        table.to_string()
    }

    /// For programs.
    pub fn document(&self) -> Value {
        let milliseconds = |latency: Option<Duration>| latency.map(|latency| latency.as_secs_f64() * 1e3);
        json!({
            "claims": self.claims, "kinds": self.kinds, "completed": self.completed, "resumed": self.resumed,
            "waiting": self.waiting, "failed": self.failed, "joins": self.joins, "dead_letters": self.dead_letters,
            "events": self.events, "ready_after_seconds": self.ready_after.as_secs_f64(),
            "seconds": self.took.as_secs_f64(), "executions_per_second": self.rate(),
            "latency_ms": {"p50": milliseconds(self.percentile(50)), "p99": milliseconds(self.percentile(99))},
        })
    }
}
