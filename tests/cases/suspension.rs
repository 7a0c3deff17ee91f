//! A router is halted past its session, others take over, and it wakes up: a zombie must change nothing.

use serde_json::json;

use crate::load::{self, borrowed};
use crate::namespace::Namespace;
use crate::router_process::RouterProcess;
use crate::support::Signal;

const EXECUTIONS: usize = 120;

/// The zombie wakes up with input to handle.
#[test]
fn a_zombie_with_input_to_handle_changes_nothing() {
    let namespace = Namespace::new("zombie-input");
    let mut zombie = RouterProcess::start(&namespace, "a");
    zombie.await_restored(2);
    namespace.send(&borrowed(&load::first_half(EXECUTIONS)));
    namespace.await_ended(1);
    zombie.process.signal(Signal::STOP);
    let successor = RouterProcess::start(&namespace, "b");
    namespace.send(&borrowed(&load::second_half(EXECUTIONS)));
    successor.await_restored(2);
    zombie.process.signal(Signal::CONT);
    namespace.await_ended(EXECUTIONS);
    zombie.await_restored(3);
    namespace.verify();
}

/// The zombie wakes up with internal work alone: a chain that its transactions carry on without any input.
#[test]
fn a_zombie_with_pending_work_changes_nothing() {
    let namespace = Namespace::new("zombie-pending");
    // Two events a step: each link of the chain is a transaction of its own, begun without a poll.
    let environment = [("THALWEG_STEP_MAX_EVENTS", "1")];
    let mut zombie = RouterProcess::start_with(&namespace, "a", &environment);
    zombie.await_restored(2);
    let start = json!({"event_type": "workflow.started", "workflow_id": "chain", "event_id": "s",
        "payload": {"links": 900, "link_ms": 10}});
    namespace.send(&[("long-chain", start)]);
    namespace.await_events(&["link"], 20);
    zombie.process.signal(Signal::STOP);
    let successor = RouterProcess::start_with(&namespace, "b", &environment);
    successor.await_restored(2);
    zombie.process.signal(Signal::CONT);
    namespace.await_ended(1);
    zombie.await_restored(3);
    namespace.verify();
    let history = namespace.history("long-chain");
    assert_eq!(history.iter().filter(|event| event.event_type == "link").count(), 900);
}
