//! Budgets, autonomy limits and breakers.

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::budget::{Budget, Budgets, Usage};
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    Event, Limits, OnFailure, Outcome, Pattern, Task, TaskContext, TaskError, Workflow, WorkflowStatus, Workflows,
    async_trait,
};

use crate::cases;
use crate::memory_router::{MemoryRouter, NOW};

/// An agent that uses what its event says, or fails.
struct Agent([Pattern; 1]);

#[async_trait]
impl Task for Agent {
    fn task_id(&self) -> &str {
        "node"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    fn agent(&self) -> Option<&str> {
        Some("writer")
    }

    fn on_failure(&self) -> OnFailure {
        OnFailure::Report
    }

    async fn handle_event(&self, event: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        let payload = event.payload_value();
        if payload["fails"] == true {
            return Err(TaskError::new("BROKEN", "as planned"));
        }
        let usage: Usage = serde_json::from_value(payload).unwrap();
        Ok(Outcome::new().usage(usage))
    }
}

/// Hears of escalations.
struct Supervisor([Pattern; 1]);

#[async_trait]
impl Task for Supervisor {
    fn task_id(&self) -> &str {
        "supervisor"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        context.data["escalated"] = event.payload_value();
        Ok(Outcome::new())
    }
}

fn workflows(budgets: Budgets) -> Workflows {
    let workflow = Workflow::new("w", "1").budgets(budgets).task(Agent([Pattern::new("work")]));
    Workflows::new().with(workflow.task(Supervisor([Pattern::new("escalation.required")])))
}

/// The budgets of the workflow, those of the start, and what is used event by event: the router when all was handled.
fn worked(budgets: Budgets, given: Value, work: &[Value]) -> MemoryRouter<'static> {
    let workflows = Box::leak(Box::new(workflows(budgets)));
    let mut router = MemoryRouter::new(workflows, Limits::default());
    let mut start = json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "w"});
    if !given.is_null() {
        start["budgets"] = given;
    }
    router.send("e", 0, &start);
    for (offset, payload) in (1..).zip(work) {
        router.send("e", offset, &json!({"event_type": "work", "execution_id": "e", "payload": payload}));
        router.commit();
        router.assert_folded("e");
    }
    router
}

fn status(router: &MemoryRouter) -> WorkflowStatus {
    router.contexts.root("e").unwrap().status
}

fn told(router: &MemoryRouter, event_type: &str) -> Vec<Value> {
    let published = &router.log("e").published;
    published.iter().filter(|event| event.event_type == event_type).map(Event::payload_value).collect()
}

/// J9.
#[test]
fn a_token_budget_is_exceeded_once() {
    let work = [json!({"input_tokens": 300}), json!({"input_tokens": 200}), json!({"output_tokens": 50}), json!({})];
    let router = worked(Budgets::default(), json!({"execution": {"total_tokens": 500}}), &work);
    assert_eq!(status(&router), WorkflowStatus::LimitExceeded);
    let expected = json!({"node_id": "node", "kind": "total_tokens", "limit": 500, "current": 550});
    assert_eq!(told(&router, "token_budget.exceeded"), [expected]);
    assert_eq!(router.log("e").types().last(), Some(&"workflow.limit_exceeded"));
    assert_eq!(router.log("e").rejected.len(), 1, "500 of 500 is within the budget, and 550 is the end");
}

#[test]
fn money_is_counted_exactly() {
    let tenth = json!({"cost_usd": 0.1});
    let budget = |cost: &str| Budgets {
        execution: Budget { cost_usd: Some(cost.parse().unwrap()), ..Budget::default() },
        ..Budgets::default()
    };
    let router = worked(budget("0.3"), Value::Null, &[tenth.clone(), tenth.clone(), tenth.clone()]);
    assert_eq!(status(&router), WorkflowStatus::Running, "three tenths are no more than 0.3");
    let router = worked(budget("0.299999999"), Value::Null, &[tenth.clone(), tenth.clone(), tenth]);
    let expected = json!({"node_id": "node", "limit_usd": "0.299999999", "current_usd": "0.3"});
    assert_eq!(told(&router, "cost_budget.exceeded"), [expected]);
}

#[test]
fn an_autonomy_limit_is_reached_at_its_value_and_escalated_as_configured() {
    let given = json!({"agents": {"writer": {
        "autonomy": {"max_tool_calls": 3}, "escalate_to": "supervisor_agent:boss",
    }}});
    let work = vec![json!({"tool_calls": 2}), json!({"tool_calls": 1}), json!({"tool_calls": 5})];
    let router = worked(Budgets::default(), given, &work);
    assert_eq!(status(&router), WorkflowStatus::Running);
    let reached = json!({"node_id": "node", "agent_ref": "writer", "limit_type": "max_tool_calls", "limit_value": 3,
        "actual_value": 3});
    assert_eq!(told(&router, "autonomy_limit.reached"), [reached]);
    let escalated = json!({"node_id": "node", "agent_ref": "writer", "reason": "autonomy_limit",
        "escalation_target": "supervisor_agent:boss", "limit": "max_tool_calls"});
    assert_eq!(told(&router, "escalation.required"), std::slice::from_ref(&escalated));
    assert_eq!(router.contexts.root("e").unwrap().data["escalated"], escalated, "a task hears of it");
}

