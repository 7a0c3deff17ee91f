//! An inbox that does not fit the contexts is accepted: its executions go on, and nothing is handled twice.

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::{Value, json};
use thalweg_core::Event;

use super::doctor::commit;
use crate::command_line::{Thalweg, assert_lines};
use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::{Signal, eventually, eventually_observed};

fn admin<T>(namespace: &Namespace, ask: impl AsyncFnOnce(&AdminClient<DefaultClientContext>, &AdminOptions) -> T) -> T {
    let admin: AdminClient<DefaultClientContext> = namespace.client().create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(ask(&admin, &AdminOptions::new()))
}

/// Deletes the inbox and creates it anew.
fn replace_inbox(namespace: &Namespace) {
    let inbox = namespace.topics.inbox();
    let deleted = admin(namespace, async |admin, options| admin.delete_topics(&[inbox], options).await.unwrap());
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    let consumer: BaseConsumer = namespace.client().create().unwrap();
    eventually(DEADLINE, "a deleted inbox", || {
        let metadata = consumer.fetch_metadata(None, DEADLINE).unwrap();
        metadata.topics().iter().all(|topic| topic.name() != inbox).then_some(())
    });
    namespace.create_topics();
    // Its partitions have leaders.
    eventually_observed(DEADLINE, "a new inbox", || {
        consumer.fetch_watermarks(inbox, 1, DEADLINE).map_err(|error| error.to_string()).map(|_| ())
    });
}

#[track_caller]
fn end(router: &mut RouterProcess) {
    router.process.signal(Signal::TERM);
    assert!(router.process.wait_exit(DEADLINE).success());
}

/// A router starts, and ends because the inbox does not fit.
#[track_caller]
fn assert_refused(namespace: &Namespace) {
    let mut router = RouterProcess::start(namespace, "refused");
    assert!(!router.process.wait_exit(DEADLINE).success());
    let log = router.process.log();
    assert!(log.contains("INBOX_REPLACED") && log.contains("thalweg topics --adopt"), "{log}");
}

/// What `--adopt` decides for each partition.
fn decisions(document: &Value) -> Vec<&str> {
    document["partitions"].as_array().unwrap().iter().map(|plan| plan["decision"].as_str().unwrap()).collect()
}

fn starts(events: &[Event]) -> Vec<&str> {
    let starts = events.iter().filter(|event| event.event_type == "workflow.started");
    starts.map(|event| event.execution_id.as_str()).collect()
}

