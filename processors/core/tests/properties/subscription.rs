//! Several handlers of one event: one that fails keeps no other from it.

use serde_json::json;
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    Event, Limits, OnFailure, Outcome, Pattern, Task, TaskContext, TaskError, Workflow, WorkflowStatus, Workflows,
    async_trait,
};

use crate::memory_router::MemoryRouter;

struct Handler {
    id: &'static str,
    on: [Pattern; 1],
    fails: bool,
    on_failure: OnFailure,
}

#[async_trait]
impl Task for Handler {
    fn task_id(&self) -> &str {
        self.id
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    fn on_failure(&self) -> OnFailure {
        self.on_failure
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let seen = context.data[self.id].as_i64().unwrap_or(0);
        context.data[self.id] = json!(seen + 1);
        match event.event_type.as_str() {
            STARTED => Ok(Outcome::new()),
            _ if self.fails => Err(TaskError::new("BROKEN", "on purpose")),
            "a.end" => Ok(Outcome::new().complete(json!(null))),
            _ => Ok(Outcome::new()),
        }
    }
}

fn workflows(on_failure: OnFailure) -> Workflows {
    let handler = |id, on: &str, fails| Handler { id, on: [Pattern::new(on)], fails, on_failure };
    let workflow = Workflow::new("w", "1").task(handler("broken", "a.*", true)).task(handler("all", "*", false));
    Workflows::new().with(workflow.task(handler("exact", "a.b.c", false)))
}

/// D7, by either policy.
#[test]
fn a_handler_that_fails_does_not_keep_others_from_the_event() {
    for (on_failure, status) in
        [(OnFailure::FailExecution, WorkflowStatus::Failed), (OnFailure::Report, WorkflowStatus::Running)]
    {
        let workflows = workflows(on_failure);
        let mut router = MemoryRouter::new(&workflows, Limits::default());
        router.send("e", 0, &json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "w"}));
        router.send("e", 1, &json!({"event_type": "a.b.c", "execution_id": "e", "correlation_id": "c-7"}));
        router.commit();
        router.assert_folded("e");
        let context = router.contexts.root("e").unwrap();
        assert_eq!(context.status, status);
        assert_eq!(context.data, json!({"all": 2, "exact": 1}), "the others ran, and what failed left nothing");
        let log = router.log("e");
        let errors: Vec<&Event> = log.published.iter().filter(|event| event.event_type == "system.error").collect();
        let [error] = errors[..] else { panic!("{:?}", log.types()) };
        assert_eq!((error.channel.as_str(), error.correlation_id.as_deref()), ("system-events", Some("c-7")));
        assert_eq!(error.payload_value()["error_message"], json!("on purpose"));
        assert_eq!(error.payload_value()["agent_id"], json!("broken"));
        assert_eq!(log.dead_letters.len(), 1);
    }
}

#[test]
fn an_execution_goes_on_after_a_failure_that_is_only_reported() {
    let workflows = workflows(OnFailure::Report);
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, &json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "w"}));
    for (offset, event_type) in (1..).zip(["a.b", "a.b", "a.end"]) {
        router.send("e", offset, &json!({"event_type": event_type, "execution_id": "e"}));
        router.commit();
    }
    router.assert_folded("e");
    assert_eq!(router.contexts.root("e").unwrap().status, WorkflowStatus::Success);
    let failed = router.log("e").types().iter().filter(|event_type| **event_type == "task.failed").count();
    assert_eq!(failed, 3);
}
