//! What Soorma's users have agents do, on real Kafka.

use serde_json::{Value, json};
use thalweg_core::{Event, WorkflowStatus};

use super::dialects::send_keyed;
use crate::load::borrowed;
use crate::namespace::{Namespace, one_topic};
use crate::router_process::RouterProcess;

fn envelope(id: &str, event_type: &str, execution: &str, more: &Value) -> String {
    let mut envelope = json!({"id": id, "event_type": event_type, "topic": "action-results",
        "timestamp": "2026-01-17T10:30:00Z", "data": {"by": id}, "correlation_id": execution, "source": "searcher"});
    envelope.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    envelope.to_string()
}

/// S3: three of one name share the work, and none of it is done twice.
#[test]
fn three_of_one_name_handle_three_hundred_events_in_all() {
    const EXECUTIONS: usize = 30;
    let namespace = Namespace::with("soorma-share", |config| {
        one_topic(config);
        config.partitions = 3;
    });
    let _routers = ["a", "b", "c"].map(|name| RouterProcess::start(&namespace, name));
    let id = |number: usize| format!("e-{number}");
    let start = || json!({"event_type": "workflow.started", "workflow_id": "counter"});
    let starts: Vec<(String, Value)> = (0..EXECUTIONS).map(|number| (id(number), start())).collect();
    namespace.send(&borrowed(&starts));
    namespace.await_events(&["workflow.started"], EXECUTIONS);
    let mut events: Vec<(String, Value)> =
        (0..300).map(|number| (id(number % EXECUTIONS), json!({"event_type": "count.up"}))).collect();
    events.extend((0..EXECUTIONS).map(|number| (id(number), json!({"event_type": "count.stop"}))));
    namespace.send(&borrowed(&events));
    let ends = namespace.await_ended(EXECUTIONS);
    let ends = ends.iter().filter(|event| event.event_type == "workflow.completed");
    let seen: i64 = ends.map(|end| end.payload_value().as_i64().unwrap()).sum();
    assert_eq!(seen, 300);
    namespace.verify();
}

/// S5: three in parallel, each answered from outside by whoever took the request, and one aggregate of all.
#[test]
fn three_in_parallel_come_to_one_aggregate() {
    let namespace = Namespace::new("soorma-parallel");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("r", json!({"event_type": "workflow.started", "workflow_id": "research"}))]);
    let requests = namespace.await_events(&["search.requested"], 3);
    let requests: Vec<&Event> = requests.iter().filter(|event| event.event_type == "search.requested").collect();
    let answers = requests.iter().rev().enumerate().map(|(number, request)| {
        envelope(&format!("answer-{number}"), "search.done", "r", &json!({"parent_event_id": request.event_id}))
    });
    let answers: Vec<String> = answers.collect();
    // One of them comes twice, and all three again under other ids: too late, for their branches are done.
    let late = answers.iter().map(|answer| answer.replace(r#""id":"answer"#, r#""id":"late"#));
    send_keyed(&namespace, "r", &[answers.clone(), vec![answers[0].clone()], late.collect()].concat());
    namespace.await_ended(1);
    let history = namespace.history("r");
    let joined: Vec<&Event> = history.iter().filter(|event| event.event_type == "searches.joined").collect();
    assert_eq!(joined.len(), 1);
    let results = &joined[0].payload_value()["results"];
    let by: Vec<&str> =
        ["a", "b", "c"].iter().map(|branch| results[branch]["result"]["by"].as_str().unwrap()).collect();
    assert_eq!(by.len(), 3);
    assert!(by.iter().all(|by| by.starts_with("answer-")), "{by:?}");
    namespace.verify();
}

/// S11: whoever answers second is told that he comes too late.
#[test]
fn a_wait_resumes_once() {
    let namespace = Namespace::new("soorma-resume");
    let _router = RouterProcess::start(&namespace, "a");
    let payload = json!({"ms": 600_000, "default": false});
    namespace.send(&[("w", json!({"event_type": "workflow.started", "workflow_id": "patient", "payload": payload}))]);
    namespace.await_events(&["workflow.started"], 1);
    let answers = ["one", "one", "two"].map(|id| envelope(id, "answer", "w", &json!({})));
    send_keyed(&namespace, "w", &answers);
    namespace.await_ended(1);
    namespace.await_drained();
    let history = namespace.history("w");
    let count = |event_type: &str| history.iter().filter(|event| event.event_type == event_type).count();
    assert_eq!((count("answer"), count("workflow.completed"), count("transition.rejected")), (1, 1, 2));
    assert_eq!(namespace.verify().in_status(WorkflowStatus::Success), 1);
}
