//! Routers come and go while work goes on.

use std::time::Duration;

use crate::load::{self, borrowed};
use crate::namespace::Namespace;
use crate::router_process::RouterProcess;
use crate::support::Signal;

const EXECUTIONS: usize = 600;

/// What a router is promised to need at most for its last transaction and its leave.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// 1 -> 2 -> 1 under load: the second joins, then leaves by SIGTERM.
#[test]
fn a_second_router_joins_and_leaves_under_load() {
    let namespace = Namespace::new("scale");
    let first = RouterProcess::start(&namespace, "a");
    // Else the second may come to the very first assignment, and the first gets one of the two partitions only.
    first.await_restored(2);
    let (begin, end) = (load::first_half(EXECUTIONS), load::second_half(EXECUTIONS));
    let mut parts = begin.chunks(begin.len() / 3 + 1);
    namespace.send(&borrowed(parts.next().unwrap()));
    let mut second = RouterProcess::start(&namespace, "b");
    namespace.send(&borrowed(parts.next().unwrap()));
    second.await_restored(1);
    namespace.send(&borrowed(parts.next().unwrap()));
    namespace.await_ended(load::ended_by_first_half(EXECUTIONS));
    second.process.signal(Signal::TERM);
    namespace.send(&borrowed(&end));
    assert!(second.process.wait_exit(STOP_DEADLINE).success(), "SIGTERM is answered by leaving in order");
    namespace.await_ended(EXECUTIONS);
    namespace.verify();
    first.await_restored(3);
}

/// Killing one of two hands its partitions over.
#[test]
fn a_killed_routers_partitions_are_handed_over() {
    let namespace = Namespace::new("handover");
    let first = RouterProcess::start(&namespace, "a");
    first.await_restored(2);
    let mut second = RouterProcess::start(&namespace, "b");
    second.await_restored(1);
    namespace.send(&borrowed(&load::first_half(EXECUTIONS)));
    second.process.signal(Signal::KILL);
    namespace.send(&borrowed(&load::second_half(EXECUTIONS)));
    namespace.await_ended(EXECUTIONS);
    namespace.verify();
}
