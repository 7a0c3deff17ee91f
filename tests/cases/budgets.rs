//! Budgets: what is used up is counted, and one event tells that it was too much.

use serde_json::{Value, json};
use thalweg_core::{Event, WorkflowStatus};

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

/// Each limit: what is used, at which of the uses it is run into, and what tells it.
#[test]
fn each_limit_is_told_once_and_ends_the_execution_or_asks_someone() {
    let writer = |more: Value| json!({"agents": {"writer": more}});
    let by_writer = |usage: Value| {
        let mut usage = usage;
        usage["agent"] = json!("writer");
        usage
    };
    let cases = [
        // In floats three tenths would be more than 0.3.
        ("cost", json!({"execution": {"cost_usd": "0.3"}}), json!({"cost_usd": "0.1"}), 4, "cost_budget.exceeded"),
        ("tools", json!({"execution": {"tool_calls": 2}}), json!({"tool_calls": 1}), 3, "budget.exceeded"),
        ("rounds", json!({"execution": {"iterations": 1}}), json!({"iterations": 1}), 2, "budget.exceeded"),
        (
            "output",
            json!({"execution": {"output_tokens": 9}}),
            json!({"output_tokens": 10}),
            1,
            "token_budget.exceeded",
        ),
        (
            "agent",
            writer(json!({"input_tokens": 5})),
            by_writer(json!({"input_tokens": 3})),
            2,
            "token_budget.exceeded",
        ),
        (
            "autonomy",
            writer(json!({"autonomy": {"max_tool_calls": 2}})),
            by_writer(json!({"tool_calls": 1})),
            2,
            "autonomy_limit.reached",
        ),
    ];
    let namespace = Namespace::new("budget-limits");
    let _router = RouterProcess::start(&namespace, "a");
    let (mut sent, mut asks) = (Vec::new(), Vec::new());
    for (id, budgets, usage, at, _) in &cases {
        let start = json!({"event_type": "workflow.started", "workflow_id": "metered", "budgets": budgets});
        let called =
            |number: i32| json!({"event_type": "model.called", "event_id": format!("{number}"), "payload": usage});
        sent.push((*id, start));
        sent.extend((0..*at).map(|number| (*id, called(number))));
    }
    // The same of one whom somebody watches: it goes on.
    let mut watched = writer(json!({"autonomy": {"max_tool_calls": 1}, "escalate_to": "supervisor_agent:eve"}));
    watched["execution"] = json!({"tool_calls": 9});
    asks.push(("watched", json!({"event_type": "workflow.started", "workflow_id": "metered", "budgets": watched})));
    asks.push(("watched", json!({"event_type": "model.called", "payload": by_writer(json!({"tool_calls": 1}))})));
    // And an agent that fails twice in a row.
    let fails = |fails: bool| json!({"event_type": "page.asked", "payload": {"fails": fails}});
    let breaker = writer(json!({"consecutive_errors": 2}));
    sent.push(("breaker", json!({"event_type": "workflow.started", "workflow_id": "author", "budgets": breaker})));
    sent.extend([true, false, true, true].map(|failing| ("breaker", fails(failing))));
    namespace.send(&sent);
    namespace.send(&asks);
    namespace.await_ended(cases.len() + 1);
    let events = namespace.await_events(&["escalation.required"], 1);
    let told = |id: &str, event_type: &str| {
        let is_it = |event: &&Event| event.execution_id == id && event.event_type == event_type;
        events.iter().filter(is_it).count()
    };
    for (id, _, _, at, event_type) in &cases {
        assert_eq!(told(id, event_type), 1, "{id}");
        assert_eq!(told(id, "model.called"), *at as usize, "{id}: all were handled, and the last one was too much");
    }
    assert_eq!((told("breaker", "circuit_breaker.tripped"), told("breaker", "page.asked")), (1, 4));
    let escalation = events.iter().find(|event| event.event_type == "escalation.required").unwrap();
    assert_eq!(escalation.payload_value()["escalation_target"], "supervisor_agent:eve");
    assert_eq!(told("watched", "workflow.limit_exceeded"), 0);
    let summary = namespace.verify_but(crate::oracle::StillOpen::Any);
    assert_eq!(summary.in_status(WorkflowStatus::LimitExceeded), cases.len() + 1);
}
