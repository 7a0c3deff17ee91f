//! Plans whose tasks are worked on elsewhere, and calls of tools.

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::apply::Notice;
use thalweg_core::context::PlanProgress;
use thalweg_core::{Limits, Workflows};

use crate::memory_router::MemoryRouter;

fn start() -> Value {
    json!({"event_id": "start", "event_type": "workflow.started", "execution_id": "e", "workflow_id": "elsewhere",
        "tracked": true})
}

/// A Soorma envelope about a task, or on plan-events about the plan.
fn envelope(id: &str, event_type: &str, topic: &str, data: &Value) -> Value {
    json!({"id": id, "event_type": event_type, "topic": topic, "correlation_id": "e", "plan_id": "p", "data": data,
        "timestamp": "2026-01-17T10:30:00Z"})
}

fn task(id: &str, event_type: &str, task: &str) -> Value {
    envelope(id, event_type, "task-events", &json!({"task_id": task}))
}

fn play(documents: &[Value]) -> MemoryRouter<'static> {
    static NONE: std::sync::LazyLock<Workflows> = std::sync::LazyLock::new(Workflows::new);
    let mut router = MemoryRouter::new(&NONE, Limits::default());
    for (offset, document) in (0..).zip(documents) {
        router.send("e", offset, document);
        router.commit();
        router.assert_folded("e");
    }
    router
}

fn progress(router: &MemoryRouter) -> PlanProgress {
    let plans = router.contexts.root("e").unwrap().plans();
    assert_eq!(plans.len(), 1);
    plans[0].clone()
}

fn counts(total: usize, done: usize, failed: usize, open: usize) -> PlanProgress {
    PlanProgress { plan_id: "p".to_owned(), total, done, failed, open }
}

/// S9.
#[test]
fn a_plan_of_four_tasks_counts_what_has_become_of_each() {
    let plan =
        envelope("0", "plan.created", "plan-events", &json!({"tasks": ["a", {"task_id": "b"}, {"id": "c"}, "d"]}));
    let router = play(&[
        start(),
        plan.clone(),
        task("1", "task.started", "a"),
        task("2", "task.completed", "a"),
        task("3", "task.started", "b"),
        task("4", "task.started", "c"),
        task("5", "task.failed", "c"),
        // Once more, and too late.
        task("2", "task.completed", "a"),
        task("6", "task.started", "a"),
        plan,
        task("7", "task.completed", "b"),
    ]);
    assert_eq!(progress(&router), counts(4, 2, 1, 1));
    let log = router.log("e");
    let told: Vec<Value> =
        log.published.iter().filter(|event| event.event_type == "plan.progressed").map(|e| e.payload_value()).collect();
    assert_eq!(told.len(), 4, "when it begins, and whenever it gets on: {told:?}");
    assert_eq!(told[3], json!({"plan_id": "p", "total": 4, "done": 2, "failed": 1, "open": 1}));
    assert_eq!((log.duplicates, log.rejected.len()), (2, 1));
}

/// D5.
/// The plan of a strategy is its execution's own, and its nodes name no plan.
#[test]
fn a_plan_that_a_strategy_makes_is_counted_by_its_nodes() {
    let jamjet = |sequence: i64, kind: Value| {
        json!({"id": format!("j-{sequence}"), "execution_id": "e", "sequence": sequence, "kind": kind,
            "created_at": "2026-01-17T10:30:00Z"})
    };
    let node = |sequence, kind: &str, node: &str, more: Value| {
        let mut kind = json!({"type": kind, "node_id": node});
        kind.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jamjet(sequence, kind)
    };
    let completed = json!({"output": 1, "state_patch": {}, "duration_ms": 1});
    let failed = json!({"error": "no", "attempt": 1, "retryable": false});
    let started = json!({"worker_id": "w", "attempt": 1});
    let router = play(&[
        start(),
        jamjet(1, json!({"type": "plan_generated", "steps": ["search", "read", "write"]})),
        node(2, "node_started", "search", started.clone()),
        node(3, "node_completed", "search", completed),
        node(4, "node_started", "read", started),
        node(5, "node_failed", "read", failed),
    ]);
    let context = router.contexts.root("e").unwrap();
    assert_eq!(context.plans(), [PlanProgress { plan_id: "e".to_owned(), ..counts(3, 1, 1, 1) }]);
    let told = router.log("e").published.iter().filter(|event| event.event_type == "plan.progressed");
    let told: Vec<(Value, Value)> =
        told.map(|event| event.payload_value()).map(|told| (told["done"].clone(), told["failed"].clone())).collect();
    assert_eq!(told, [(json!(0), json!(0)), (json!(1), json!(0)), (json!(1), json!(1))]);
}

#[test]
fn a_tool_s_result_is_paired_with_its_call_and_an_orphan_is_counted() {
    let tool = |id: &str, event_type: &str, name: &str| {
        json!({"event_type": event_type, "source_id": "a", "event_id": id, "correlation_id": "e", "timestamp": 1.5,
            "data": {"tool_name": name}})
    };
    let router = play(&[
        start(),
        tool("1", "TOOL_CALL", "grep"),
        tool("2", "TOOL_CALL", "sed"),
        tool("3", "TOOL_RESULT", "grep"),
        tool("4", "TOOL_RESULT", "grep"),
        tool("5", "TOOL_RESULT", "awk"),
    ]);
    let orphans = router.log("e").notices.iter().filter(|notice| **notice == Notice::OrphanResult).count();
    assert_eq!((orphans, router.contexts.root("e").unwrap().tool_calls.len()), (2, 1));
    assert_eq!(router.log("e").rejected.len(), 0, "an orphan is kept");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, how often, in whatever order: what is counted is what the tasks came to.
    #[test]
    fn counts_are_those_of_the_tasks(
        events in prop::collection::vec((0usize..4, 0usize..5, any::<bool>()), 0..30),
    ) {
        let kinds = ["task.dispatched", "task.started", "task.completed", "task.failed", "task.cancelled"];
        let mut documents = vec![start()];
        for (number, (of, kind, twice)) in events.into_iter().enumerate() {
            let document = task(&number.to_string(), kinds[kind], &format!("t{of}"));
            documents.extend(std::iter::repeat_n(document, 1 + usize::from(twice)));
        }
        let router = play(&documents);
        let root = router.contexts.root("e").unwrap();
        let plans = root.plans();
        let tasks = root.tracked.unwrap();
        prop_assert_eq!(plans.len(), usize::from(!tasks.is_empty()));
        if let Some(plan) = plans.first() {
            prop_assert_eq!((plan.total, plan.done + plan.failed + plan.open), (tasks.len(), tasks.len()));
            let told = router.log("e").published.iter().rev().find(|event| event.event_type == "plan.progressed");
            prop_assert_eq!(told.unwrap().payload_value(), json!(plan));
        }
    }
}
