//! The sample on real Kafka: W3 and W5.

use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::oracle::StillOpen;
use crate::router_process::RouterProcess;

fn claim(claim_data: Value) -> Value {
    json!({"event_type": "workflow.started", "workflow_id": "insurance_claim", "payload": {"claim_data": claim_data}})
}

/// W3: a car claim has 3 branches, a home claim 2 and one not_required.
#[test]
fn a_car_claim_has_three_branches_and_a_home_claim_two() {
    let namespace = Namespace::new("claims");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[
        ("car", claim(json!({"type": "car", "amount": 900, "description": "rear bumper"}))),
        ("home", claim(json!({"type": "home", "amount": 900, "description": "broken window"}))),
    ]);
    namespace.await_ended(2);
    let summary = namespace.verify();
    assert_eq!(summary.joins, 2);
    let car: Vec<String> = namespace.history("car").into_iter().map(|event| event.event_type).collect();
    assert_eq!(
        car,
        [
            "workflow.started",
            "claim.processed",
            "risk.assessment.requested",
            "fraud.detection.requested",
            "vehicle.inspection.requested",
            "risk.assessed",
            "fraud.checked",
            "vehicle.inspected",
            "parallel.processing.completed",
            "validation.completed",
            "workflow.completed",
        ]
    );
    let counts = |id: &str| {
        let history = namespace.history(id);
        let joined = history.iter().find(|event| event.event_type == "parallel.processing.completed").unwrap();
        joined.payload_value()["counts"].clone()
    };
    assert_eq!(counts("car"), json!({"succeeded": 3, "failed": 0, "not_required": 0}));
    assert_eq!(counts("home"), json!({"succeeded": 2, "failed": 0, "not_required": 1}));
}

/// W5: wait and resume keep one correlation id, also where the answer comes with another one or none.
#[test]
fn a_claim_that_waits_resumes_under_the_same_correlation_id() {
    let namespace = Namespace::new("waiting");
    let mut router = RouterProcess::start(&namespace, "a");
    for id in ["none", "other"] {
        let mut start = claim(json!({"type": "home", "description": "no amount given"}));
        start["correlation_id"] = json!(format!("{id}-correlation"));
        namespace.send(&[(id, start)]);
    }
    namespace.await_events(&["user.input.required"], 2);
    namespace.verify_but(StillOpen::Waiting);
    // The router that resumes them is another one than asked.
    router.process.signal(crate::support::Signal::TERM);
    assert!(router.process.wait_exit(crate::namespace::DEADLINE).success());
    let _router = RouterProcess::start(&namespace, "b");
    let answer = json!({"event_type": "user.input.provided", "payload": {"additional_info": {"amount": 700}}});
    let mut other = answer.clone();
    other["correlation_id"] = json!("another one");
    namespace.send(&[("none", answer), ("other", other)]);
    namespace.await_ended(2);
    namespace.verify();
    for id in ["none", "other"] {
        let history = namespace.history(id);
        let wanted = format!("{id}-correlation");
        assert!(history.iter().all(|event| event.correlation_id.as_deref() == Some(&wanted)), "{id}");
        assert_eq!(history.last().unwrap().event_type, "workflow.completed");
        assert!(history.iter().any(|event| event.status.as_deref() == Some("SUCCESS")));
    }
    let resumed = namespace.history("other").into_iter().find(|e| e.event_type == "user.input.provided").unwrap();
    assert_eq!(resumed.ext["correlation_id"].value(), json!("another one"), "what the sender said is kept");
}
