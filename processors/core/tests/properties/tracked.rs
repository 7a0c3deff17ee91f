//! Executions whose work is done elsewhere: what is reported moves the state by the tables, and by nothing else.

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::apply::{TASK_TABLE, WORKFLOW_TABLE};
use thalweg_core::{Event, Limits, ReportedStatus, WorkflowStatus, Workflows};

use crate::cases;
use crate::memory_router::{Log, MemoryRouter};

/// Plays documents for execution `e`; each transaction ends after its document.
fn play(documents: &[Value]) -> (Log, Option<thalweg_core::context::Context>) {
    let workflows = Workflows::new();
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    for (offset, document) in (0..).zip(documents) {
        router.send("e", offset, document);
        router.assert_folded("e");
        router.commit();
        router.assert_folded("e");
    }
    (router.log("e").clone(), router.contexts.root("e"))
}

fn tracked_start() -> Value {
    json!({"event_id": "start", "event_type": "workflow.started", "execution_id": "e", "workflow_id": "elsewhere",
        "tracked": true, "payload": {"n": 1}})
}

fn compozy(id: &str, section: &str, name: &str, payload: Value) -> Value {
    json!({
        "metadata": {"correlation_id": "c", "event_id": id, "event_timestamp": "2025-05-13T20:00:15Z"},
        "workflow": {"id": "onboarding", "exec_id": "e"}, section: {"id": "mail", "exec_id": "mail-1"},
        "payload": payload, "subject": format!("compozy.c.{name}"),
    })
}

fn dreamos(id: &str, event_type: &str, data: Value) -> Value {
    let mut data = data;
    data["task_id"] = json!("t");
    json!({"event_type": event_type, "source_id": "a", "event_id": id, "correlation_id": "e", "timestamp": 1.5, "data": data})
}

fn jamjet(sequence: i64, kind: Value) -> Value {
    json!({"id": format!("j-{sequence}"), "execution_id": "e", "sequence": sequence, "kind": kind,
        "created_at": "2026-01-17T10:30:00Z"})
}

fn status_of(log: &Log, id: &str) -> ReportedStatus {
    let context = log.folded.context.as_ref().unwrap();
    context.tracked.iter().flatten().find(|task| task.task_id == id).unwrap().status
}

fn types(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.event_type.as_str()).collect()
}

/// C3: started to success, with output and duration.
#[test]
fn compozy_s_own_started_event_opens_an_execution_and_its_success_ends_it() {
    let (log, root) = play(&[
        compozy("1", "x", "workflow.evts.e.started", json!({"status": "RUNNING", "context": {"input": {"mail": "a"}}})),
        compozy("2", "task", "task.evts.mail-1.dispatched", json!({"status": "PENDING"})),
        compozy("3", "task", "task.evts.mail-1.started", json!({"status": "RUNNING"})),
        compozy("4", "task", "task.evts.mail-1.success", json!({"status": "SUCCESS", "duration_ms": 12})),
        compozy(
            "5",
            "x",
            "workflow.evts.e.success",
            json!({"status": "SUCCESS", "result": {"output": {"sent": true}}, "duration_ms": 34.5}),
        ),
    ]);
    assert_eq!(log.rejected.len(), 0, "{:?}", log.rejected);
    let end = log.published.last().unwrap();
    assert_eq!((end.event_type.as_str(), end.payload_value()), ("workflow.completed", json!({"sent": true})));
    assert_eq!(log.published[4].duration_ms, Some(34.5));
    let root = root.unwrap();
    assert_eq!((root.status, &*root.data), (WorkflowStatus::Success, &json!({"mail": "a"})));
    assert_eq!(root.tracked.unwrap()[0].status, ReportedStatus::Success);
}

/// C5: while it is paused nothing is dispatched, and what runs may end.
#[test]
fn nothing_is_dispatched_while_it_is_paused() {
    let (log, _) = play(&[
        tracked_start(),
        compozy("1", "task", "task.evts.mail-1.started", json!({"status": "RUNNING"})),
        compozy("2", "x", "workflow.evts.e.paused", json!({"status": "PAUSED"})),
        compozy("3", "task", "task.evts.mail-1.success", json!({"status": "SUCCESS"})),
        compozy("4", "agent", "task.evts.mail-2.dispatched", json!({"status": "PENDING"})),
        json!({"event_id": "5", "event_type": "report.task.dispatched", "execution_id": "e",
            "entities": {"task": {"id": "next"}}}),
        compozy("6", "x", "workflow.evts.e.resumed", json!({"status": "RUNNING"})),
        json!({"event_id": "7", "event_type": "report.task.dispatched", "execution_id": "e",
            "entities": {"task": {"id": "next"}}}),
    ]);
    // Document 4 names no task at all.
    assert_eq!(log.rejected.len(), 2, "{:?}", types(&log.rejected));
    assert!(log.rejected[1].payload_value()["reason"].as_str().unwrap().contains("PAUSED"));
    assert_eq!(status_of(&log, "next"), ReportedStatus::Dispatched);
    assert_eq!(log.folded.context.unwrap().status, WorkflowStatus::Running);
}