#[test]
fn a_breaker_trips_at_so_many_errors_in_a_row() {
    let budgets = || Budgets {
        agents: [("writer".to_owned(), Budget { consecutive_errors: Some(2), ..Budget::default() })].into(),
        ..Budgets::default()
    };
    let (fails, works) = (json!({"fails": true}), json!({}));
    let router = worked(budgets(), Value::Null, &[fails.clone(), works.clone(), fails.clone()]);
    assert_eq!(status(&router), WorkflowStatus::Running, "a success in between counts");
    let router = worked(budgets(), Value::Null, &[fails.clone(), works, fails.clone(), fails]);
    assert_eq!(status(&router), WorkflowStatus::LimitExceeded);
    let expected = json!({"node_id": "node", "agent_ref": "writer", "consecutive_errors": 2, "threshold": 2});
    assert_eq!(told(&router, "circuit_breaker.tripped"), [expected]);
}

#[test]
fn budgets_that_are_none_are_refused() {
    for given in [json!(5), json!({"execution": {"total_tokens": -1}}), json!({"execution": {"tokens": 1}})] {
        let router = worked(Budgets::default(), given, &[]);
        let letters = &router.log("e").dead_letters;
        assert!(letters.len() == 1 && letters[0].message.contains("budgets"), "{letters:?}");
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn what_is_used_adds_up(used in prop::collection::vec((0..100u64, 0..100u64, 0..100u64), 1..12), limit in 1..1000u64) {
        let work: Vec<Value> = used
            .iter()
            .map(|(input, output, cost)| json!({"input_tokens": input, "output_tokens": output, "cost_usd": format!("0.00000000{}", cost % 10)}))
            .collect();
        let router = worked(Budgets::default(), json!({"execution": {"total_tokens": limit}}), &work);
        let mut sum = 0;
        let exceeded = used.iter().map(|(input, output, _)| { sum += input + output; sum }).find(|sum| *sum > limit);
        let told = told(&router, "token_budget.exceeded");
        prop_assert_eq!(told.len(), usize::from(exceeded.is_some()));
        if let Some(current) = exceeded {
            prop_assert_eq!(&told[0]["current"], &json!(current));
        }
        let context = router.contexts.root("e").unwrap();
        prop_assert_eq!(context.used.len(), 2, "the execution, and its agent");
        prop_assert_eq!(context.used[0].cost_nanos, context.used[1].cost_nanos);
    }
}

/// An execution that takes its time.
fn timed<'a>(workflows: &'a Workflows, start: Value) -> MemoryRouter<'a> {
    let mut router = MemoryRouter::new(workflows, Limits::default());
    let mut begin = json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "w"});
    begin["budgets"] = start;
    router.send("e", 0, &begin);
    router.commit();
    router
}

#[test]
fn an_execution_that_takes_longer_than_it_may_ends() {
    let workflows = workflows(Budgets { wall_time_ms: Some(5000), ..Budgets::default() });
    for (given, limit) in [(json!({}), 5000), (json!({"wall_time_ms": 700}), 700)] {
        let mut router = timed(&workflows, given);
        let types = router.log("e").types();
        assert!(types.contains(&"workflow.stalled"), "that its time is limited is nothing to wait for: {types:?}");
        router.pass_until("e", NOW + limit * 1000);
        assert_eq!(router.contexts.root("e").unwrap().status, WorkflowStatus::Running, "as much is not more");
        router.pass_until("e", NOW + limit * 1000 + 1000);
        router.commit();
        router.assert_folded("e");
        assert_eq!(router.contexts.root("e").unwrap().status, WorkflowStatus::LimitExceeded);
        let told = router.log("e").published.iter().find(|event| event.event_type == "budget.exceeded").unwrap();
        let expected = json!({"node_id": "", "kind": "wall_time_ms", "limit": limit, "current": limit + 1});
        assert_eq!(told.payload_value(), expected);
    }
}

#[test]
fn whom_the_budget_names_decides_what_comes_after_the_time() {
    let execution = Budget { escalate_to: Some("human_approval".to_owned()), ..Budget::default() };
    let workflows = workflows(Budgets { execution, wall_time_ms: Some(1000), ..Budgets::default() });
    let mut router = timed(&workflows, json!({}));
    router.pass_until("e", NOW + 10_000_000);
    router.commit();
    router.assert_folded("e");
    let root = router.contexts.root("e").unwrap();
    assert_eq!(
        (root.status, &root.data["escalated"]["limit"]),
        (WorkflowStatus::Running, &json!("budget.wall_time_ms"))
    );
    let told = router.log("e").types().iter().filter(|known| **known == "budget.exceeded").count();
    assert_eq!((told, router.next_due("e")), (1, None));
}
