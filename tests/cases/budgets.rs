//! Budgets: what is used up is counted, and one event tells that it was too much.

use serde_json::json;

use crate::namespace::Namespace;
use crate::router_process::RouterProcess;

/// J9: 300 then 250 tokens with a limit of 500.
#[test]
fn a_token_budget_is_exceeded_once_and_ends_the_execution() {
    let namespace = Namespace::new("budget");
    let _router = RouterProcess::start(&namespace, "a");
    let budgets = json!({"execution": {"total_tokens": 500}});
    let start = json!({"event_type": "workflow.started", "workflow_id": "metered", "budgets": budgets});
    let called = |tokens: u64| json!({"event_type": "model.called", "payload": {"input_tokens": tokens}});
    namespace.send(&[("e", start), ("e", called(300)), ("e", called(250))]);
    let events = namespace.await_ended(1);
    let exceeded: Vec<_> = events.iter().filter(|event| event.event_type == "token_budget.exceeded").collect();
    let [exceeded] = exceeded[..] else { panic!("told {} times", exceeded.len()) };
    let payload = exceeded.payload_value();
    assert_eq!((&payload["limit"], &payload["current"]), (&json!(500), &json!(550)));
    let last = namespace.history("e").pop().unwrap();
    assert_eq!(last.event_type, "workflow.limit_exceeded");
    namespace.verify();
}

/// The time that an agent's handlings take together is limited.
#[test]
fn an_agent_that_takes_longer_than_it_may_ends_the_execution() {
    let namespace = Namespace::new("budget-time");
    let _router = RouterProcess::start(&namespace, "a");
    let budgets = json!({"agents": {"writer": {"wall_time_ms": 1}}});
    let start = json!({"event_type": "workflow.started", "workflow_id": "author", "budgets": budgets});
    let page = || json!({"event_type": "page.asked"});
    namespace.send(&[("e", start), ("e", page()), ("e", page()), ("e", page())]);
    let events = namespace.await_ended(1);
    let exceeded: Vec<_> = events.iter().filter(|event| event.event_type == "budget.exceeded").collect();
    let [exceeded] = exceeded[..] else { panic!("told {} times", exceeded.len()) };
    let payload = exceeded.payload_value();
    assert_eq!((&payload["kind"], &payload["limit"]), (&json!("wall_time_ms"), &json!(1)));
    namespace.verify();
}
