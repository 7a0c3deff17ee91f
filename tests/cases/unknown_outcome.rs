//! The outcome of a transaction is unknown: the router finds out, and restores what it had in it.

use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::json;
use thalweg_runtime::FailPoint;

use crate::load::{self, borrowed};
use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::{Signal, broker, eventually_observed};

const EXECUTIONS: usize = 120;

/// End of what is committed, and of all, in a partition.
fn ends(namespace: &Namespace, topic: &str, partition: i32) -> (i64, i64) {
    let end = |isolation: &str| {
        let consumer: BaseConsumer = namespace.client().set("isolation.level", isolation).create().unwrap();
        consumer.fetch_watermarks(topic, partition, DEADLINE).unwrap().1
    };
    (end("read_committed"), end("read_uncommitted"))
}

/// The router is halted before its commit, past the time-out of the transaction but within its session: the broker
/// aborts it and bumps the producer's epoch, which librdkafka reports as it reports a rival.
#[test]
fn a_transaction_that_outlived_its_time_is_resolved_and_done_again() {
    let namespace = Namespace::new("unknown");
    namespace.send(&borrowed(&load::first_half(EXECUTIONS)));
    let environment = [("THALWEG_BATCH_MAX_RECORDS", "40"), ("THALWEG_SESSION_TIMEOUT_MS", "40000")];
    let mut router =
        RouterProcess::start_doomed(&namespace, "a", (FailPoint::BeforeCommit, 3, Signal::STOP), &environment);
    router.await_halted();
    eventually_observed(DEADLINE, "the broker to abort the transaction", || {
        let ends = [0, 1].map(|partition| ends(&namespace, namespace.topics.contexts(), partition));
        if ends.iter().all(|(stable, all)| stable == all) { Ok(()) } else { Err(format!("{ends:?}")) }
    });
    router.process.signal(Signal::CONT);
    namespace.send(&borrowed(&load::second_half(EXECUTIONS)));
    namespace.await_ended(EXECUTIONS);
    assert!(router.process.log().contains("the outcome of a transaction is unknown"), "{}", router.process.log());
    assert!(router.process.is_running());
    namespace.verify();
}

/// A record that nobody takes in time: there is time left to abort, so that nothing is unknown and nothing is restored.
#[test]
fn a_record_that_is_not_taken_in_time_leads_to_an_abort() {
    let namespace = Namespace::new("undeliverable");
    let mut router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "linear"}))]);
    namespace.await_ended(1);
    let (bootstrap, dead_letters) = (broker().internal_bootstrap(), namespace.topics.dead_letters());
    let delete = ["--bootstrap-server", bootstrap, "--delete", "--topic", dead_letters];
    broker().java_tool("org.apache.kafka.tools.TopicCommand", &delete);
    namespace.send_raw(&[(None, b"no event".to_vec())], &[]);
    eventually_observed(DEADLINE, "a transaction that is tried again", || {
        let log = router.process.log();
        if log.matches("a transaction was aborted and is tried again").count() >= 2 { Ok(()) } else { Err(log) }
    });
    let log = router.process.log();
    assert!(!log.contains("the outcome of a transaction is unknown"), "{log}");
    namespace.create_topics();
    namespace.await_drained();
    assert_eq!(namespace.verify().dead_lettered, 1);
    assert!(router.process.is_running());
}