/// The records of the new inbox lie where those of the old one lay, and have no ids either.
#[test]
fn executions_go_on_in_a_new_inbox() {
    let namespace = Namespace::new("adopt-new");
    let thalweg = Thalweg::of(&namespace);
    let e = (0..).map(|n| format!("e-{n}")).find(|id| namespace.partition(id) == 1).unwrap();
    let up = |id: &str| (e.as_str(), json!({"event_id": id, "event_type": "count.up"}));
    let nameless_up = (e.as_str(), json!({"event_type": "count.up"}));
    let start = json!({"event_type": "workflow.started", "workflow_id": "counter"});
    let nameless_start =
        (None, json!({"event_type": "workflow.started", "workflow_id": "linear"}).to_string().into_bytes());
    let mut router = RouterProcess::start(&namespace, "a");
    namespace.send(&[(e.as_str(), start), up("up-1"), nameless_up.clone()]);
    namespace.send_raw(std::slice::from_ref(&nameless_start), &[]);
    namespace.await_ended(1);
    namespace.await_drained();
    let running = thalweg.run(&["topics", "--adopt", "--execute"]).expect(1).names("stop the routers first");
    assert_eq!(running.stdout, "");
    end(&mut router);
    let fits = thalweg.json(&["topics", "--adopt"]);
    assert_eq!(decisions(&fits), ["fits", "fits"]);

    replace_inbox(&namespace);
    assert_refused(&namespace);
    namespace.send(&[up("up-1"), up("up-2"), nameless_up.clone()]);
    namespace.send_raw(&[nameless_start], &[]);
    assert_refused(&namespace);

    // The start is where the old one was, and gets the same ids: it might be the old one, by a clock that is wrong.
    let contexts = namespace.read(namespace.topics.contexts()).len();
    let dry = thalweg.json(&["topics", "--adopt"]);
    assert_eq!(decisions(&dry), ["unclear", "unclear"], "{dry}");
    thalweg.run(&["topics", "--adopt", "--execute"]).expect(2).names("--adopt another");
    let table = thalweg.table(&["topics", "--adopt", "another"]);
    assert_lines(
        &table,
        &["PARTITION", "0", "1", "Nothing was changed. With --execute 2 partitions would be adopted."],
    );
    assert!(table.contains("the group begins at 0, 1 contexts forget theirs"), "{table}");
    assert_eq!(namespace.read(namespace.topics.contexts()).len(), contexts, "a dry run writes nothing");
    let before = thalweg.json(&["get", &e]);

    let done = thalweg.json(&["topics", "--adopt", "another", "--execute"]);
    assert_eq!(decisions(&done), ["another_inbox", "another_inbox"]);
    let mut after = thalweg.json(&["get", &e]);
    assert_eq!(after["context"]["applied_offset"], json!(-1));
    after["context"]["applied_offset"] = before["context"]["applied_offset"].clone();
    assert_eq!(after, before, "nothing else changes");
    assert_eq!(decisions(&thalweg.json(&["topics", "--adopt"])), ["fits", "fits"]);

    let _router = RouterProcess::start(&namespace, "b");
    namespace.send(&[(e.as_str(), json!({"event_type": "count.stop"}))]);
    let events = namespace.await_ended(3);
    namespace.await_drained();
    let ended = events.iter().find(|event| event.execution_id == e && event.event_type == "workflow.completed");
    assert_eq!(ended.unwrap().payload_value(), json!(4), "two of the old inbox, two of the new one");
    let events = namespace.events();
    let started = starts(&events);
    assert_eq!(started.len(), 3);
    assert!(started.iter().all(|id| started.iter().filter(|other| *other == id).count() == 1), "{started:?}");
    let mut ids: Vec<&str> = events.iter().map(|event| event.event_id.as_str()).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "no id is given twice");
    assert_eq!(namespace.read(namespace.topics.dead_letters()).len(), 0);

    // A position in the new inbox can't be taken for one in the old.
    namespace.send(&[("nobody", json!({"event_type": "count.up"}))]);
    let letter = eventually_observed(DEADLINE, "a dead letter", || {
        namespace.read(namespace.topics.dead_letters()).pop().ok_or("none")
    });
    let place = format!("{}@1/{}/", namespace.topics.inbox(), namespace.partition("nobody"));
    assert!(letter.headers["input"].starts_with(&place), "{letter:?}");
    let done = thalweg.json(&["dead-letters", "redrive", "--all", "--execute"]);
    assert!(done["letters"][0]["sent"].as_str().unwrap().starts_with(namespace.topics.inbox()), "{done}");
}

/// The group's offsets are gone, the inbox is not.
#[test]
fn a_group_without_offsets_goes_on_behind_what_was_taken() {
    let namespace = Namespace::new("adopt-same");
    let thalweg = Thalweg::of(&namespace);
    let mut router = RouterProcess::start(&namespace, "a");
    let start = json!({"event_type": "workflow.started", "workflow_id": "counter"});
    let up = json!({"event_type": "count.up"});
    namespace.send(&[("e", start), ("e", up.clone()), ("e", up.clone())]);
    namespace.await_events(&["count.up"], 2);
    namespace.await_drained();
    end(&mut router);
    namespace.send(&[("e", up)]);
    let deleted = admin(&namespace, async |admin, options| {
        admin.delete_groups(&[namespace.topics.group()], options).await.unwrap()
    });
    assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    assert_refused(&namespace);
    let done = thalweg.json(&["topics", "--adopt", "--execute"]);
    let partition = &done["partitions"][usize::try_from(namespace.partition("e")).unwrap()];
    assert_eq!((&partition["decision"], &partition["next_offset"]), (&json!("go_on"), &json!(3)), "{done}");
    let _router = RouterProcess::start(&namespace, "b");
    namespace.send(&[("e", json!({"event_type": "count.stop"}))]);
    let ended = namespace.await_ended(1);
    assert_eq!(ended.last().map(Event::payload_value), Some(json!(3)));
    namespace.verify();
}

/// The inbox has nothing at the committed offset: a router waited there for ever.
#[test]
fn a_committed_offset_behind_the_end_is_refused_and_adopted() {
    let namespace = Namespace::new("adopt-behind");
    let thalweg = Thalweg::of(&namespace);
    commit(&namespace, &[(0, 1000), (1, 0)]);
    assert_refused(&namespace);
    let done = thalweg.json(&["topics", "--adopt", "--execute"]);
    assert_eq!(decisions(&done), ["another_inbox", "fits"]);
    let _router = RouterProcess::start(&namespace, "a");
    let linear = json!({"event_type": "workflow.started", "workflow_id": "linear"}).to_string();
    namespace.send_raw(&[(None, linear.into_bytes())], &[]);
    namespace.await_ended(1);
    namespace.await_drained();
}
