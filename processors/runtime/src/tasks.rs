//! Runs inline tasks on the lane thread: caught when they panic, cut at their deadline.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use thalweg_core::ErrorCode;
use thalweg_core::outcome::Outcome;
use thalweg_core::task::{TaskCall, TaskError, TaskFailure, TaskRun};
use tokio::runtime::Handle;

use crate::health::LaneHealth;

/// Runs the inline tasks of one lane.
pub struct InlineTasks {
    runtime: Handle,
    deadline: Duration,
    health: LaneHealth,
}

impl InlineTasks {
    /// Tasks may use timers and sockets of `runtime`; each has `deadline` to finish.
    pub fn new(runtime: Handle, deadline: Duration, health: LaneHealth) -> InlineTasks {
        InlineTasks { runtime, deadline, health }
    }

    /// Runs one task to its end or its deadline. A task that awaits is cut there; one that blocks is failed on return.
    pub fn run(&self, call: TaskCall) -> TaskRun {
        let TaskCall { task, event, mut context } = call;
        let deadline = task.retry_policy().attempt_timeout.map_or(self.deadline, |own| own.min(self.deadline));
        let began = Instant::now();
        let busy = self.health.inline_task(Arc::from(task.task_id()), began);
        let guard = self.runtime.enter();
        let handled = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut handling = task.handle_event(&event, &mut context);
            // Most tasks await nothing: they are done with the first poll, without a timer.
            match handling.as_mut().now_or_never() {
                Some(result) => Some(result),
                None => self.runtime.block_on(async {
                    let left = deadline.saturating_sub(began.elapsed());
                    tokio::time::timeout(left, handling).await.ok()
                }),
            }
        }));
        drop(guard);
        drop(busy);
        let ran = began.elapsed();
        let result = judge(handled, ran, deadline).map(|outcome| (outcome, context.data));
        TaskRun { result, duration_ms: ran.as_secs_f64() * 1000.0 }
    }
}

fn judge(
    handled: std::thread::Result<Option<Result<Outcome, TaskError>>>,
    ran: Duration,
    deadline: Duration,
) -> Result<Outcome, TaskFailure> {
    let failure = |code, message| TaskFailure { code, task_code: None, message };
    match handled {
        Err(panic) => Err(failure(ErrorCode::TaskPanicked, panic_text(panic.as_ref()))),
        Ok(Some(Err(error))) => Err(error.into()),
        Ok(Some(Ok(outcome))) if ran <= deadline => Ok(outcome),
        Ok(None | Some(Ok(_))) => Err(failure(
            ErrorCode::TaskTimedOut,
            format!(
                "it ran past its deadline of {} ms (inline.deadline.ms, or its policy's attempt_timeout)",
                deadline.as_millis()
            ),
        )),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("no text"))
}

#[cfg(test)]
mod tests {
    use thalweg_core::task::{Task, TaskContext};
    use thalweg_core::{Event, Pattern, RetryPolicy, async_trait};

    use super::*;

    #[derive(Clone, Copy)]
    enum Way {
        Returns,
        Panics,
        AwaitsForEver,
        Blocks,
    }

    /// With an attempt time-out, where it has one.
    struct Behaving(Way, RetryPolicy);

    #[async_trait]
    impl Task for Behaving {
        fn task_id(&self) -> &str {
            "behaving"
        }
        fn handles_events(&self) -> &[Pattern] {
            &[]
        }
        fn retry_policy(&self) -> &RetryPolicy {
            &self.1
        }
        async fn handle_event(&self, _: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
            context.data = serde_json::json!({"ran": true}).into();
            match self.0 {
                Way::Returns => {}
                Way::Panics => panic!("on purpose"),
                Way::AwaitsForEver => std::future::pending().await,
                Way::Blocks => std::thread::park_timeout(Duration::from_millis(60)),
            }
            Ok(Outcome::new())
        }
    }

    fn run(way: Way) -> Result<(), ErrorCode> {
        run_within(way, Duration::from_millis(20), RetryPolicy::attempts(1))
    }

    fn run_within(way: Way, deadline: Duration, policy: RetryPolicy) -> Result<(), ErrorCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let (_health, mut lanes) = crate::health::Health::new(1, Duration::from_secs(60));
        let tasks = InlineTasks::new(runtime.handle().clone(), deadline, lanes.remove(0));
        let (task, event): (Arc<dyn Task>, _) = (Arc::new(Behaving(way, policy)), Arc::new(Event::new("x", 0)));
        let context = TaskContext::new(serde_json::json!({}).into(), Arc::clone(&event), Arc::clone(&task), 0, 1, 0);
        let call = TaskCall { task, event, context };
        tasks.run(call).result.map(|_| ()).map_err(|failure| failure.code)
    }

    #[test]
    fn a_task_fails_alone() {
        assert_eq!(run(Way::Returns), Ok(()));
        assert_eq!(run(Way::Panics), Err(ErrorCode::TaskPanicked));
        assert_eq!(run(Way::AwaitsForEver), Err(ErrorCode::TaskTimedOut));
        assert_eq!(run(Way::Blocks), Err(ErrorCode::TaskTimedOut));
    }

    #[test]
    fn an_attempt_has_a_deadline_of_its_own() {
        let policy = RetryPolicy::attempts(2).attempt_timeout(Duration::from_millis(20));
        let run = |way| run_within(way, Duration::from_secs(60), policy.clone());
        assert_eq!(run(Way::AwaitsForEver), Err(ErrorCode::TaskTimedOut));
        assert_eq!(run(Way::Blocks), Err(ErrorCode::TaskTimedOut));
    }
}
