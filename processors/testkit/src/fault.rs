//! Runs tasks as a router runs inline ones, and lets those fail that are to fail.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use thalweg_core::ErrorCode;
use thalweg_core::task::{TaskCall, TaskError, TaskFailure, TaskRun};
use tokio::runtime::Runtime;

/// Failures to come, by the task: how many, and what it says.
#[derive(Default)]
pub struct Faults(BTreeMap<String, (u32, TaskError)>);

impl Faults {
    /// The next runs of a task fail.
    pub fn add(&mut self, task_id: &str, times: u32, error: TaskError) {
        self.0.insert(task_id.to_owned(), (times, error));
    }

    fn next(&mut self, task_id: &str) -> Option<TaskError> {
        let (left, error) = self.0.get_mut(task_id)?;
        *left = left.checked_sub(1)?;
        Some(error.clone())
    }

    /// Runs a task, unless it is to fail. A panic is a failure, as on a router; it has as much time as it wants.
    pub fn run(&mut self, call: TaskCall, runtime: &Runtime) -> TaskRun {
        let TaskCall { task, event, mut context } = call;
        if let Some(error) = self.next(task.task_id()) {
            return TaskRun { result: Err(error.into()), duration_ms: 0.0 };
        }
        let run = || runtime.block_on(task.handle_event(&event, &mut context));
        let result = match std::panic::catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(outcome)) => Ok((outcome, context.data)),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(TaskFailure {
                code: ErrorCode::TaskPanicked,
                task_code: None,
                message: "it panicked; what it said stands above".to_owned(),
            }),
        };
        TaskRun { result, duration_ms: 0.0 }
    }
}
