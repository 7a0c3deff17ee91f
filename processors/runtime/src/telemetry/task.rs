//! Runs of tasks.

use std::sync::{OnceLock, PoisonError};

use prometheus::{Histogram, IntCounter};
use thalweg_core::ErrorCode;
use tracing::{debug, info, warn};

use super::{Metrics, UNREGISTERED};

/// The outcome of a task that did not fail.
const SUCCESS: &str = "SUCCESS";

/// A task ran.
#[derive(Clone, Copy, Debug)]
pub struct TaskRan<'a> {
    /// The task.
    pub task: &'a str,
    /// How it failed, if it did.
    pub failure: Option<ErrorCode>,
    /// Seconds that it ran.
    pub seconds: f64,
}

impl TaskRan<'_> {
    /// Counts and logs it.
    pub fn emit(self) {
        match self.failure {
            None => debug!(task = self.task, seconds = self.seconds, "task ran"),
            Some(code) => warn!(task = self.task, code = code.as_str(), seconds = self.seconds, "task failed"),
        }
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        let tasks = metrics.tasks.read().unwrap_or_else(PoisonError::into_inner);
        let registered = tasks.get_key_value(self.task).or_else(|| tasks.get_key_value(UNREGISTERED));
        let Some((task, series)) = registered else { return };
        let (seconds, outcome) = match self.failure {
            None => (&series.success, SUCCESS),
            Some(code) => (&series.failures[code as usize], code.as_str()),
        };
        seconds.get_or_init(|| metrics.task_seconds.with_label_values(&[task, outcome])).observe(self.seconds);
    }
}

/// A task failed and will be tried again.
#[derive(Clone, Copy, Debug)]
pub struct TaskRetried<'a> {
    /// The task.
    pub task: &'a str,
}

impl TaskRetried<'_> {
    /// Counts and logs it.
    pub fn emit(self) {
        info!(task = self.task, "a task that failed will be tried again");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        let tasks = metrics.tasks.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = tasks.get(self.task).or_else(|| tasks.get(UNREGISTERED)) {
            series.retries.inc();
        }
    }
}

/// The series of a task. Those of its outcomes are made when they first occur: most never do.
pub(super) struct TaskSeries {
    retries: IntCounter,
    success: OnceLock<Histogram>,
    failures: [OnceLock<Histogram>; ErrorCode::ALL.len()],
}

impl Metrics {
    pub(super) fn register_task(&self, task: &str) {
        let series = TaskSeries {
            retries: self.task_retries.with_label_values(&[task]),
            success: OnceLock::new(),
            failures: Default::default(),
        };
        series.success.get_or_init(|| self.task_seconds.with_label_values(&[task, SUCCESS]));
        let mut tasks = self.tasks.write().unwrap_or_else(PoisonError::into_inner);
        tasks.insert(task.to_owned(), series);
    }
}

/// A task that gave up runs again, on request.
#[derive(Clone, Copy, Debug)]
pub struct TaskRedriven<'a> {
    /// The execution.
    pub execution_id: &'a str,
    /// The task.
    pub task: &'a str,
}

impl TaskRedriven<'_> {
    /// Logs it.
    pub fn emit(self) {
        info!(execution_id = self.execution_id, task = self.task, "a task that gave up was run again");
    }
}