/// What is illegal is answered with the state and what would be legal.
#[test]
fn an_illegal_report_is_rejected_with_what_would_be_legal() {
    let (log, _) = play(&[
        tracked_start(),
        dreamos("1", "TASK_COMPLETED", json!({})),
        dreamos("2", "TASK_ACCEPTED", json!({})),
        dreamos("2", "TASK_ACCEPTED", json!({})),
        compozy("3", "x", "workflow.evts.e.resumed", json!({"status": "RUNNING"})),
    ]);
    assert_eq!(log.duplicates, 1);
    let payloads: Vec<Value> = log.rejected.iter().map(Event::payload_value).collect();
    assert_eq!(payloads.len(), 2);
    assert_eq!(payloads[0]["status"], "RUNNING");
    let legal = payloads[0]["legal"].as_array().unwrap();
    assert!(
        legal.contains(&json!("report.task.started")) && !legal.contains(&json!("report.task.success")),
        "{legal:?}"
    );
    assert!(payloads[1]["legal"].as_array().unwrap().contains(&json!("report.workflow.paused")));
}

/// D1: accepted, started, progress, completed.
#[test]
fn dream_os_reports_a_task_s_life() {
    let (log, _) = play(&[
        tracked_start(),
        dreamos("1", "TASK_ACCEPTED", json!({})),
        dreamos("2", "TASK_STARTED", json!({})),
        dreamos("3", "TASK_PROGRESS", json!({"progress": 0.5})),
        dreamos("4", "TASK_COMPLETED", json!({"result": {"pages": 3}})),
    ]);
    assert!(log.rejected.is_empty());
    assert_eq!(status_of(&log, "t"), ReportedStatus::Success);
}

/// D3: failed four times with at most 3 retries.
#[test]
fn the_fourth_failure_is_permanent_and_told_once() {
    let mut documents = vec![tracked_start()];
    for attempt in 1..=4 {
        documents.push(dreamos(&format!("s{attempt}"), "TASK_STARTED", json!({})));
        documents.push(dreamos(&format!("f{attempt}"), "TASK_FAILED", json!({"error": "no disk"})));
    }
    documents.push(dreamos("more", "TASK_STARTED", json!({})));
    let (log, _) = play(&documents);
    let told: Vec<&Event> =
        log.published.iter().filter(|event| event.event_type == "task.permanently_failed").collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].error.as_ref().map(|error| error.message.as_str()), Some("no disk"));
    assert_eq!(status_of(&log, "t"), ReportedStatus::PermanentlyFailed);
    assert_eq!(log.rejected.len(), 1, "it is not started once more");
}

/// C9: a log is kept, and the context stays what it was.
#[test]
fn a_log_changes_nothing() {
    let log_emitted = json!({
        "metadata": {"correlation_id": "c", "event_id": "l"}, "workflow": {"exec_id": "e"},
        "payload": {"log_level": "info", "message": "hello"},
    });
    let (log, root) = play(&[tracked_start(), log_emitted]);
    let event = &log.published[1];
    assert_eq!((event.event_type.as_str(), event.message_class.as_str()), ("log.emitted", "log"));
    assert!(event.effects.is_empty());
    let before = play(&[tracked_start()]).1.unwrap();
    let root = root.unwrap();
    assert_eq!((root.data, root.status, root.tracked), (before.data, before.status, before.tracked));
}

