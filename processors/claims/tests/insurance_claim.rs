//! The sample without Kafka.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use claims::{ExampleKind, WORKFLOW_ID, example, workflow};
use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::{ErrorCode, Event, WorkflowStatus};
use thalweg_testkit::{SeenExecution, TestKit};

/// One execution of the sample.
struct Claim {
    kit: TestKit,
    seen: SeenExecution,
}

impl Claim {
    fn started_with(payload: Value) -> Claim {
        let kit = TestKit::new(workflow());
        let mut claim = Claim { seen: kit.execution("claim-1"), kit };
        claim.send(json!({
            "event_type": STARTED, "workflow_id": WORKFLOW_ID, "correlation_id": "customer-7", "payload": payload,
        }));
        claim
    }

    fn send(&mut self, event: Value) {
        self.kit.send("claim-1", event).unwrap();
        self.seen = self.kit.execution("claim-1");
    }

    fn types(&self) -> Vec<&str> {
        self.seen.types()
    }

    fn event(&self, event_type: &str) -> &Event {
        self.seen.event(event_type).unwrap()
    }

    fn status(&self) -> WorkflowStatus {
        self.seen.status().unwrap()
    }

    fn data(&self) -> Value {
        self.seen.data()
    }
}

#[test]
fn a_car_claim_is_eleven_events() {
    let claim = Claim::started_with(example(ExampleKind::Car, 0));
    assert_eq!(
        claim.types(),
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
    let joined = claim.event("parallel.processing.completed").payload_value();
    assert_eq!(joined["counts"], json!({"succeeded": 3, "failed": 0, "not_required": 0}));
    let completed = claim.event("workflow.completed").payload_value();
    assert_eq!(completed["decision"], "approved");
    assert_eq!(completed["amount"], 250);
    assert_eq!((claim.status(), &claim.data()["decision"]), (WorkflowStatus::Success, &json!("approved")));
    assert_eq!(claim.data()["claim_type"], "car");
}

#[test]
fn a_home_claim_needs_no_vehicle_inspection() {
    let claim = Claim::started_with(example(ExampleKind::Home, 3));
    assert_eq!(claim.types().len(), 9);
    let joined = claim.event("parallel.processing.completed").payload_value();
    assert_eq!(joined["counts"], json!({"succeeded": 2, "failed": 0, "not_required": 1}));
    assert_eq!(joined["results"]["vehicle_inspection"], json!({"status": "NOT_REQUIRED"}));
    assert_eq!(claim.status(), WorkflowStatus::Success);
}

#[test]
fn a_claim_in_words_is_read() {
    let claim = Claim::started_with(json!({"claim_data": "A truck hit my car; the repair costs $4,200."}));
    assert_eq!(claim.types().len(), 11);
    assert_eq!(claim.event("workflow.completed").payload_value()["amount"], 4200);
}

#[test]
fn a_claim_without_an_amount_waits_and_goes_on_under_the_same_correlation_id() {
    let mut claim = Claim::started_with(example(ExampleKind::Incomplete, 1));
    assert_eq!(claim.status(), WorkflowStatus::Waiting);
    let required = claim.event("user.input.required");
    assert_eq!(required.channel, "notification-events");
    assert_eq!(required.payload_value()["required_fields"], json!(["amount"]));
    assert_eq!(claim.data()["waiting_for"], json!(["amount"]));

    claim.send(json!({
        "event_type": "user.input.provided", "correlation_id": "another",
        "payload": {"additional_info": {"amount": 900, "supporting_documents": ["receipt.pdf"]}},
    }));
    assert_eq!(claim.status(), WorkflowStatus::Success);
    assert_eq!(
        claim.types()[claim.types().len() - 5..],
        [
            "user.input.required",
            "user.input.provided",
            "information.received",
            "validation.completed",
            "workflow.completed"
        ]
    );
    assert!(claim.seen.events().iter().all(|event| event.correlation_id.as_deref() == Some("customer-7")));
    assert_eq!(claim.event("workflow.completed").payload_value()["amount"], 900);
    assert_eq!(claim.data().get("waiting_for"), None);
    assert_eq!(claim.data()["processed_claim"]["supporting_documents"], json!(["receipt.pdf"]));
}

#[test]
fn a_large_claim_waits_for_documents() {
    let mut claim = Claim::started_with(json!({"claim_data": {"type": "home", "amount": 12_000}}));
    assert_eq!(claim.status(), WorkflowStatus::Waiting);
    claim.send(json!({"event_type": "user.input.provided", "payload": {"supporting_documents": "expert opinion"}}));
    let completed = claim.event("workflow.completed").payload_value();
    assert_eq!((&completed["decision"], &completed["amount"]), (&json!("approved"), &json!(12_000)));
}

#[test]
fn an_answer_without_content_is_asked_for_again_and_one_without_the_amount_is_referred() {
    let mut claim = Claim::started_with(example(ExampleKind::Incomplete, 0));
    claim.send(json!({"event_type": "user.input.provided", "payload": {"additional_info": " "}}));
    assert_eq!(claim.status(), WorkflowStatus::Waiting);
    assert_eq!(claim.data()["waiting_for"], json!(["amount"]));
    claim.send(json!({"event_type": "user.input.provided", "payload": {"additional_info": "I do not know"}}));
    assert_eq!(claim.event("workflow.completed").payload_value()["decision"], "referred");
}

#[test]
fn bad_claim_data_fails_with_a_dead_letter() {
    for (payload, task_code) in [
        (json!({}), "CLAIM_DATA_MISSING"),
        (json!({"claim_data": ""}), "CLAIM_DATA_UNREADABLE"),
        (json!({"claim_data": 7}), "CLAIM_DATA_INVALID"),
    ] {
        let claim = Claim::started_with(payload);
        assert_eq!(claim.types(), ["workflow.started", "task.failed", "system.error", "workflow.failed"]);
        assert_eq!(claim.status(), WorkflowStatus::Failed);
        let [letter] = claim.seen.dead_letters() else { panic!("one dead letter: {:?}", claim.seen.dead_letters()) };
        assert_eq!(letter.code, ErrorCode::TaskFailed);
        assert!(letter.message.contains("claim_data"), "{}", letter.message);
        assert_eq!(letter.task_id.as_deref(), Some("claim_processor"));
        let error = claim.event("workflow.failed").error.clone().unwrap();
        assert_eq!(error.exception_type.as_deref(), Some(task_code));
    }
}

#[test]
fn every_example_runs_to_its_end() {
    for number in 0..200 {
        for kind in ExampleKind::ALL {
            let claim = Claim::started_with(example(kind, number));
            let expected = match kind {
                ExampleKind::Car | ExampleKind::Home => WorkflowStatus::Success,
                ExampleKind::Incomplete => WorkflowStatus::Waiting,
            };
            assert_eq!(claim.status(), expected, "{kind:?} {number}");
            assert_eq!(example(kind, number), example(kind, number));
        }
    }
}

#[test]
fn its_history_is_a_tree() {
    let claim = Claim::started_with(example(ExampleKind::Car, 0));
    let tree = "\
workflow.started  [claim_processor]
claim.processed  [assessment]
├─ risk_assessment
│  risk.assessment.requested  [risk_assessment]
│  risk.assessed
├─ fraud_detection
│  fraud.detection.requested  [fraud_detection]
│  fraud.checked
└─ vehicle_inspection
   vehicle.inspection.requested  [vehicle_inspection]
   vehicle.inspected
parallel.processing.completed  [claim_validator]  JOINED
validation.completed  [claim_decision]
workflow.completed  SUCCESS";
    assert_eq!(claim.seen.history(), tree);
}
