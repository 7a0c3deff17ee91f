//! What a task may not return: it fails, and nothing of it stands.

use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::limits::{NAME_MAX_BYTES, WAITS_MAX};
use thalweg_core::{
    ErrorCode, Event, FanOut, Limits, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, WaitFor, Workflow,
    WorkflowStatus, Workflows, async_trait,
};

use crate::memory_router::MemoryRouter;

/// Returns the same to every start.
struct Returning {
    on: [Pattern; 1],
    data: Value,
    outcome: Outcome,
}

#[async_trait]
impl Task for Returning {
    fn task_id(&self) -> &str {
        "returning"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    async fn handle_event(&self, _: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        context.data = self.data.clone().into();
        Ok(self.outcome.clone())
    }
}

fn assert_fails(data: Value, outcome: Outcome, says: &str) {
    let task = Returning { on: [Pattern::new(STARTED)], data, outcome };
    let workflows = Workflows::new().with(Workflow::new("w", "1").task(task));
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, &json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "w"}));
    router.commit();
    router.assert_folded("e");
    let log = router.log("e");
    assert_eq!(log.types(), [STARTED, "task.failed", "system.error", "workflow.failed"], "{says}");
    let context = log.folded.context.as_ref().unwrap();
    assert_eq!((context.status, &*context.data), (WorkflowStatus::Failed, &json!({})));
    let [letter] = log.dead_letters.as_slice() else { panic!("{:?}", log.dead_letters) };
    assert_eq!(letter.code, ErrorCode::TaskFailed);
    assert!(letter.message.contains(says), "{:?} says nothing of {says:?}", letter.message);
}

fn event(event_type: &str) -> NewEvent {
    NewEvent::new(event_type, Value::Null)
}

#[test]
fn the_engines_own_types() {
    for reserved in
        [STARTED, "workflow.completed", "task.done", "timer.fired", "transition.rejected", "event.unhandled"]
    {
        let fan_out = || FanOut::new("n").branch("b", event("begun"));
        assert_fails(json!({"a": 1}), Outcome::new().emit(event(reserved)), reserved);
        assert_fails(json!({"a": 1}), Outcome::new().fan_out(fan_out().then(reserved)), reserved);
        assert_fails(json!({"a": 1}), Outcome::new().fan_out(fan_out().or_else(reserved)), reserved);
        assert_fails(json!({"a": 1}), Outcome::new().fan_out(FanOut::new("n").branch("b", event(reserved))), reserved);
    }
}

#[test]
fn names_that_are_none() {
    for bad in [String::new(), "x".repeat(NAME_MAX_BYTES + 1), "a\nb".to_owned()] {
        let key = Some(bad.clone());
        let wait = WaitFor { correlation_key: key, ..WaitFor::event("answer") };
        assert_fails(json!({}), Outcome::new().emit(event(&bad)), "event_type");
        assert_fails(json!({}), Outcome::new().wait_for(WaitFor::event(&bad)), "wait_for.event_type");
        assert_fails(json!({}), Outcome::new().wait_for(wait), "wait_for.correlation_key");
        assert_fails(json!({}), Outcome::new().fan_out(FanOut::new(&bad)), "fan_out.name");
        let fan_out = FanOut::new("n").branch(&bad, event("begun"));
        assert_fails(json!({}), Outcome::new().fan_out(fan_out), "branch name");
        let fan_out = FanOut::new("n").branch_until("b", event("begun"), &bad);
        assert_fails(json!({}), Outcome::new().fan_out(fan_out), "ends_on");
    }
    let twice = FanOut::new("n").branch("b", event("begun")).not_required("b");
    assert_fails(json!({}), Outcome::new().fan_out(twice), "two branches");
}

#[test]
fn data_and_results_that_are_none() {
    let deep = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    assert_fails(json!([]), Outcome::new(), "JSON object");
    assert_fails(json!({"a": deep(64)}), Outcome::new(), "deeper");
    assert_fails(json!({}), Outcome::new().result(deep(65)), "deeper");
    assert_fails(json!({}), Outcome::new().complete(deep(65)), "deeper");
    assert_fails(json!({}), Outcome::new().complete_branch(json!(1)), "outside of any branch");
    let waits = (0..=WAITS_MAX).fold(Outcome::new(), |outcome, _| outcome.wait_for(WaitFor::event("answer")));
    assert_fails(json!({}), waits, "waits");
}
