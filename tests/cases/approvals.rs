//! People decide what a task asks them.

use serde_json::json;

use crate::command_line::{Thalweg, assert_lines};
use crate::namespace::Namespace;
use crate::router_process::RouterProcess;

/// J5: an approval with a patch dispatches once; a rejection fails the task.
#[test]
fn an_approval_dispatches_once_and_a_rejection_fails() {
    let namespace = Namespace::with("approvals", |_| {});
    let thalweg = Thalweg::of(&namespace);
    let _router = RouterProcess::start(&namespace, "a");
    let start = json!({"event_type": "workflow.started", "workflow_id": "payment", "payload": {"amount": 900}});
    namespace.send(&[("e", start.clone()), ("f", start)]);
    namespace.await_events(&["interrupt.raised"], 2);
    let table = thalweg.table(&["approve", "e", "--user", "ann", "--patch", r#"{"amount": 700}"#]);
    assert_lines(&table, &["EXECUTION  e", "DECISION   approved"]);
    thalweg.run(&["approve", "e"]).expect(1).names("TRANSITION_REJECTED");
    thalweg.run(&["approve", "f", "--reject", "--comment", "too much"]).expect(0);
    thalweg.run(&["approve", "nobody"]).expect(3).names("EXECUTION_UNKNOWN");
    namespace.await_ended(2);
    // The topics were read one after the other: now all of them have what led to the ends.
    let events = namespace.events();
    let paid: Vec<_> = events.iter().filter(|event| event.event_type == "payment.requested").collect();
    let [paid] = paid[..] else { panic!("paid {} times", paid.len()) };
    assert_eq!((paid.execution_id.as_str(), paid.payload_value()), ("e", json!(700)));
    let last = namespace.history("f").pop().unwrap();
    let error = last.error.unwrap();
    assert_eq!((error.code.as_deref(), error.retryable), (Some("APPROVAL_REJECTED"), Some(false)));
    namespace.verify();
}

/// The use of a tool is allowed by people, too.
#[test]
fn a_tool_is_approved() {
    let namespace = Namespace::new("tool-approval");
    let thalweg = Thalweg::of(&namespace);
    let _router = RouterProcess::start(&namespace, "a");
    let payload = json!({"amount": 900, "tool": "wire"});
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "payment", "payload": payload}))]);
    let asked = namespace.await_events(&["tool_approval.required"], 1);
    let asked = asked.iter().find(|event| event.event_type == "tool_approval.required").unwrap();
    assert_eq!((asked.channel.as_str(), &asked.payload_value()["tool_name"]), ("notification-events", &json!("wire")));
    thalweg.run(&["approve", "e", "--user", "ann"]).expect(0);
    let events = namespace.await_ended(1);
    assert!(events.iter().any(|event| event.event_type == "payment.requested"));
    namespace.verify();
}
