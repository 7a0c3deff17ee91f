//! The routers' group: nobody in it, strangers in it, offsets that do not fit.

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::json;

use super::report::{Level, Report};
use crate::command_line::Thalweg;
use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::{Signal, eventually_observed};

/// A member of the routers' group that is no router.
fn member(namespace: &Namespace, client_id: &str) -> BaseConsumer {
    let mut client = namespace.client();
    client
        .set("client.id", client_id)
        .set("group.id", namespace.topics.group())
        .set("enable.auto.commit", "false")
        // Not cooperative: such a member joins anew only when it is polled, so that a test can hold a rebalance up.
        .set("partition.assignment.strategy", "range")
        .set("session.timeout.ms", "30000");
    client.create().unwrap()
}

/// Commits offsets for the group while it has no members.
pub fn commit(namespace: &Namespace, offsets: &[(i32, i64)]) {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(namespace.topics.inbox(), *partition, Offset::Offset(*offset)).unwrap();
    }
    member(namespace, "test").commit(&list, CommitMode::Sync).unwrap();
}

fn start(namespace: &Namespace, executions: &[&str]) {
    let start = json!({"event_type": "workflow.started", "workflow_id": "linear"});
    let events: Vec<_> = executions.iter().map(|id| (*id, start.clone())).collect();
    namespace.send(&events);
}

/// Polls until the doctor says so.
fn await_finding(namespace: &Namespace, members: &[&BaseConsumer], check: &str, found: &str) -> Report {
    eventually_observed(DEADLINE, found, || {
        for member in members {
            _ = member.poll(std::time::Duration::from_millis(20));
        }
        let ran = Thalweg::of(namespace).run(&["doctor", "-o", "json"]);
        let checks = ran.document().as_array().unwrap().clone();
        let is_told = |c: &serde_json::Value| c["check"] == check && c["found"].as_str().unwrap().contains(found);
        if checks.iter().any(is_told) { Ok(Report { checks }) } else { Err(format!("{ran:#?}")) }
    })
}

#[test]
fn an_inbox_without_routers_is_told() {
    let namespace = Namespace::new("doctor-nobody");
    let report = Report::of(&Thalweg::of(&namespace), 0);
    report.assert("members", namespace.topics.group(), Level::Warning, "no router runs");
    report.assert("lag", "inbox/0", Level::Ok, "0");
    namespace.send_raw(&[(None, b"{}".to_vec()), (None, b"{}".to_vec()), (None, b"{}".to_vec())], &[]);
    let report = Report::of(&Thalweg::of(&namespace), 1);
    report.assert("lag", "inbox/0", Level::Problem, "3 wait, and no router runs");
    commit(&namespace, &[(0, 1)]);
    let report = Report::of(&Thalweg::of(&namespace), 1);
    report.assert("lag", "inbox/0", Level::Problem, "2 wait, and no router runs");

    // A router that was away while records expired; an inbox that was created anew.
    let admin: AdminClient<DefaultClientContext> = namespace.client().create().unwrap();
    let mut until = TopicPartitionList::new();
    until.add_partition_offset(namespace.topics.inbox(), 0, Offset::Offset(2)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin.delete_records(&until, &AdminOptions::new())).unwrap();
    commit(&namespace, &[(1, 1000)]);
    let report = Report::of(&Thalweg::of(&namespace), 1);
    let early = report.assert("offset", "inbox/0", Level::Problem, "1 is committed, before the first record");
    assert_eq!((&early["code"], &early["expected"]), (&json!("INBOX_REPLACED"), &json!("2 or more")));
    report.assert("offset", "inbox/1", Level::Problem, "1000 is committed, behind the end");
}

#[test]
fn contexts_without_a_committed_offset_are_told() {
    let namespace = Namespace::new("doctor-lost");
    let mut router = RouterProcess::start(&namespace, "a");
    start(&namespace, &["e"]);
    namespace.await_ended(1);
    namespace.await_drained();
    router.process.signal(Signal::TERM);
    assert!(router.process.wait_exit(DEADLINE).success());
    let admin: AdminClient<DefaultClientContext> = namespace.client().create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let deleted = runtime.block_on(admin.delete_groups(&[namespace.topics.group()], &AdminOptions::new())).unwrap();
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    let report = Report::of(&Thalweg::of(&namespace), 1);
    let place = format!("inbox/{}", namespace.partition("e"));
    let finding = report.assert("offset", &place, Level::Problem, "no committed offset, but contexts");
    assert_eq!(finding["code"], json!("INBOX_REPLACED"));
}

#[test]
fn members_that_are_no_routers_are_told() {
    let namespace = Namespace::new("doctor-strangers");
    start(&namespace, &["a", "b", "c", "d"]);
    let stranger = member(&namespace, "stranger");
    stranger.subscribe(&[namespace.topics.contexts()]).unwrap();
    let report = await_finding(&namespace, &[&stranger], "state", "Stable");
    report.assert("strangers", namespace.topics.group(), Level::Problem, namespace.topics.contexts());
    report.assert("assignment", namespace.topics.group(), Level::Problem, "partition 0-1 of the inbox is nobody's");
    commit_as(&stranger, &namespace);
    let report = Report::of(&Thalweg::of(&namespace), 1);
    report.assert("lag", "inbox/", Level::Problem, "wait, and nobody takes them");

    // One that reads the inbox, too, and takes nothing from it.
    let idler = member(&namespace, "idler");
    idler.subscribe(&[namespace.topics.inbox()]).unwrap();
    // While the first one does not hear of it, nobody has anything for certain.
    let report = await_finding(&namespace, &[&idler], "state", "PreparingRebalance");
    report.assert("clients", namespace.topics.group(), Level::Warning, "idler, stranger");
    let report = await_finding(&namespace, &[&stranger, &idler], "assignment", "all 2 partitions have an owner");
    report.assert("lag", "inbox/", Level::Warning, "wait, and none was taken meanwhile");
}

/// Commits the beginning of the inbox as a member.
fn commit_as(member: &BaseConsumer, namespace: &Namespace) {
    let mut list = TopicPartitionList::new();
    for partition in 0..namespace.config.partitions {
        list.add_partition_offset(namespace.topics.inbox(), partition, Offset::Offset(0)).unwrap();
    }
    member.commit(&list, CommitMode::Sync).unwrap();
}
