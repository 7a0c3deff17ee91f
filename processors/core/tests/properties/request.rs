//! Requests: a start is acknowledged, the same request is one execution, and who wants an answer gets one.

use serde_json::{Value, json};
use thalweg_core::inbound::{self, Reading, STARTED};
use thalweg_core::{
    Event, Limits, Outcome, Pattern, Task, TaskContext, TaskError, WaitFor, Workflow, Workflows, async_trait,
    partition_of,
};

use crate::memory_router::{MemoryRouter, SCHEMAS, record};

/// Waits at the start; then completes, fails, or says a result.
struct Worker([Pattern; 1]);

#[async_trait]
impl Task for Worker {
    fn task_id(&self) -> &str {
        "worker"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        Ok(match event.event_type.as_str() {
            STARTED => Outcome::new().wait_for(WaitFor::event("finish")),
            "finish" => Outcome::new().complete(json!({"found": 3})),
            "break" => Outcome::new().fail("BROKEN", "it broke"),
            "ask" => Outcome::new().result(json!({"answer": 42})),
            "silent" => Outcome::new(),
            _ => return Err(TaskError::new("UNHEARD_OF", "nobody knows it")),
        })
    }
}

fn workflows() -> Workflows {
    Workflows::new().with(Workflow::new("work", "1").task(Worker([Pattern::new("*")])))
}

fn request(more: Value) -> Value {
    let mut request = json!({
        "event_type": STARTED, "execution_id": "e", "workflow_id": "work", "event_id": "request-1",
        "correlation_id": "c-1", "trace_id": "t-1",
    });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn sent(events: &[Value]) -> MemoryRouter<'static> {
    let workflows = Box::leak(Box::new(workflows()));
    let mut router = MemoryRouter::new(workflows, Limits::default());
    for (offset, event) in (0..).zip(events) {
        router.send("e", offset, event);
        router.commit();
        router.assert_folded("e");
    }
    router
}

/// S1, as far as the step tells it.
#[test]
fn a_request_is_answered_where_it_says_or_on_action_results() {
    for (reply, channel) in [
        (json!({"response_event": "research.completed"}), "action-results"),
        (json!({"response_event": "research.completed", "response_topic": "business-facts"}), "business-facts"),
    ] {
        let start = request(json!({"reply": reply, "request_id": "q-1"}));
        let router = sent(&[start, json!({"event_type": "finish", "execution_id": "e"})]);
        let log = router.log("e");
        assert_eq!(
            log.types(),
            [STARTED, "workflow.acknowledged", "finish", "research.completed", "workflow.completed"]
        );
        let answer = &log.published[3];
        assert_eq!((answer.channel.as_str(), answer.message_class.as_str()), (channel, "result"));
        assert_eq!(answer.correlation_id.as_deref(), Some("c-1"));
        assert_eq!((answer.trace_id.as_deref(), answer.request_id.as_deref()), (Some("t-1"), Some("q-1")));
        assert_eq!(answer.parent_event_id.as_deref(), Some("request-1"));
        assert_eq!((answer.status.as_deref(), answer.payload_value()), (Some("SUCCESS"), json!({"found": 3})));
    }
}

#[test]
fn a_request_that_fails_is_answered_too() {
    let reply = json!({"response_event": "research.completed"});
    let breaks = json!({"event_type": "break", "execution_id": "e"});
    let router = sent(&[request(json!({ "reply": reply })), breaks]);
    let answer = &router.log("e").published[2];
    assert_eq!((answer.event_type.as_str(), answer.status.as_deref()), ("research.completed", Some("FAILED")));
    assert_eq!(answer.error.as_ref().unwrap().code.as_deref(), Some("BROKEN"));
}

#[test]
fn a_request_to_a_running_execution_is_answered_when_it_is_handled() {
    let asks = |event_type: &str| {
        json!({"event_type": event_type, "execution_id": "e", "event_id": event_type, "correlation_id": "c-2",
            "reply": {"response_event": "told"}})
    };
    let router = sent(&[request(json!({})), asks("silent"), asks("ask"), asks("unheard-of")]);
    let log = router.log("e");
    let told: Vec<&Event> = log.published.iter().filter(|event| event.event_type == "told").collect();
    assert_eq!(told.len(), 2, "{:?}", log.types());
    assert_eq!((told[0].parent_event_id.as_deref(), told[0].payload_value()), (Some("ask"), json!({"answer": 42})));
    assert_eq!(told[0].correlation_id.as_deref(), Some("c-2"));
    assert_eq!(told[1].error.as_ref().unwrap().code.as_deref(), Some("TASK_FAILED"));
}

#[test]
fn a_start_with_a_request_id_is_acknowledged_once_however_often_it_comes() {
    let first = request(json!({"request_id": "q-1"}));
    let again = request(json!({"request_id": "q-1", "event_id": "another"}));
    let finish = json!({"event_type": "finish", "execution_id": "e"});
    let router = sent(&[first.clone(), first.clone(), again.clone(), finish, first, again]);
    let log = router.log("e");
    assert_eq!(log.types(), [STARTED, "workflow.acknowledged", "finish", "workflow.completed"]);
    assert_eq!((log.duplicates, log.rejected.len()), (4, 0));
    let acknowledged = &log.published[1];
    assert_eq!(acknowledged.payload_value(), json!({"execution_id": "e", "workflow_id": "work"}));
    assert_eq!(acknowledged.channel, "action-results");
    assert_eq!(acknowledged.correlation_id.as_deref(), Some("c-1"));
    assert_eq!(acknowledged.parent_event_id.as_deref(), Some("request-1"));
}

/// Wherever it is sent, the same request without an execution is the same execution, and the same event.
#[test]
fn a_request_names_its_execution() {
    let partitions = 12;
    let start = json!({"event_type": STARTED, "workflow_id": "work", "request_id": "q-1"}).to_string();
    let mut seen = std::collections::BTreeSet::new();
    for partition in 0..partitions {
        let of = inbound::InboxRecord { partition, ..record(None, 7, start.as_bytes()) };
        match inbound::read(&of, partitions, &SCHEMAS, &Limits::default()).unwrap() {
            Reading::Event(inbound) => {
                assert_eq!(partition, partition_of(inbound.event.execution_id.as_bytes(), partitions));
                seen.insert((inbound.event.execution_id, inbound.event.event_id));
            }
            Reading::Elsewhere { execution_id, event_id, partition: to } => {
                assert_eq!(to, partition_of(execution_id.as_bytes(), partitions));
                seen.insert((execution_id, event_id));
            }
        }
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn an_answer_that_nobody_may_write_is_refused() {
    let cases = [
        (json!({"response_event": "workflow.completed"}), "EVENT_RESERVED"),
        (json!({"response_event": "told", "response_topic": "somewhere"}), "CHANNEL_UNKNOWN"),
        (json!({"response_event": "x".repeat(300)}), "EVENT_INVALID"),
    ];
    let router = sent(&[]);
    for (reply, code) in cases {
        let text = request(json!({ "reply": reply })).to_string();
        let refusal = router.read(0, text.as_bytes()).unwrap_err();
        assert_eq!(refusal.code.as_str(), code);
        assert!(code != "CHANNEL_UNKNOWN" || refusal.message.contains("billing-events"), "{refusal}");
    }
}
