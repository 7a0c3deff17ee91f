//! What is worth telling: a struct for each occurrence, whose `emit` counts it and logs it.
//!
//! No metric is touched elsewhere. What a transaction did is emitted after its commit, so that what
//! was undone is not counted. Labels are bounded: they come from closed sets, from registered
//! workflows and tasks, or from the partitions of the inbox.

mod client;
mod execution;
mod partition;
mod rate_limit;
mod scope;
mod task;
mod tool;
mod transaction;

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, RwLock};

use prometheus::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use thalweg_core::{Channel, ErrorCode, Workflows};

pub(crate) use client::ClientErrors;
pub use execution::{EventPublished, ExecutionClosed, ExecutionStalled, ExecutionStarted, InputHandled, InputResult};
use execution::{INPUT_RESULTS, WorkflowSeries};
use partition::PartitionCounts;
pub(crate) use partition::RestoresWaiting;
pub use partition::{
    ExecutionsForgotten, LagSeen, PartitionAssigned, PartitionGauges, PartitionRestored, PartitionRevoked,
    RecordsWanted,
};
pub use scope::{EventLate, ScopeJoined, ScopeOpened};
use task::TaskSeries;
pub use task::{TaskRan, TaskRedriven, TaskRetried};
pub use tool::ToolResultOrphaned;
use transaction::TRANSACTION_OUTCOMES;
pub use transaction::{DeadLettered, TransactionEnded, TransactionOutcome};

/// The label of a workflow or task that this process has not registered.
const UNREGISTERED: &str = "unregistered";

/// Seconds, from a local transaction on an idle broker to the transaction time-out.
const TRANSACTION_BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Inputs of a transaction, up to beyond the default of `batch.max.records`.
const INPUT_BUCKETS: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3];
/// Seconds, from pure logic to the default of `inline.stuck.ms`.
const TASK_BUCKETS: [f64; 14] = [1e-5, 3e-5, 1e-4, 3e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
/// Seconds, from a chain of inline tasks to a week of waiting for people.
const EXECUTION_BUCKETS: [f64; 17] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0, 3600.0, 21_600.0, 86_400.0, 604_800.0];
/// Seconds, from an empty partition to some hundred million contexts.
const RESTORE_BUCKETS: [f64; 11] = [0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0];

static METRICS: OnceLock<Metrics> = OnceLock::new();

/// The metrics of this process, with their series at hand.
pub struct Metrics {
    registry: Registry,
    /// In the order of `Channel::ALL`.
    events: Vec<IntCounter>,
    /// In the order of `INPUT_RESULTS`.
    inputs: Vec<IntCounter>,
    executions: IntCounterVec,
    execution_seconds: HistogramVec,
    executions_open: IntGauge,
    stalled: IntCounter,
    late: IntCounter,
    orphan_tool_results: IntCounter,
    task_seconds: HistogramVec,
    task_retries: IntCounterVec,
    joins: IntCounterVec,
    scopes_open: IntGauge,
    timers_pending: IntGauge,
    /// In the order of `TRANSACTION_OUTCOMES`.
    transactions: Vec<IntCounter>,
    transaction_seconds: Histogram,
    transaction_inputs: Histogram,
    /// In the order of `ErrorCode::ALL`.
    dead_letters: Vec<IntCounter>,
    lag: IntGaugeVec,
    restore_seconds: Histogram,
    contexts_bytes: IntGauge,
    workflows: RwLock<HashMap<String, WorkflowSeries>>,
    tasks: RwLock<HashMap<String, TaskSeries>>,
    partitions: Mutex<HashMap<i32, PartitionCounts>>,
}