/// J3 and J5: state patches are folded, a rejected approval fails the task for good. J13: a limit ends the execution.
#[test]
fn jamjet_s_patches_approvals_and_limits() {
    let started = jamjet(
        1,
        json!({"type": "workflow_started", "workflow_id": "w", "workflow_version": "9",
        "initial_input": {"a": {"b": 1, "c": 2}}}),
    );
    let node = |sequence, kind: &str, more: Value| {
        let mut kind = json!({"type": kind, "node_id": "n"});
        kind.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jamjet(sequence, kind)
    };
    let run = |decision: &str| {
        play(&[
            started.clone(),
            node(2, "node_started", json!({"worker_id": "w", "attempt": 1})),
            node(3, "interrupt_raised", json!({"reason": "check", "state_for_review": {}})),
            node(
                4,
                "approval_received",
                json!({"user_id": "u", "decision": decision, "state_patch": {"a": {"b": null}}}),
            ),
            node(5, "node_completed", json!({"output": {}, "state_patch": {"d": [1]}, "duration_ms": 3})),
            jamjet(
                6,
                json!({"type": "strategy_limit_hit", "limit_type": "max_iterations", "limit_value": 5,
                "actual_value": 5}),
            ),
        ])
    };
    let (log, root) = run("approved");
    assert!(log.rejected.is_empty(), "{:?}", log.rejected);
    let root = root.unwrap();
    assert_eq!(root.data, json!({"a": {"c": 2}, "d": [1]}));
    assert_eq!((root.status, root.workflow_version.as_deref()), (WorkflowStatus::LimitExceeded, Some("9")));
    assert_eq!(log.published.last().unwrap().event_type, "workflow.limit_exceeded");
    let (log, root) = run("rejected");
    assert_eq!(root.unwrap().data, json!({"a": {"b": 1, "c": 2}}), "nothing of a rejected approval is folded");
    assert_eq!(status_of(&log, "n"), ReportedStatus::PermanentlyFailed);
    assert_eq!(log.rejected.len(), 1, "the node does not complete any more");
}

/// For any other execution a report is a fact.
#[test]
fn a_report_of_an_execution_that_is_not_tracked_is_a_fact() {
    let workflows = Workflows::new().with(thalweg_core::Workflow::new("w", "1"));
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, &json!({"event_type": "workflow.started", "execution_id": "e", "workflow_id": "w"}));
    router.send("e", 1, &dreamos("1", "TASK_COMPLETED", json!({})));
    router.send("e", 2, &compozy("2", "x", "workflow.evts.e.success", json!({"status": "SUCCESS"})));
    let log = router.log("e");
    assert!(log.rejected.is_empty());
    assert_eq!(log.folded.context.as_ref().unwrap().status, WorkflowStatus::Running);
    assert!(types(&log.published).contains(&"report.task.success"));
}

proptest! {
    #![proptest_config(cases(300))]

    /// Whatever is reported in whatever order: each report is taken or rejected as the tables say, and the fold of
    /// the events is the state.
    #[test]
    fn reports_move_the_state_as_the_tables_say(
        reports in prop::collection::vec((0..WORKFLOW_TABLE.len() + TASK_TABLE.len(), 0..3u8), 1..40),
    ) {
        let mut documents = vec![tracked_start()];
        let mut expected: std::collections::BTreeMap<String, ReportedStatus> = Default::default();
        let (mut status, mut rejected) = (WorkflowStatus::Running, 0);
        for (n, (row, task)) in reports.iter().enumerate() {
            let task = format!("t{task}");
            let event_type = match WORKFLOW_TABLE.get(*row) {
                Some((report, from, to)) => {
                    let again = *report == "report.workflow.started" && !expected.is_empty();
                    if from.contains(&status) && !again { status = *to } else { rejected += 1 }
                    report
                }
                None => {
                    let (report, from, to) = &TASK_TABLE[row - WORKFLOW_TABLE.len()];
                    let paused = status == WorkflowStatus::Paused && *to == ReportedStatus::Dispatched;
                    let legal = !status.is_closed() && !paused && from.contains(&expected.get(&task).copied());
                    if legal { expected.insert(task.clone(), *to); } else { rejected += 1 }
                    report
                }
            };
            documents.push(json!({"event_id": n.to_string(), "event_type": event_type, "execution_id": "e",
                "entities": {"task": {"id": task}}}));
        }
        let (log, root) = play(&documents);
        let root = root.unwrap();
        prop_assert_eq!(root.status, status);
        prop_assert_eq!(log.rejected.len(), rejected);
        let tracked = root.tracked.unwrap().into_iter().map(|task| (task.task_id, task.status)).collect();
        prop_assert_eq!(expected, tracked);
    }
}

