//! The main job.

use serde_json::json;

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
