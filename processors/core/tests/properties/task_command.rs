//! Commands to tasks, agents and tools of an execution.

use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    Event, Limits, Outcome, Pattern, Task, TaskContext, TaskError, WaitFor, Workflow, WorkflowStatus, Workflows,
    async_trait,
};

use crate::memory_router::MemoryRouter;
use crate::timers::doing;

/// Works for an agent, when it is told to.
struct Writer([Pattern; 0]);

#[async_trait]
impl Task for Writer {
    fn task_id(&self) -> &str {
        "draft"
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }
    fn agent(&self) -> Option<&str> {
        Some("writer")
    }
    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        context.data["drafts"] = json!(context.data["drafts"].as_i64().unwrap_or(0) + 1);
        Ok(Outcome::new().result(json!({"drafted": event.payload_value()["about"]})))
    }
}

fn workflows() -> Workflows {
    let ask = doing("ask", STARTED, |_, _| Ok(Outcome::new().wait_for(WaitFor::event("answer").key("k"))));
    let answer = doing("answer", "answer", |event, context| {
        context.data["answer"] = event.payload_value();
        Ok(Outcome::new().wait_for(WaitFor::event("close")))
    });
    let close = doing("close", "close", |_, context| Ok(Outcome::new().complete(context.data.clone())));
    Workflows::new().with(Workflow::new("w", "1").task(ask).task(answer).task(close).task(Writer([])))
}

fn command(id: &str, event_type: &str, entity: &str, target: &str, payload: Value) -> Value {
    json!({"event_id": id, "event_type": event_type, "execution_id": "e", "payload": payload,
        "entities": {entity: {"id": target}}})
}

fn played(commands: &[Value]) -> MemoryRouter<'static> {
    static WORKFLOWS: std::sync::LazyLock<Workflows> = std::sync::LazyLock::new(workflows);
    let mut router = MemoryRouter::new(&WORKFLOWS, Limits::default());
    let start = json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "w"});
    for (offset, event) in (0..).zip(std::iter::once(&start).chain(commands)) {
        router.send("e", offset, event);
        router.drain("e");
        router.commit();
        router.assert_folded("e");
    }
    router
}

fn data(router: &MemoryRouter) -> Value {
    router.contexts.root("e").unwrap().data.into()
}

#[test]
fn a_task_an_agent_and_a_tool_run_on_their_commands() {
    let router = played(&[
        command("1", "task.trigger.requested", "task", "draft", json!({"about": 1})),
        command("2", "agent.execute.requested", "agent", "writer", json!({"about": 2})),
        command("3", "tool.execute.requested", "tool", "draft", json!({"about": 3})),
        json!({"event_id": "4", "event_type": "task.execute.requested", "execution_id": "e", "request_id": "r",
            "reply": {"response_event": "drafted"}, "payload": {"task_id": "draft", "about": 4}}),
        // Once more.
        command("1", "task.trigger.requested", "task", "draft", json!({"about": 1})),
    ]);
    assert_eq!(data(&router)["drafts"], json!(4));
    let log = router.log("e");
    assert_eq!((log.duplicates, log.rejected.len()), (1, 0));
    let answer = log.published.iter().find(|event| event.event_type == "drafted").unwrap();
    assert_eq!((answer.payload_value(), answer.request_id.as_deref()), (json!({"drafted": 4}), Some("r")));
}

#[test]
fn a_task_that_waits_is_resumed_by_its_name() {
    let router = played(&[
        command("1", "task.resume.requested", "task", "ask", json!(42)),
        command("2", "task.resume.requested", "task", "answer", Value::Null),
    ]);
    assert_eq!(router.contexts.root("e").unwrap().status, WorkflowStatus::Success);
    assert_eq!(data(&router)["answer"], json!(42));
}

#[test]
fn what_is_not_legal_is_answered_with_why() {
    let paused = json!({"event_type": "workflow.pause.requested", "execution_id": "e"});
    let router = played(&[
        command("1", "task.trigger.requested", "task", "nobody", json!({})),
        command("2", "task.resume.requested", "task", "draft", json!({})),
        json!({"event_type": "tool.execute.requested", "execution_id": "e"}),
        paused,
        command("3", "task.resume.requested", "task", "ask", json!({})),
        command("4", "task.trigger.requested", "task", "draft", json!({})),
    ]);
    let why: Vec<String> =
        router.log("e").rejected.iter().map(|event| event.error.as_ref().unwrap().message.clone()).collect();
    assert_eq!(
        why,
        [
            "workflow \"w\" has no task \"nobody\"; its tasks are ask, answer, close, draft",
            "task \"draft\" waits for nothing",
            "tool.execute.requested names no tool",
            "the execution is PAUSED",
        ]
    );
    assert_eq!(data(&router)["drafts"], Value::Null, "what comes in a pause waits");
    let mut router = router;
    router.send("e", 50, &json!({"event_type": "workflow.resume.requested", "execution_id": "e"}));
    router.drain("e");
    router.commit();
    assert_eq!(data(&router)["drafts"], json!(1));
    router.assert_folded("e");
}