/// J9, where the models are called elsewhere; and what an iteration sums up is not counted twice.
#[test]
fn what_reports_say_was_used_counts_against_the_budgets() {
    let mut start = tracked_start();
    start["budgets"] = json!({"execution": {"total_tokens": 500, "cost_usd": "0.001", "iterations": 2}});
    let node = |sequence: i64, id: &str, tokens: u64| {
        [
            jamjet(sequence, json!({"type": "node_started", "node_id": id, "worker_id": "w", "attempt": 1})),
            jamjet(
                sequence + 1,
                json!({"type": "node_completed", "node_id": id, "output": 1, "state_patch": {},
                "duration_ms": 1, "input_tokens": tokens, "output_tokens": 0, "cost_usd": 0.0004}),
            ),
        ]
    };
    let dispatched =
        |sequence, id: &str| jamjet(sequence, json!({"type": "node_scheduled", "node_id": id, "queue_type": "q"}));
    let iteration = json!({"type": "iteration_completed", "iteration": 1, "cost_delta_usd": 0.0004, "input_tokens": 300,
        "output_tokens": 0});
    let (first, second) = (node(2, "a", 300), node(6, "b", 250));
    let documents = [
        vec![start, dispatched(1, "a")],
        first.to_vec(),
        vec![jamjet(4, iteration), dispatched(5, "b")],
        second.to_vec(),
    ]
    .concat();
    let (log, root) = play(&documents);
    let exceeded: Vec<Value> = log
        .published
        .iter()
        .filter(|event| event.event_type == "token_budget.exceeded")
        .map(Event::payload_value)
        .collect();
    assert_eq!(exceeded, [json!({"kind": "total_tokens", "limit": 500, "current": 550, "node_id": "b"})]);
    let root = root.unwrap();
    assert_eq!(root.status, WorkflowStatus::LimitExceeded);
    let used = &root.used[0];
    assert_eq!((used.input_tokens, used.cost_nanos, used.iterations), (550, 800_000, 1));
}

#[test]
fn tools_and_agents_that_are_called_as_tools_are_counted() {
    let mut start = tracked_start();
    start["budgets"] = json!({"execution": {"tool_calls": 9}});
    let turn = json!({"type": "agent_tool_turn", "node_id": "n", "turn_number": 1, "direction": "in",
        "content_summary": "", "tokens": 7, "cost": 0.002});
    let completed = |turns: Value| {
        json!({"type": "agent_tool_completed", "node_id": "n", "output": 1, "provenance": null,
        "total_cost": 0.5, "latency_ms": 3, "total_turns": turns})
    };
    let (_, root) = play(&[
        start,
        jamjet(1, json!({"type": "tool_called", "node_id": "n", "tool": "grep"})),
        jamjet(2, turn),
        jamjet(3, completed(json!(1))),
        jamjet(4, completed(json!(null))),
    ]);
    let used = &root.unwrap().used[0];
    assert_eq!((used.tool_calls, used.output_tokens, used.cost_nanos), (1, 7, 502_000_000));
}

/// What an agent may take together, handling by handling: more than that ends the execution.
#[test]
fn the_time_that_an_agent_s_handlings_take_is_limited() {
    let mut start = tracked_start();
    start["budgets"] = json!({"agents": {"writer": {"wall_time_ms": 100}}});
    let mut documents = vec![start];
    for (number, duration_ms) in [60.0, 40.0, 0.5].iter().enumerate() {
        for (name, payload) in [
            ("started", json!({"status": "RUNNING"})),
            ("success", json!({"status": "SUCCESS", "duration_ms": duration_ms})),
        ] {
            let mut report =
                compozy(&format!("{number}-{name}"), "task", &format!("task.evts.mail-{number}.{name}"), payload);
            report["task"]["exec_id"] = json!(format!("mail-{number}"));
            report["agent"] = json!({"id": "writer", "exec_id": format!("w-{number}")});
            documents.push(report);
        }
    }
    let (log, root) = play(&documents);
    let exceeded: Vec<Value> =
        log.published.iter().filter(|event| event.event_type == "budget.exceeded").map(Event::payload_value).collect();
    assert_eq!(exceeded, [json!({"kind": "wall_time_ms", "limit": 100, "current": 101, "node_id": "mail-2"})]);
    assert_eq!(root.unwrap().status, WorkflowStatus::LimitExceeded);
}

/// An event is of its execution's workflow and version; what it said itself comes back.
#[test]
fn a_start_elsewhere_keeps_its_own_workflow_and_version() {
    let kind = json!({"type": "workflow_started", "workflow_id": "research", "workflow_version": "0.3.0", "initial_input": {"n": 1}});
    let (log, _) = play(&[tracked_start(), jamjet(1, kind.clone())]);
    let told = log.published.iter().find(|event| event.event_type == "report.workflow.started").unwrap();
    assert_eq!((told.workflow_id.as_deref(), told.workflow_version.as_deref()), (Some("elsewhere"), None));
    let came: Value = serde_json::from_str(&thalweg_core::Dialect::Jamjet.write(told)).unwrap();
    assert_eq!(came["kind"], kind);
}
