//! Requests that say how they want to be answered.

use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    ErrorCode, Event, Limits, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, Workflow, Workflows,
    async_trait,
};

use crate::memory_router::MemoryRouter;

/// Answers every request.
struct Calculator([Pattern; 1]);

#[async_trait]
impl Task for Calculator {
    fn task_id(&self) -> &str {
        "calculator"
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }
    async fn handle_event(&self, event: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        let reply = NewEvent::reply_to(event, json!({"result": 4}));
        Ok(reply.map_or_else(Outcome::new, |reply| Outcome::new().emit(reply)))
    }
}

fn envelope(more: &Value) -> Value {
    let mut envelope = json!({
        "id": "req-1", "event_type": "calculate.requested", "topic": "action-requests", "data": {"expression": "2 + 2"},
        "timestamp": "2026-01-17T10:30:00Z", "correlation_id": "c", "trace_id": "t", "tenant_id": "x", "user_id": "u",
    });
    envelope.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    envelope
}

fn reply_to(more: &Value) -> Option<Event> {
    let workflow = Workflow::new("w", "1").task(Calculator([Pattern::new("calculate.requested")]));
    let workflows = Workflows::new().with(workflow);
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    let start = json!({"event_type": STARTED, "execution_id": "c", "workflow_id": "w"});
    router.send("c", 0, &start);
    // Without a key: it belongs to the execution of its correlation.
    router.send("c", 1, &envelope(more));
    router.log("c").published.iter().find(|event| event.source.as_deref() == Some("calculator")).cloned()
}

/// S1: a response event without a topic goes to action-results, with correlation and trace, and the request as parent.
#[test]
fn an_answer_has_the_type_the_channel_and_the_trace_of_its_request() {
    let reply = reply_to(&json!({"response_event": "calc.result"})).unwrap();
    assert_eq!((reply.event_type.as_str(), reply.channel.as_str()), ("calc.result", "action-results"));
    assert_eq!((reply.correlation_id.as_deref(), reply.trace_id.as_deref()), (Some("c"), Some("t")));
    assert_eq!(reply.parent_event_id.as_deref(), Some("req-1"));
    assert_eq!((reply.tenant_id.as_deref(), reply.user_id.as_deref()), (Some("x"), Some("u")));
    let elsewhere = json!({"response_event": "calc.result", "response_topic": "business-facts"});
    assert_eq!(reply_to(&elsewhere).unwrap().channel, "business-facts");
    assert!(reply_to(&json!({})).is_none());
}

#[test]
fn a_topic_for_the_answer_that_is_none_of_the_eight_is_refused() {
    let workflows = Workflows::new();
    let router = MemoryRouter::new(&workflows, Limits::default());
    let request = envelope(&json!({"response_event": "calc.result", "response_topic": "gossip"})).to_string();
    let refusal = router.read(1, request.as_bytes()).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::ChannelUnknown);
    assert!(refusal.message.contains("action-results"));
}
