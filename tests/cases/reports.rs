//! What another engine reports of its work, on real Kafka.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use thalweg_core::{Event, WorkflowStatus};

use super::dialects::{assert_came_back, root, send_keyed, tail};
use crate::namespace::Namespace;
use crate::router_process::RouterProcess;

fn jamjet(sequence: i64, kind: Value) -> String {
    json!({"id": format!("j-{sequence}"), "execution_id": "e", "sequence": sequence, "kind": kind,
        "created_at": "2026-01-17T10:30:00Z"})
    .to_string()
}

fn tracked_start(more: Value) -> Value {
    let mut start = json!({"event_type": "workflow.started", "workflow_id": "elsewhere", "tracked": true});
    start.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    start
}

fn node(id: &str, sequence: i64, completed: &Value) -> Vec<String> {
    let mut end = json!({"type": "node_completed", "node_id": id, "output": 1, "duration_ms": 5});
    end.as_object_mut().unwrap().extend(completed.as_object().unwrap().clone());
    vec![
        jamjet(sequence, json!({"type": "node_started", "node_id": id, "worker_id": "w", "attempt": 1})),
        jamjet(sequence + 1, end),
    ]
}

/// J1: every kind goes in and comes out as it was.
#[test]
fn all_kinds_of_jamjet_come_back_as_they_were() {
    let namespace = Namespace::new("jamjet-kinds");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("exec-42", json!({"event_type": "workflow.started", "workflow_id": "counter"}))]);
    namespace.await_events(&["workflow.started"], 1);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/dialects/jamjet");
    let mut documents = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let kind = name.strip_suffix(".json").filter(|name| !name.ends_with(".native"));
        if kind.is_some() {
            let text = fs::read_to_string(&path).unwrap().replace('\n', " ");
            documents.push(text.replacen("00000000c0de", &format!("{:012}", documents.len()), 1));
        }
    }
    assert!(documents.len() >= 44, "{}", documents.len());
    send_keyed(&namespace, "exec-42", &documents);
    namespace.send(&[("exec-42", json!({"event_type": "count.stop"}))]);
    namespace.await_ended(1);
    let events = namespace.events().len();
    assert_came_back(&tail(&namespace, "jamjet", "exec-42", events), &documents);
    assert_eq!(namespace.read(namespace.topics.dead_letters()).len(), 0);
    namespace.verify();
}

/// J3: patches nest, and null takes a member away. C9: a log is kept and changes nothing.
#[test]
fn patches_of_nodes_are_folded_and_a_log_changes_nothing() {
    let namespace = Namespace::new("jamjet-patches");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("e", tracked_start(json!({"payload": {"draft": {"text": "x", "old": 1}}})))]);
    namespace.await_events(&["workflow.started"], 1);
    let first = node("a", 1, &json!({"state_patch": {"draft": {"old": null, "by": {"name": "a"}}}}));
    let second = node("b", 3, &json!({"state_patch": {"draft": {"by": {"at": 1.50}}, "done": true}}));
    send_keyed(&namespace, "e", &[first, second].concat());
    namespace.await_events(&["report.task.success"], 2);
    let before = root(&namespace, "e");
    assert_eq!(*before.data, json!({"draft": {"text": "x", "by": {"name": "a", "at": 1.5}}, "done": true}));
    let log = r#"{"metadata":{"correlation_id":"c","event_id":"log-1","event_timestamp":"2025-05-13T20:00:15Z"},"workflow":{"id":"elsewhere","exec_id":"e"},"payload":{"log_level":"info","message":"hello"},"subject":"compozy.c.log.emitted"}"#;
    send_keyed(&namespace, "e", &[log.to_owned()]);
    namespace.await_events(&["log.emitted"], 1);
    let after = root(&namespace, "e");
    assert_eq!((&after.data, after.status, &after.tracked), (&before.data, before.status, &before.tracked));
    namespace.verify_but(crate::oracle::StillOpen::Any);
}

/// J13, and J9 where the models are called elsewhere.
#[test]
fn a_limit_that_is_hit_elsewhere_or_by_what_was_told_ends_the_execution() {
    let namespace = Namespace::new("jamjet-limits");
    let _router = RouterProcess::start(&namespace, "a");
    let budgets = json!({"budgets": {"execution": {"total_tokens": 500}}});
    namespace.send(&[("e", tracked_start(budgets)), ("s", tracked_start(json!({})))]);
    namespace.await_events(&["workflow.started"], 2);
    let first = node("a", 1, &json!({"input_tokens": 300, "output_tokens": 0, "state_patch": {}}));
    let second = node("b", 3, &json!({"input_tokens": 200, "output_tokens": 50, "state_patch": {}}));
    send_keyed(&namespace, "e", &[first, second].concat());
    let hit =
        json!({"type": "strategy_limit_hit", "limit_type": "max_iterations", "limit_value": 3, "actual_value": 4});
    send_keyed(&namespace, "s", &[jamjet(9, hit).replace(r#""e""#, r#""s""#)]);
    let events = namespace.await_events(&["workflow.limit_exceeded"], 2);
    let exceeded: Vec<Value> =
        events.iter().filter(|event| event.event_type == "token_budget.exceeded").map(Event::payload_value).collect();
    assert_eq!(exceeded, [json!({"kind": "total_tokens", "limit": 500, "current": 550, "node_id": "b"})]);
    assert_eq!(namespace.verify().in_status(WorkflowStatus::LimitExceeded), 2);
}
