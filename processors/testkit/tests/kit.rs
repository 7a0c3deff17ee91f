//! The kit does what a router does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::{Value, json};
use thalweg_core::child::COMPLETED;
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    ErrorCode, Event, NewChild, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, WaitFor, Workflow,
    WorkflowStatus, async_trait,
};
use thalweg_testkit::TestKit;

/// A task that does what a function says.
struct Doing(&'static str, [Pattern; 1], fn(&Event, &mut TaskContext) -> Outcome);

#[async_trait]
impl Task for Doing {
    fn task_id(&self) -> &str {
        self.0
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.1
    }
    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        // Whatever a task awaits goes on as on a router.
        tokio::task::yield_now().await;
        Ok((self.2)(event, context))
    }
}

fn on(id: &'static str, event_type: &str, does: fn(&Event, &mut TaskContext) -> Outcome) -> Doing {
    Doing(id, [Pattern::new(event_type)], does)
}

/// Waits an hour for an answer, and else goes on without.
fn patient() -> Workflow {
    Workflow::new("patient", "1")
        .task(on("ask", STARTED, |_, _| {
            let wait = WaitFor::event("answer").timeout(Duration::from_secs(3600));
            Outcome::new().wait_for(wait.on_timeout(NewEvent::new("no.answer", Value::Null)))
        }))
        .task(on("answer", "answer", |event, _| Outcome::new().complete(event.payload_value())))
        .task(on("none", "no.answer", |_, _| Outcome::new().complete(json!("nobody answered"))))
}

#[test]
fn time_passes_when_the_test_says_so() {
    let mut kit = TestKit::new(patient());
    for id in ["answered", "forgotten"] {
        kit.start(id, json!({})).unwrap();
        assert_eq!(kit.execution(id).status(), Some(WorkflowStatus::Waiting));
    }
    kit.advance(Duration::from_secs(3599));
    kit.send("answered", json!({"event_type": "answer", "payload": 42})).unwrap();
    kit.advance(Duration::from_secs(1));
    assert_eq!(kit.execution("answered").result(), Some(json!(42)));
    assert_eq!(kit.execution("forgotten").result(), Some(json!("nobody answered")));
    assert_eq!(kit.executions(), ["answered", "forgotten"]);
}

#[test]
fn children_are_run_to_their_end() {
    let parent = Workflow::new("parent", "1")
        .task(on("begin", STARTED, |_, context| {
            Outcome::new().start_child(NewChild::new("child", context.data.clone().into()).named("c"))
        }))
        .task(on("end", COMPLETED, |event, _| Outcome::new().complete(event.payload_value())));
    let child = Workflow::new("child", "1").task(on("double", STARTED, |_, context| {
        Outcome::new().complete(json!(context.data["n"].as_i64().unwrap_or(0) * 2))
    }));
    let mut kit = TestKit::new(parent).with(child);
    kit.start("p", json!({"n": 21})).unwrap();
    assert_eq!((kit.execution("c").result(), kit.execution("p").result()), (Some(json!(42)), Some(json!(42))));
}

#[test]
fn what_goes_wrong_is_told() {
    let mut kit = TestKit::new(patient());
    kit.fail_task("ask", 1, TaskError::new("OUT_OF_ORDER", "as the test wants it"));
    kit.start("e", json!({})).unwrap();
    let failed = kit.execution("e");
    assert_eq!(failed.status(), Some(WorkflowStatus::Failed));
    assert_eq!(failed.error().unwrap().exception_type.as_deref(), Some("OUT_OF_ORDER"));
    assert_eq!(failed.dead_letters()[0].code, ErrorCode::TaskFailed);

    kit.send("e", json!({"event_type": "answer"})).unwrap();
    assert_eq!(kit.execution("e").rejections().len(), 1);
    let start = json!({"event_type": STARTED, "workflow_id": "patient", "event_id": "s"});
    for _ in 0..2 {
        kit.send("f", start.clone()).unwrap();
    }
    assert_eq!((kit.execution("f").duplicates(), kit.execution("f").types().len()), (1, 1));
    let refused = kit.send("f", json!({"event_type": "answer", "channel": "gossip"})).unwrap_err();
    assert_eq!(refused.code, ErrorCode::ChannelUnknown);
}
