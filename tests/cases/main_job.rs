//! The main job.

use serde_json::json;
use thalweg_core::codec::Schemas;

use crate::namespace::Namespace;
use crate::router_process::RouterProcess;

/// W1: the linear workflow completes, each event once, in order.
#[test]
fn a_linear_workflow_completes() {
    let namespace = Namespace::new("linear");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("e-1", json!({"event_type": "workflow.started", "workflow_id": "linear", "payload": {"x": 1}}))]);
    namespace.await_ended(1);
    let types: Vec<String> = namespace.history("e-1").into_iter().map(|event| event.event_type).collect();
    assert_eq!(types, ["workflow.started", "first.done", "second.done", "workflow.completed"]);
}

/// A schema is registered before its first use, and not again by every router that starts.
#[test]
fn schemas_are_registered_once() {
    let namespace = Namespace::new("registered");
    let first = RouterProcess::start(&namespace, "a");
    first.await_restored(2);
    let registered = namespace.read(namespace.topics.registry()).len();
    let second = RouterProcess::start(&namespace, "b");
    second.await_restored(1);
    assert_eq!(registered, Schemas::to_register().len());
    assert_eq!(namespace.read(namespace.topics.registry()).len(), registered);
}
