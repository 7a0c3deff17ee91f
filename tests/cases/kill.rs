//! kill -9 of a router under load, at each place where work is in hand.

use std::sync::LazyLock;

use thalweg_runtime::FailPoint;

use crate::load::{self, borrowed};
use crate::namespace::{DEADLINE, Namespace};
use crate::oracle::Outputs;
use crate::router_process::RouterProcess;
use crate::support::Signal;

const EXECUTIONS: usize = 240;

/// What the load comes to when nothing goes wrong.
static UNDISTURBED: LazyLock<Outputs> = LazyLock::new(|| {
    let namespace = Namespace::new("undisturbed");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&borrowed(&load::first_half(EXECUTIONS)));
    namespace.send(&borrowed(&load::second_half(EXECUTIONS)));
    namespace.await_ended(EXECUTIONS);
    namespace.verify();
    namespace.outputs()
});

/// The router dies at the given pass of the place; another one, under `successor`, takes over and the load goes on.
fn kill_at(point: FailPoint, pass: u32, successor: &str) {
    let undisturbed = &*UNDISTURBED;
    let namespace = Namespace::new(&format!("kill-{point:?}").to_lowercase());
    namespace.send(&borrowed(&load::first_half(EXECUTIONS)));
    // Small batches: the place is passed many times, and work is left when the router dies.
    let environment = [("THALWEG_BATCH_MAX_RECORDS", "40")];
    let mut doomed = RouterProcess::start_doomed(&namespace, "a", (point, pass, Signal::KILL), &environment);
    doomed.process.wait_exit(DEADLINE);
    let _successor = RouterProcess::start(&namespace, successor);
    namespace.send(&borrowed(&load::second_half(EXECUTIONS)));
    namespace.await_ended(EXECUTIONS);
    namespace.verify();
    assert_eq!(undisturbed.difference(&namespace.outputs()), None);
}

#[test]
fn after_poll() {
    kill_at(FailPoint::AfterPoll, 3, "a");
}

#[test]
fn after_step() {
    kill_at(FailPoint::AfterStep, 3, "a");
}

#[test]
fn after_produce() {
    kill_at(FailPoint::AfterProduce, 3, "a");
}

/// The successor has another name: nobody ends the dead router's transaction but its time-out.
#[test]
fn after_offsets() {
    kill_at(FailPoint::AfterOffsets, 3, "b");
}

#[test]
fn before_commit() {
    kill_at(FailPoint::BeforeCommit, 3, "b");
}

#[test]
fn after_commit() {
    kill_at(FailPoint::AfterCommit, 3, "a");
}
