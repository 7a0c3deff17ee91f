//! Executions that continue as new, on real Kafka.

use serde_json::json;
use thalweg_core::WorkflowStatus;
use thalweg_core::apply::CONTINUED;
use thalweg_core::records::Records;
use thalweg_runtime::FailPoint;

use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::Signal;

/// Routers are killed on the way; each segment begins once, and the newest boundary on tells all that there is.
#[test]
fn an_execution_continues_as_new_across_kills_and_keeps_its_wait() {
    const ROUNDS: usize = 40;
    let namespace = Namespace::new("segments");
    let cut = [("THALWEG_STEP_MAX_EVENTS", "8")];
    let mut first = RouterProcess::start_doomed(&namespace, "a", (FailPoint::BeforeCommit, 4, Signal::KILL), &cut);
    let start = json!({"event_type": "workflow.started", "workflow_id": "rounds", "payload": {"rounds": ROUNDS}});
    namespace.send(&[("e", start)]);
    first.process.wait_exit(DEADLINE);
    let mut second = RouterProcess::start_doomed(&namespace, "b", (FailPoint::AfterCommit, 3, Signal::KILL), &cut);
    second.process.wait_exit(DEADLINE);
    let _third = RouterProcess::start_with(&namespace, "c", &cut);
    namespace.await_events(&[CONTINUED], ROUNDS - 1);
    namespace.send(&[("e", json!({"event_type": "enough"}))]);
    let events = namespace.await_ended(1);
    let end = events.iter().find(|event| event.event_type == "workflow.completed").unwrap();
    assert_eq!(end.payload_value(), json!({"rounds": ROUNDS, "count": ROUNDS}));
    assert_eq!(namespace.verify().in_status(WorkflowStatus::Success), 1);

    let history = namespace.history("e");
    let boundary = history.iter().rposition(|event| event.event_type == CONTINUED).unwrap();
    let mut folded = Records::default();
    for event in &history[boundary..] {
        folded.fold_event(event).unwrap();
    }
    let context = folded.context.unwrap();
    assert_eq!((context.segment, context.status), (ROUNDS as i32 - 1, WorkflowStatus::Success));
    assert_eq!(context.sequence, history.len() as i64);
}
