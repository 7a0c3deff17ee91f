//! What stops a router for good, with a code: a rival of the same name, and an inbox that is not its own.

use serde_json::json;

use crate::load::{self, borrowed};
use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::{RouterProcess, SAMPLE_ONLY};
use crate::support::{Signal, broker, eventually_observed};

const EXECUTIONS: usize = 60;

#[test]
fn a_second_router_of_the_same_name_ends_the_first() {
    let namespace = Namespace::new("rival");
    let mut first = RouterProcess::start(&namespace, "same");
    first.await_restored(2);
    let second = RouterProcess::start(&namespace, "same");
    second.await_restored(1);
    namespace.send(&borrowed(&load::first_half(EXECUTIONS)));
    namespace.send(&borrowed(&load::second_half(EXECUTIONS)));
    assert!(!first.process.wait_exit(DEADLINE).success());
    assert!(first.process.log().contains("INSTANCE_IN_USE"), "{}", first.process.log());
    namespace.await_ended(EXECUTIONS);
    namespace.verify();
}

/// The group's offsets are gone, the contexts are not: handling the inbox from its start would do everything again.
#[test]
fn contexts_without_a_committed_offset_stop_the_router() {
    let namespace = Namespace::new("offsets-gone");
    let mut first = RouterProcess::start(&namespace, "a");
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "linear"}))]);
    namespace.await_ended(1);
    namespace.await_drained();
    first.process.signal(Signal::TERM);
    assert!(first.process.wait_exit(DEADLINE).success());
    let (group, inbox) = (namespace.topics.group(), namespace.topics.inbox());
    broker().java_tool(
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        &["--bootstrap-server", broker().internal_bootstrap(), "--delete-offsets", "--group", group, "--topic", inbox],
    );
    let mut second = RouterProcess::start(&namespace, "b");
    assert!(!second.process.wait_exit(DEADLINE).success());
    assert!(second.process.log().contains("INBOX_REPLACED"), "{}", second.process.log());
    assert_eq!(namespace.history("e").len(), 4, "nothing was done twice");
}

/// The contexts got another partition: an execution's context would be looked for where it is not.
#[test]
fn another_partition_count_stops_the_router() {
    let namespace = Namespace::new("partitions");
    let contexts = namespace.topics.contexts();
    let bootstrap = broker().internal_bootstrap();
    broker().java_tool(
        "org.apache.kafka.tools.TopicCommand",
        &["--bootstrap-server", bootstrap, "--alter", "--topic", contexts, "--partitions", "3"],
    );
    let mut router = RouterProcess::start(&namespace, "a");
    assert!(!router.process.wait_exit(DEADLINE).success());
    assert!(router.process.log().contains("PARTITIONS_CHANGED"), "{}", router.process.log());
}

/// An open execution of a workflow that the router does not run stops its partition, and waits for a router that does.
#[test]
fn an_execution_of_another_routers_workflow_is_left_to_that_router() {
    let namespace = Namespace::new("unlisted");
    let mut first = RouterProcess::start(&namespace, "a");
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "checks"}))]);
    namespace.await_events(&["checks.joined"], 1);
    first.process.signal(Signal::TERM);
    assert!(first.process.wait_exit(DEADLINE).success());

    let mut other = RouterProcess::start_with(&namespace, "b", &[(SAMPLE_ONLY, "1")]);
    namespace.send(&[("e", json!({"event_type": "approved", "payload": {"by": "me"}}))]);
    eventually_observed(DEADLINE, "a stopped partition", || {
        let log = other.process.log();
        if log.contains("a partition is stopped") { Ok(()) } else { Err(log) }
    });
    other.process.signal(Signal::TERM);
    assert!(other.process.wait_exit(DEADLINE).success());

    let _third = RouterProcess::start(&namespace, "c");
    namespace.await_ended(1);
    let summary = namespace.verify();
    assert_eq!((summary.applied, summary.dead_letters), (2, 0));
}
