//! Executions that start others, on whatever partition those are.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use thalweg_core::Event;
use thalweg_core::child::COMPLETED;
use thalweg_runtime::FailPoint;

use crate::command_line::Thalweg;
use crate::load::borrowed;
use crate::namespace::{DEADLINE, Namespace};
use crate::oracle::StillOpen;
use crate::router_process::RouterProcess;
use crate::support::Signal;

fn travel(data: &Value) -> Value {
    json!({"event_type": "workflow.started", "workflow_id": "travel", "payload": data})
}

fn ends<'a>(events: &'a [Event], workflow: &str) -> Vec<&'a Event> {
    let ends = ["workflow.completed", "workflow.failed", "workflow.canceled"];
    let is_end = |event: &&Event| ends.contains(&event.event_type.as_str());
    events.iter().filter(is_end).filter(|event| event.workflow_id.as_deref() == Some(workflow)).collect()
}

#[test]
fn children_on_all_partitions_come_back_with_their_results() {
    let namespace = Namespace::new("children");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("t", travel(&json!({"legs": 9})))]);
    let events = namespace.await_ended(10);
    let ended = ends(&events, "travel");
    assert_eq!(ended[0].payload_value(), json!(36), "the sum of 0 to 8");
    let partitions: BTreeSet<i32> =
        ends(&events, "booking").iter().map(|event| namespace.partition(&event.execution_id)).collect();
    assert!(partitions.len() > 1, "{partitions:?}");
    namespace.verify();
    let history = namespace.history("t");
    assert_eq!(history.iter().filter(|event| event.event_type == COMPLETED).count(), 9);
}

#[test]
fn a_failure_and_a_cancel_go_up_and_down() {
    let namespace = Namespace::new("children-end");
    let thalweg = Thalweg::of(&namespace);
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[
        ("fails", travel(&json!({"legs": 1, "leg": {"fails": true}}))),
        ("unknown", travel(&json!({"legs": 1, "workflow": "nowhere"}))),
        ("cancel", travel(&json!({"legs": 2, "leg": {"waits": true}}))),
        ("abandon", travel(&json!({"legs": 1, "leg": {"waits": true}, "policy": "abandon"}))),
    ]);
    namespace.await_events(&["workflow.started"], 8);
    namespace.await_ended(3);
    let waiting = thalweg.table(&["get", "abandon"]);
    assert!(waiting.contains("CHILDREN"), "{waiting}");
    for id in ["cancel", "abandon"] {
        thalweg.json(&["cancel", id]);
    }
    let events = namespace.await_ended(7);
    let status = |id: &str| {
        let end = ends(&events, "travel").into_iter().find(|event| event.execution_id == id).unwrap();
        (end.status.clone().unwrap(), end.error.as_ref().and_then(|error| error.code.clone()))
    };
    assert_eq!(status("fails"), ("FAILED".to_owned(), Some("CHILD_FAILED".to_owned())));
    assert_eq!(status("unknown"), ("FAILED".to_owned(), Some("CHILD_FAILED".to_owned())));
    assert_eq!((status("cancel").0, status("abandon").0), ("CANCELED".to_owned(), "CANCELED".to_owned()));
    let canceled = ends(&events, "booking").iter().filter(|event| event.status.as_deref() == Some("CANCELED")).count();
    assert_eq!(canceled, 2, "the child that was abandoned goes on");
    namespace.verify_but(StillOpen::Any);
}

/// The router dies while it has starts and ends of children in hand; whoever takes over makes the same of them, once.
fn kill_at(point: FailPoint, successor: &str) {
    const PARENTS: usize = 24;
    let namespace = Namespace::new(&format!("children-{point:?}").to_lowercase());
    let starts: Vec<(String, Value)> =
        (0..PARENTS).map(|number| (format!("t{number}"), travel(&json!({"legs": 4})))).collect();
    namespace.send(&borrowed(&starts));
    let mut doomed =
        RouterProcess::start_doomed(&namespace, "a", (point, 3, Signal::KILL), &[("THALWEG_BATCH_MAX_RECORDS", "10")]);
    doomed.process.wait_exit(DEADLINE);
    let _successor = RouterProcess::start(&namespace, successor);
    let events = namespace.await_ended(PARENTS * 5);
    assert_eq!((ends(&events, "travel").len(), ends(&events, "booking").len()), (PARENTS, PARENTS * 4));
    assert!(ends(&events, "travel").iter().all(|end| end.payload_value() == json!(6)));
    namespace.verify();
}

#[test]
fn a_kill_before_the_commit() {
    kill_at(FailPoint::BeforeCommit, "b");
}

#[test]
fn a_kill_after_the_commit() {
    kill_at(FailPoint::AfterCommit, "a");
}
