//! Requests: a start is acknowledged with its execution, and who names the event that answers it gets that.

use serde_json::{Value, json};
use thalweg_core::Event;

use crate::namespace::Namespace;
use crate::router_process::RouterProcess;

fn of<'a>(events: &'a [Event], event_type: &str) -> Vec<&'a Event> {
    events.iter().filter(|event| event.event_type == event_type).collect()
}

/// C1: a trigger without execution or key is acknowledged with the execution; sent twice, to any partition, it is one.
#[test]
fn a_trigger_is_acknowledged_with_its_execution_once() {
    let namespace = Namespace::with("trigger", |_| {});
    let _router = RouterProcess::start(&namespace, "a");
    let trigger = |request_id: &str| {
        json!({"event_type": "workflow.started", "workflow_id": "linear", "request_id": request_id,
            "trace_id": format!("trace-{request_id}")})
    };
    for _ in 0..2 {
        let records = ["q-1", "q-2", "q-3"].map(|request_id| (None, trigger(request_id).to_string().into_bytes()));
        namespace.send_raw(&records, &[]);
    }
    namespace.await_ended(3);
    // The topics were read one after the other: now all of them have what led to the ends.
    let events = namespace.events();
    namespace.await_drained();
    let acknowledged = of(&events, "workflow.acknowledged");
    assert_eq!(acknowledged.len(), 3);
    for event in acknowledged {
        let request_id = event.request_id.as_deref().unwrap();
        assert_eq!(event.payload_value()["execution_id"], json!(event.execution_id));
        assert_eq!(event.trace_id, Some(format!("trace-{request_id}")));
        let started =
            of(&events, "workflow.started").into_iter().find(|e| e.execution_id == event.execution_id).unwrap();
        assert_eq!(started.request_id.as_deref(), Some(request_id));
        assert_eq!(event.parent_event_id.as_ref(), Some(&started.event_id));
    }
    let acknowledged = namespace.read(namespace.topics.channel(thalweg_core::Channel::ActionResults));
    assert_eq!(acknowledged.len(), 3, "they are on action-results");
    assert_eq!(of(&namespace.events(), "workflow.started").len(), 3, "each request is one execution");
    let summary = namespace.verify();
    assert_eq!(summary.duplicates, 3);
}

/// S1: a response_event without a topic goes to action-results, with the request's correlation and trace.
#[test]
fn a_request_gets_the_answer_that_it_names() {
    let namespace = Namespace::with("reply", |_| {});
    let _router = RouterProcess::start(&namespace, "a");
    let request = |reply: Value, workflow: &str| {
        json!({"event_type": "workflow.started", "workflow_id": workflow, "event_id": "request-1",
            "correlation_id": "c-1", "trace_id": "t-1", "reply": reply, "payload": {"n": 1}})
    };
    let told = json!({"response_event": "work.done"});
    namespace.send(&[
        ("e", request(told.clone(), "linear")),
        ("f", request(told, "misbehaving")),
        ("g", request(json!({"response_event": "work.done", "response_topic": "notification-events"}), "linear")),
        ("h", request(json!({"response_event": "work.done", "response_topic": "elsewhere"}), "linear")),
    ]);
    namespace.await_ended(3);
    // The topics were read one after the other: now all of them have what led to the ends.
    let events = namespace.events();
    namespace.verify();
    for (id, channel, status) in
        [("e", "action-results", "SUCCESS"), ("f", "action-results", "FAILED"), ("g", "notification-events", "SUCCESS")]
    {
        let answers: Vec<&Event> = of(&events, "work.done").into_iter().filter(|e| e.execution_id == id).collect();
        let [answer] = answers[..] else { panic!("{} answers of {id}", answers.len()) };
        assert_eq!((answer.channel.as_str(), answer.status.as_deref()), (channel, Some(status)));
        assert_eq!(answer.correlation_id.as_deref(), Some("c-1"));
        assert_eq!(answer.trace_id.as_deref(), Some("t-1"));
        assert_eq!(answer.parent_event_id.as_deref(), Some("request-1"));
        assert_eq!(answer.error.is_some(), status == "FAILED");
    }
    let letters = namespace.read(namespace.topics.dead_letters());
    let refused = letters.iter().find(|letter| letter.headers["code"] == "CHANNEL_UNKNOWN").unwrap();
    assert!(refused.headers["message"].contains("action-requests, action-results"));
}
