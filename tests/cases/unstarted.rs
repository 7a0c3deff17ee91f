//! Events that come before their execution starts, on real Kafka.

use serde_json::{Value, json};
use thalweg_core::WorkflowStatus;

use crate::namespace::{DEADLINE, Namespace, Read};
use crate::router_process::RouterProcess;
use crate::support::{Signal, eventually_observed};

/// How long they are kept.
const TTL: &str = "THALWEG_EARLY_START_TTL_MS";

fn up(number: u64) -> Value {
    json!({"event_type": "count.up", "event_id": format!("up-{number}")})
}

fn start() -> Value {
    json!({"event_type": "workflow.started", "workflow_id": "counter"})
}

fn result(namespace: &Namespace) -> Value {
    let events = namespace.await_ended(1);
    events.iter().find(|event| event.event_type == "workflow.completed").unwrap().payload_value()
}

fn newest_root(namespace: &Namespace, id: &str) -> Option<Read> {
    let records = namespace.read(namespace.topics.contexts());
    records.into_iter().rfind(|record| record.key.as_deref() == Some(id.as_bytes()))
}

/// The router that kept them is killed; another one has them when the start comes.
#[test]
fn what_comes_before_its_start_is_handled_once_after_it() {
    let namespace = Namespace::new("unstarted");
    let mut first = RouterProcess::start_with(&namespace, "a", &[(TTL, "60000")]);
    namespace.send(&[("e", up(1)), ("e", up(2)), ("e", up(1))]);
    eventually_observed(DEADLINE, "the events to be kept", || newest_root(&namespace, "e").map(drop).ok_or(0));
    namespace.await_drained();
    first.process.signal(Signal::KILL);
    first.process.wait_exit(DEADLINE);
    let _second = RouterProcess::start_with(&namespace, "b", &[(TTL, "60000")]);
    namespace.send(&[("e", start()), ("e", up(2)), ("e", up(3)), ("e", json!({"event_type": "count.stop"}))]);
    assert_eq!(result(&namespace), 3);
    assert_eq!(namespace.read(namespace.topics.dead_letters()).len(), 0);
    assert_eq!(namespace.verify().in_status(WorkflowStatus::Success), 1);
}

/// Without a start in time they are dead letters, as they came, nothing else stays, and they can be redriven.
#[test]
fn what_no_start_follows_becomes_a_dead_letter_as_it_came() {
    let namespace = Namespace::new("unstarted-late");
    let mut first = RouterProcess::start_with(&namespace, "a", &[(TTL, "1500")]);
    let original = br#"{ "event_type" : "count.up" }"#.to_vec();
    namespace.send_raw(&[(Some("e"), original.clone())], &[("note", "kept")]);
    eventually_observed(DEADLINE, "the event to be kept", || newest_root(&namespace, "e").map(drop).ok_or(0));
    // Who finds it when its time is over has not seen it come.
    first.process.signal(Signal::KILL);
    first.process.wait_exit(DEADLINE);
    let _second = RouterProcess::start_with(&namespace, "b", &[(TTL, "1500")]);
    let letter = eventually_observed(DEADLINE, "a dead letter", || {
        namespace.read(namespace.topics.dead_letters()).pop().ok_or("none")
    });
    assert_eq!(letter.headers["code"], "EXECUTION_UNKNOWN");
    assert_eq!((letter.value, letter.headers["note"].as_str()), (Some(original), "kept"));
    assert_eq!(letter.headers["origin"], letter.headers["input"]);
    assert_eq!(newest_root(&namespace, "e").unwrap().value, None, "a tombstone");
    namespace.send(&[("e", start()), ("e", up(2)), ("e", json!({"event_type": "count.stop"}))]);
    assert_eq!(result(&namespace), 1);
    namespace.verify();
}
