//! The sample, driven by the pure step: no Kafka.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::task::{Context, Poll, Waker};

use claims::{ExampleKind, WORKFLOW_ID, example, workflow};
use serde_json::{Value, json};
use thalweg_core::apply::{Action, DeadLetter, Step, drive};
use thalweg_core::codec::Schemas;
use thalweg_core::inbound::{self, InboxRecord, Reading, STARTED};
use thalweg_core::task::{TaskCall, TaskRun};
use thalweg_core::{EmptyStore, ErrorCode, Event, Execution, Limits, WorkflowStatus, Workflows};

/// One execution of the sample, with what it published and what it dead-lettered.
struct Claim {
    workflows: Workflows,
    schemas: Schemas,
    execution: Execution,
    inputs: i64,
    published: Vec<Event>,
    dead_letters: Vec<DeadLetter>,
}

impl Claim {
    fn started_with(payload: Value) -> Claim {
        let mut claim = Claim {
            workflows: Workflows::new().with(workflow()),
            schemas: Schemas::new().unwrap(),
            execution: Execution::unknown("claim-1"),
            inputs: 0,
            published: Vec::new(),
            dead_letters: Vec::new(),
        };
        claim.send(json!({
            "event_type": STARTED, "workflow_id": WORKFLOW_ID, "correlation_id": "customer-7", "payload": payload,
        }));
        claim
    }

    fn send(&mut self, event: Value) {
        let value = event.to_string();
        let record = InboxRecord {
            topic: "inbox",
            partition: 0,
            offset: self.inputs,
            timestamp: 1,
            key: Some(b"claim-1"),
            value: Some(value.as_bytes()),
            origin: None,
            redrive: 0,
            headers: &[],
        };
        self.inputs += 1;
        let limits = Limits::default();
        let Reading::Event(inbound) = inbound::read(&record, 1, &self.schemas, &limits).unwrap() else {
            panic!("one partition has every execution");
        };
        let step = Step { now: 1, workflows: &self.workflows, limits: &limits, store: &EmptyStore };
        for action in drive(&mut self.execution, Some(*inbound), &step, &mut run, &mut || false) {
            match action {
                Action::Publish(event, _) => self.published.push((*event).clone()),
                Action::DeadLetter(letter) => self.dead_letters.push(*letter),
                _ => {}
            }
        }
    }

    fn types(&self) -> Vec<&str> {
        self.published.iter().map(|event| event.event_type.as_str()).collect()
    }

    fn event(&self, event_type: &str) -> &Event {
        self.published.iter().find(|event| event.event_type == event_type).unwrap()
    }

    fn status(&self) -> WorkflowStatus {
        self.execution.context().unwrap().status
    }

    fn data(&self) -> &Value {
        &self.execution.context().unwrap().data
    }
}

/// The tasks of the sample await nothing that takes time.
fn run(call: TaskCall) -> TaskRun {
    let TaskCall { task, event, mut context } = call;
    let mut handling = task.handle_event(&event, &mut context);
    let polled = handling.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(handling);
    let Poll::Ready(result) = polled else { panic!("{} waits", task.task_id()) };
    TaskRun { result: result.map(|outcome| (outcome, context.data)).map_err(Into::into), duration_ms: 0.0 }
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
    assert_eq!(claim.published.len(), 9);
    let joined = claim.event("parallel.processing.completed").payload_value();
    assert_eq!(joined["counts"], json!({"succeeded": 2, "failed": 0, "not_required": 1}));
    assert_eq!(joined["results"]["vehicle_inspection"], json!({"status": "NOT_REQUIRED"}));
    assert_eq!(claim.status(), WorkflowStatus::Success);
}

#[test]
fn a_claim_in_words_is_read() {
    let claim = Claim::started_with(json!({"claim_data": "A truck hit my car; the repair costs $4,200."}));
    assert_eq!(claim.published.len(), 11);
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
    assert!(claim.published.iter().all(|event| event.correlation_id.as_deref() == Some("customer-7")));
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
        let [letter] = claim.dead_letters.as_slice() else { panic!("one dead letter: {:?}", claim.dead_letters) };
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