impl Metrics {
    /// Makes the metrics of this process, at the first call, and returns them. Before it,
    /// occurrences are only logged.
    ///
    /// # Errors
    /// What the metrics library refuses: nothing, as long as names and labels are well-formed.
    pub fn install() -> Result<&'static Metrics, Error> {
        match METRICS.get() {
            Some(metrics) => Ok(metrics),
            None => {
                let metrics = Metrics::new()?;
                Ok(METRICS.get_or_init(|| metrics))
            }
        }
    }

    /// Those of this process, if it has them.
    pub(crate) fn installed() -> Option<&'static Metrics> {
        METRICS.get()
    }

    /// Makes the names of these workflows and of their tasks labels. Others are counted under the
    /// label `unregistered`.
    pub fn register(&self, workflows: &Workflows) {
        for workflow in workflows.iter() {
            self.register_workflow(&workflow.id);
            for task in workflow.tasks() {
                self.register_task(task.task_id());
            }
        }
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    /// What the metrics library refuses to write: nothing, as long as it took it.
    pub fn text(&self) -> Result<String, Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    fn new() -> Result<Metrics, Error> {
        let registry = Registry::new();
        let new = Registrar(&registry);
        let events = new.counters("events_total", "Events published, by channel", &["channel"])?;
        let inputs = new.counters("inputs_total", "Inbox records handled, by result", &["result"])?;
        let transactions = new.counters("transactions_total", "Transactions ended, by outcome", &["outcome"])?;
        let dead_letters = new.counters("dead_letters_total", "Dead letters written, by code", &["code"])?;
        let metrics = Metrics {
            events: children(&events, Channel::ALL.iter().map(|channel| channel.as_str())),
            inputs: children(&inputs, INPUT_RESULTS.iter().map(|result| result.label())),
            executions: new.counters(
                "executions_total",
                "Executions that reached a status: RUNNING at the start, then one that closes",
                &["workflow", "status"],
            )?,
            execution_seconds: new.histograms(
                "execution_seconds",
                "Seconds from start to close",
                &["workflow"],
                &EXECUTION_BUCKETS,
            )?,
            executions_open: new.gauge("executions_open", "Executions open in the partitions served here")?,
            stalled: new.counter("stalled_total", "Executions found with nothing left and not closed")?,
            late: new.counter("late_events_total", "Events that came when their branch or scope was done")?,
            orphan_tool_results: new
                .counter("orphan_tool_results_total", "Results of tools that came without their calls")?,
            task_seconds: new.histograms(
                "task_seconds",
                "Seconds that a task ran, by outcome: SUCCESS or an error code",
                &["task", "outcome"],
                &TASK_BUCKETS,
            )?,
            task_retries: new.counters("task_retries_total", "Retries of tasks that were scheduled", &["task"])?,
            joins: new.counters("joins_total", "Scopes decided, by policy and outcome", &["policy", "outcome"])?,
            scopes_open: new.gauge("scopes_open", "Scopes open in the partitions served here")?,
            timers_pending: new.gauge("timers_pending", "Timers pending in the partitions served here")?,
            transactions: children(&transactions, TRANSACTION_OUTCOMES.iter().map(|outcome| outcome.label())),
            transaction_seconds: new.histogram(
                "transaction_seconds",
                "Seconds from begin to end of a transaction",
                &TRANSACTION_BUCKETS,
            )?,
            transaction_inputs: new.histogram(
                "transaction_inputs",
                "Inbox records of a committed transaction",
                &INPUT_BUCKETS,
            )?,
            dead_letters: children(&dead_letters, ErrorCode::ALL.iter().map(|code| code.as_str())),
            lag: new.gauges("lag", "Inbox records not yet handled", &["partition"])?,
            restore_seconds: new.histogram("restore_seconds", "Seconds to restore a partition", &RESTORE_BUCKETS)?,
            contexts_bytes: new.gauge("contexts_bytes", "Bytes of contexts in memory")?,
            workflows: RwLock::default(),
            tasks: RwLock::default(),
            partitions: Mutex::default(),
            registry,
        };
        metrics.register_workflow(UNREGISTERED);
        metrics.register_task(UNREGISTERED);
        metrics.register_policies();
        Ok(metrics)
    }
}

/// Makes metrics of the registry, their names preceded by `thalweg_`.
struct Registrar<'a>(&'a Registry);

impl Registrar<'_> {
    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        let counter = IntCounter::with_opts(opts(name, help))?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        let counters = IntCounterVec::new(opts(name, help), labels)?;
        self.0.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        let gauge = IntGauge::with_opts(opts(name, help))?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        let gauges = IntGaugeVec::new(opts(name, help), labels)?;
        self.0.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, Error> {
        let histogram = Histogram::with_opts(HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec()))?;
        self.0.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Result<HistogramVec, Error> {
        let options = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
        let histograms = HistogramVec::new(options, labels)?;
        self.0.register(Box::new(histograms.clone()))?;
        Ok(histograms)
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("thalweg")
}

/// The series of a closed set of labels: they are there, with 0, before anything occurs.
fn children<'a>(counters: &IntCounterVec, labels: impl Iterator<Item = &'a str>) -> Vec<IntCounter> {
    labels.map(|label| counters.with_label_values(&[label])).collect()
}

#[cfg(test)]
mod tests;
