//! Tasks: what handles events. A user of Thalweg writes these.

use std::sync::Arc;

use async_trait::async_trait;

use crate::data::Data;
use crate::error_code::ErrorCode;
use crate::event::{Event, Micros};
use crate::identity;
use crate::outcome::Outcome;
use crate::pattern::Pattern;
use crate::retry::{self, RetryPolicy};

/// A handler of events of one workflow.
///
/// Handlers are called at least once; what they decide takes effect exactly once.
#[async_trait]
pub trait Task: Send + Sync {
    /// Its name, unique in its workflow; a metric label.
    fn task_id(&self) -> &str;

    /// The event types that it handles.
    fn handles_events(&self) -> &[Pattern];

    /// When it is tried again that fails. Unless it says so it is not.
    fn retry_policy(&self) -> &RetryPolicy {
        &retry::NEVER
    }

    /// The agent that works here, for budgets, autonomy limits and the breaker of that agent.
    fn agent(&self) -> Option<&str> {
        None
    }

    /// What follows when it gives up on an event. Others that handle the same event stand in either case.
    fn on_failure(&self) -> OnFailure {
        OnFailure::FailExecution
    }

    /// Handles one event: reads it, changes `context.data` in place, and says what follows.
    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError>;
}

/// What follows when a task gives up. Either way `task.failed` and `system.error` tell it, and the event is a dead letter
/// that can be redriven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Its execution fails.
    #[default]
    FailExecution,
    /// Its execution goes on: what the task is for is beside the point of the workflow.
    Report,
}

/// What a task is given beside its event.
#[derive(Clone, Debug)]
pub struct TaskContext {
    /// The workflow's data, to be changed in place. The difference is recorded as an RFC 7396 merge patch,
    /// so a null set here removes the key. It must stay an object.
    pub data: Data,
    /// The execution.
    pub execution_id: String,
    /// The workflow.
    pub workflow_id: String,
    /// Which attempt this is, from 1.
    pub attempt: i32,
    /// When the router took the event in.
    pub now: Micros,
    /// What is handled, and by which task.
    handling: Handling,
}

/// What an idempotency key derives from.
#[derive(Clone, Debug)]
struct Handling {
    event: Arc<Event>,
    redrive: u32,
    task: TaskRef,
}

impl TaskContext {
    /// That of a task which handles `event`, redriven so often, for the `attempt`th time.
    pub fn new(
        data: Data,
        event: Arc<Event>,
        task: Arc<dyn Task>,
        redrive: u32,
        attempt: i32,
        now: Micros,
    ) -> TaskContext {
        TaskContext {
            data,
            execution_id: event.execution_id.clone(),
            workflow_id: event.workflow_id.clone().unwrap_or_default(),
            attempt,
            now,
            handling: Handling { event, redrive, task: TaskRef(task) },
        }
    }

    /// The same for every attempt at the same event by this task: give it to systems that deduplicate.
    pub fn idempotency_key(&self) -> String {
        let Handling { event, redrive, task } = &self.handling;
        identity::derived_id(&event.execution_id, &event.event_id, *redrive, task.0.task_id(), 0, 0)
    }
}

/// A task, by its name where it is shown.
#[derive(Clone)]
pub(crate) struct TaskRef(pub Arc<dyn Task>);

impl std::fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.task_id())
    }
}

/// Why a task could not handle its event.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct TaskError {
    /// The task's own code.
    pub code: String,
    /// A sentence for people; no secrets, it is published.
    pub message: String,
}

impl TaskError {
    /// An error with the task's own code.
    pub fn new(code: &str, message: impl Into<String>) -> TaskError {
        TaskError { code: code.to_owned(), message: message.into() }
    }
}

/// A request to run one task on one event.
#[derive(Clone)]
pub struct TaskCall {
    /// The task.
    pub task: Arc<dyn Task>,
    /// The event that it handles.
    pub event: Arc<Event>,
    /// What it is given.
    pub context: TaskContext,
}

impl std::fmt::Debug for TaskCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskCall").field("task", &self.task.task_id()).field("event", &self.event.event_id).finish()
    }
}

/// What became of a task's run.
#[derive(Clone, Debug)]
pub struct TaskRun {
    /// What it decided and the data as it left them, or how it failed.
    pub result: Result<(Outcome, Data), TaskFailure>,
    /// How long it ran, in milliseconds.
    pub duration_ms: f64,
}

/// A failed run.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskFailure {
    /// TASK_FAILED, TASK_PANICKED, TASK_TIMED_OUT or RESULT_TOO_LARGE.
    pub code: ErrorCode,
    /// The task's own code, where it gave one.
    pub task_code: Option<String>,
    /// A sentence for people.
    pub message: String,
}

impl From<TaskError> for TaskFailure {
    fn from(error: TaskError) -> Self {
        TaskFailure { code: ErrorCode::TaskFailed, task_code: Some(error.code), message: error.message }
    }
}
