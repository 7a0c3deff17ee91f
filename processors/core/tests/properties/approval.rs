//! People are asked, and decide.

use serde_json::{Value, json};
use thalweg_core::approval::{DECIDED, Interrupt};
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    Event, FanOut, Limits, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, Workflow, WorkflowStatus,
    Workflows, async_trait,
};

use crate::memory_router::MemoryRouter;

/// Asks at the start, or in a branch; pays once when it is approved.
struct Payment([Pattern; 1]);

#[async_trait]
impl Task for Payment {
    fn task_id(&self) -> &str {
        "payment"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let ask = || {
            let tool_name = context.data["tool"].as_str().map(str::to_owned);
            Interrupt { state_for_review: json!({"amount": 900}), tool_name, ..Interrupt::new("it is much") }
        };
        Ok(match event.event_type.as_str() {
            STARTED if context.data["branch"] == true => Outcome::new().fan_out(
                FanOut::new("p").then("p.done").or_else("p.failed").branch("a", NewEvent::command("ask", json!({}))),
            ),
            STARTED | "ask" => Outcome::new().interrupt(ask()),
            DECIDED => Outcome::new().emit(NewEvent::command("pay", context.data["amount"].clone())),
            "pay" => Outcome::new().result(event.payload_value()),
            _ => Outcome::new(),
        })
    }
}

fn asked(data: Value) -> MemoryRouter<'static> {
    let workflow = Workflow::new("pay", "1").task(Payment([Pattern::new("*")]));
    let workflows = Box::leak(Box::new(Workflows::new().with(workflow)));
    let mut router = MemoryRouter::new(workflows, Limits::default());
    router.send("e", 0, &json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "pay", "payload": data}));
    router.commit();
    router
}

fn decide(router: &mut MemoryRouter, offset: i64, payload: Value) {
    router.send("e", offset, &json!({"event_type": DECIDED, "execution_id": "e", "payload": payload}));
    router.drain("e");
    router.commit();
    router.assert_folded("e");
}

fn status(router: &MemoryRouter) -> WorkflowStatus {
    router.contexts.root("e").unwrap().status
}

/// J5.
#[test]
fn an_approval_with_a_patch_dispatches_once() {
    let mut router = asked(json!({"amount": 900}));
    assert_eq!(status(&router), WorkflowStatus::Waiting);
    let raised = router.log("e").published.iter().find(|event| event.event_type == "interrupt.raised").unwrap();
    assert_eq!(raised.channel, "notification-events");
    assert_eq!(raised.payload_value()["state_for_review"], json!({"amount": 900}));
    let yes = json!({"node_id": "payment", "decision": "approved", "user_id": "u", "state_patch": {"amount": 700}});
    decide(&mut router, 1, yes.clone());
    assert_eq!(router.contexts.root("e").unwrap().data["amount"], json!(700));
    decide(&mut router, 2, yes);
    let log = router.log("e");
    let paid: Vec<&Event> = log.published.iter().filter(|event| event.event_type == "pay").collect();
    assert_eq!(paid.len(), 1);
    assert_eq!(paid[0].payload_value(), json!(700), "the task sees the data as they were patched");
    assert_eq!(log.rejected.len(), 1, "nobody waits for a second approval");
}

#[test]
fn a_rejection_fails_the_task_for_good() {
    let mut router = asked(json!({}));
    decide(&mut router, 1, json!({"decision": "rejected", "user_id": "u", "comment": "too much"}));
    assert_eq!(status(&router), WorkflowStatus::Failed);
    let last = router.log("e").published.last().unwrap();
    let error = last.error.as_ref().unwrap();
    assert_eq!((error.code.as_deref(), error.retryable), (Some("APPROVAL_REJECTED"), Some(false)));
    assert_eq!(error.message, "task payment was rejected by u: too much");
    assert!(!router.log("e").types().contains(&"pay"));

    let mut router = asked(json!({"branch": true}));
    decide(&mut router, 1, json!({"decision": "rejected"}));
    let failed = router.log("e").published.iter().find(|event| event.event_type == "p.failed").unwrap();
    assert_eq!(failed.payload_value()["results"]["a"]["result"]["code"], json!("APPROVAL_REJECTED"));
}

#[test]
fn a_tool_is_approved_in_its_branch() {
    let mut router = asked(json!({"branch": true, "tool": "payments.send", "amount": 1}));
    assert!(router.log("e").types().contains(&"tool_approval.required"));
    decide(&mut router, 1, json!({"decision": "approved"}));
    assert!(router.log("e").types().contains(&"p.done"));
}

#[test]
fn what_is_no_decision_is_refused_and_what_nobody_asked_is_rejected() {
    let router = asked(json!({}));
    for payload in
        [json!(null), json!({}), json!({"decision": "maybe"}), json!({"decision": "approved", "state_patch": 5})]
    {
        let text = json!({"event_type": DECIDED, "execution_id": "e", "payload": payload}).to_string();
        assert_eq!(router.read(1, text.as_bytes()).unwrap_err().code.as_str(), "PAYLOAD_INVALID", "{payload}");
    }
    let mut router = asked(json!({}));
    decide(&mut router, 1, json!({"decision": "approved", "node_id": "another"}));
    assert_eq!((router.log("e").rejected.len(), status(&router)), (1, WorkflowStatus::Waiting));
}
