//! Limits: a chain without end, a step without end, a context that would grow without end.

use serde_json::json;

use crate::namespace::Namespace;
use crate::router_process::RouterProcess;

/// A task that emits its own trigger for ever ends its execution, and holds up nobody.
#[test]
fn an_endless_chain_ends_with_limit_exceeded() {
    let namespace = Namespace::new("endless");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "endless"}))]);
    namespace.await_ended(1);
    namespace.verify();
    let history = namespace.history("e");
    let last = history.last().unwrap();
    assert_eq!(last.event_type, "workflow.limit_exceeded");
    assert_eq!(last.status.as_deref(), Some("LIMIT_EXCEEDED"));
    assert_eq!(history.iter().filter(|event| event.event_type == "again").count(), 1001);
}

/// The rest of a long step waits as `pending` and goes on without input; an input in between joins its end.
#[test]
fn a_long_step_is_cut_and_goes_on_by_itself() {
    let namespace = Namespace::new("cut");
    let router = RouterProcess::start_with(&namespace, "a", &[("THALWEG_STEP_MAX_EVENTS", "10")]);
    router.await_restored(2);
    let start = json!({"event_type": "workflow.started", "workflow_id": "chain", "payload": {"links": 95}});
    namespace.send(&[("e", start)]);
    namespace.await_ended(1);
    namespace.verify();
    let history = namespace.history("e");
    assert_eq!(history.len(), 97);
    let cut = history.iter().flat_map(|event| &event.effects).filter(|effect| effect.kind == "pending_added").count();
    assert_eq!(cut, 9, "10 events a step: 9 cuts in 97 events");
}

/// W11: 10,000 events in one execution, and the context stays small.
#[test]
fn ten_thousand_events_leave_a_small_context() {
    let namespace = Namespace::new("many");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "counter"}))]);
    let ups: Vec<_> =
        (0..10_000).map(|n| ("e", json!({"event_id": format!("up-{n}"), "event_type": "count.up"}))).collect();
    namespace.send(&ups);
    namespace.send(&[("e", json!({"event_type": "count.stop"}))]);
    let events = namespace.await_ended(1);
    let result = events.iter().find(|event| event.event_type == "workflow.completed").unwrap();
    assert_eq!(result.payload_value(), json!(10_000));
    let contexts = namespace.read(namespace.topics.contexts());
    let largest = contexts.iter().map(|read| read.value.as_ref().unwrap().len()).max().unwrap();
    assert!(largest < 10_000, "the largest context record has {largest} bytes");
    namespace.verify();
}
