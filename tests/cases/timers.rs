//! Timers on real Kafka: they fire once, and not early, whichever router has them when they are due.

use std::time::Duration;

use serde_json::{Value, json};
use thalweg_core::WorkflowStatus;
use thalweg_core::timer::FIRED;
use thalweg_runtime::FailPoint;

use crate::http;
use crate::load::borrowed;
use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::{Signal, eventually_observed};

fn start(delay_ms: u64, timers: u64) -> Value {
    let payload = json!({"delay_ms": delay_ms, "timers": timers});
    json!({"event_type": "workflow.started", "workflow_id": "reminders", "payload": payload})
}

fn starts(executions: usize, delay_ms: u64, timers: u64) -> Vec<(String, Value)> {
    (0..executions).map(|number| (format!("e-{number}"), start(delay_ms, timers))).collect()
}

/// J11: a timer across a restart fires once; also the one that is due while no router runs.
#[test]
fn a_timer_across_a_restart_fires_once() {
    let namespace = Namespace::new("timer-restart");
    let mut first = RouterProcess::start(&namespace, "a");
    namespace.send(&[("soon", start(1, 1)), ("later", start(4_000, 1)), ("down", start(1_500, 1))]);
    namespace.await_events(&["workflow.started"], 3);
    namespace.await_ended(1);
    first.process.signal(Signal::KILL);
    first.process.wait_exit(DEADLINE);
    let second = RouterProcess::start(&namespace, "b");
    namespace.await_ended(3);
    for id in ["soon", "later", "down"] {
        let history = namespace.history(id);
        let types: Vec<&str> = history.iter().map(|event| event.event_type.as_str()).collect();
        assert_eq!(types, ["workflow.started", FIRED, "reminder.due", "workflow.completed"], "{id}");
    }
    assert_eq!(namespace.verify().in_status(WorkflowStatus::Success), 3);
    assert_pending(&second, 0);
}

/// The router is killed where the transaction in which timers fire is written and not committed.
#[test]
fn a_timer_whose_transaction_is_lost_fires_again_and_counts_once() {
    let namespace = Namespace::new("timer-lost");
    let doom = (FailPoint::BeforeCommit, 2, Signal::KILL);
    let mut first = RouterProcess::start_doomed(&namespace, "a", doom, &[]);
    namespace.send(&[("e", start(300, 2))]);
    first.process.wait_exit(DEADLINE);
    let _second = RouterProcess::start(&namespace, "b");
    namespace.await_ended(1);
    let fired = namespace.history("e").iter().filter(|event| event.event_type == FIRED).count();
    assert_eq!(fired, 2);
    namespace.verify();
}

/// Partitions move while timers are pending and while they fire.
#[test]
fn timers_move_with_their_partitions() {
    const EXECUTIONS: usize = 300;
    let namespace = Namespace::new("timer-rebalance");
    let first = RouterProcess::start(&namespace, "a");
    namespace.send(&borrowed(&starts(EXECUTIONS, 6_000, 3)));
    namespace.await_events(&["workflow.started"], EXECUTIONS);
    assert_pending(&first, 3 * EXECUTIONS);
    let mut second = RouterProcess::start(&namespace, "b");
    second.await_restored(1);
    namespace.await_ended(EXECUTIONS / 4);
    second.process.signal(Signal::KILL);
    namespace.await_ended(EXECUTIONS);
    let fired = namespace.events().iter().filter(|event| event.event_type == FIRED).count();
    assert_eq!(fired, 3 * EXECUTIONS);
    namespace.verify();
    assert_pending(&first, 0);
}

/// A hundred thousand timers in one lane, across a restart.
#[test]
#[ignore = "takes minutes"]
fn a_hundred_thousand_timers_fire_once() {
    const EXECUTIONS: usize = 200;
    const TIMERS: u64 = 500;
    let namespace = Namespace::new("timer-many");
    let mut first = RouterProcess::start(&namespace, "a");
    namespace.send(&borrowed(&starts(EXECUTIONS, 30_000, TIMERS)));
    namespace.await_events(&["workflow.started"], EXECUTIONS);
    assert_pending(&first, EXECUTIONS * TIMERS as usize);
    first.process.signal(Signal::KILL);
    first.process.wait_exit(DEADLINE);
    let second = RouterProcess::start(&namespace, "b");
    second.await_restored(2);
    assert_pending_within(&second, 0, 10 * DEADLINE);
    namespace.await_ended(EXECUTIONS);
    let fired = namespace.events().iter().filter(|event| event.event_type == FIRED).count();
    assert_eq!(fired, EXECUTIONS * TIMERS as usize);
    namespace.verify();
}

/// The gauge of pending timers.
fn assert_pending(router: &RouterProcess, count: usize) {
    assert_pending_within(router, count, DEADLINE);
}

fn assert_pending_within(router: &RouterProcess, count: usize, deadline: Duration) {
    let addr = router.admin_addr();
    let line = format!("thalweg_timers_pending {count}\n");
    eventually_observed(deadline, &line, || {
        let (_, body) = http::get(&addr, "/metrics");
        if body.contains(&line) { Ok(()) } else { Err(body) }
    });
}
