//! Inputs, events, and the life of executions.

use std::sync::PoisonError;

use prometheus::{Histogram, IntCounter};
use thalweg_core::{Channel, WorkflowStatus};
use tracing::{debug, warn};

use super::{Metrics, UNREGISTERED};

/// What became of an inbox record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputResult {
    /// Its execution handled it.
    Applied,
    /// It was handled before.
    Duplicate,
    /// The execution's state does not allow it.
    Rejected,
    /// It can't be handled.
    DeadLettered,
    /// It was sent to the partition of its execution.
    Forwarded,
}

/// Every result, in the order of the enum.
pub(super) const INPUT_RESULTS: [InputResult; 5] = [
    InputResult::Applied,
    InputResult::Duplicate,
    InputResult::Rejected,
    InputResult::DeadLettered,
    InputResult::Forwarded,
];

impl InputResult {
    /// Its label.
    pub(super) fn label(self) -> &'static str {
        match self {
            InputResult::Applied => "applied",
            InputResult::Duplicate => "duplicate",
            InputResult::Rejected => "rejected",
            InputResult::DeadLettered => "dead_lettered",
            InputResult::Forwarded => "forwarded",
        }
    }
}

/// Inbox records were handled, all with the same result.
#[derive(Clone, Copy, Debug)]
pub struct InputHandled {
    /// What became of them.
    pub result: InputResult,
    /// How many.
    pub count: u64,
}

impl InputHandled {
    /// Counts and logs it.
    pub fn emit(self) {
        debug!(result = self.result.label(), count = self.count, "inputs handled");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        metrics.inputs[self.result as usize].inc_by(self.count);
    }
}

/// Events were published, all to the same channel.
#[derive(Clone, Copy, Debug)]
pub struct EventPublished {
    /// The channel.
    pub channel: Channel,
    /// How many.
    pub count: u64,
}

impl EventPublished {
    /// Counts and logs it.
    pub fn emit(self) {
        debug!(channel = self.channel.as_str(), count = self.count, "events published");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        metrics.events[self.channel as usize].inc_by(self.count);
    }
}

/// An execution started.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionStarted<'a> {
    /// Its workflow.
    pub workflow: &'a str,
}

impl ExecutionStarted<'_> {
    /// Counts and logs it.
    pub fn emit(self) {
        debug!(workflow = self.workflow, "execution started");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        metrics.with_workflow(self.workflow, |series| series.reached(WorkflowStatus::Running));
    }
}

/// An execution closed.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionClosed<'a> {
    /// Its workflow.
    pub workflow: &'a str,
    /// How it ended.
    pub status: WorkflowStatus,
    /// Seconds since its start.
    pub seconds: f64,
}

impl ExecutionClosed<'_> {
    /// Counts and logs it.
    pub fn emit(self) {
        debug!(workflow = self.workflow, status = self.status.as_str(), seconds = self.seconds, "execution closed");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        metrics.with_workflow(self.workflow, |series| {
            series.reached(self.status);
            series.seconds.observe(self.seconds);
        });
    }
}

/// An execution has nothing left and is neither closed nor waiting: nothing will ever happen to it
/// unless someone sends an event.
#[derive(Clone, Copy, Debug)]
pub struct ExecutionStalled<'a> {
    /// Its workflow.
    pub workflow: &'a str,
    /// Its id.
    pub execution_id: &'a str,
}

impl ExecutionStalled<'_> {
    /// Counts and logs it.
    pub fn emit(self) {
        warn!(workflow = self.workflow, execution_id = self.execution_id, "execution stalled");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        metrics.stalled.inc();
    }
}

/// The series of a workflow.
pub(super) struct WorkflowSeries {
    /// In the order of `WorkflowStatus::ALL`; none for those that are not counted.
    statuses: Vec<Option<IntCounter>>,
    seconds: Histogram,
}

impl WorkflowSeries {
    fn reached(&self, status: WorkflowStatus) {
        if let Some(counter) = &self.statuses[status as usize] {
            counter.inc();
        }
    }
}

impl Metrics {
    pub(super) fn register_workflow(&self, workflow: &str) {
        let counter = |status: &WorkflowStatus| {
            let counted = status.is_closed() || *status == WorkflowStatus::Running;
            counted.then(|| self.executions.with_label_values(&[workflow, status.as_str()]))
        };
        let series = WorkflowSeries {
            statuses: WorkflowStatus::ALL.iter().map(counter).collect(),
            seconds: self.execution_seconds.with_label_values(&[workflow]),
        };
        let mut workflows = self.workflows.write().unwrap_or_else(PoisonError::into_inner);
        workflows.insert(workflow.to_owned(), series);
    }

    fn with_workflow(&self, workflow: &str, record: impl FnOnce(&WorkflowSeries)) {
        let workflows = self.workflows.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = workflows.get(workflow).or_else(|| workflows.get(UNREGISTERED)) {
            record(series);
        }
    }
}
