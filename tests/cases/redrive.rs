//! Dead letters are sent back: what was refused is handled, a task that gave up runs again, and each happens once.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::{Value, json};
use thalweg_core::WorkflowStatus;
use thalweg_runtime::FailPoint;
use thalweg_runtime::dead_letter::VALUE_MAX_BYTES;

use crate::command_line::{Thalweg, assert_lines};
use crate::namespace::{DEADLINE, Namespace, Read};
use crate::router_process::RouterProcess;
use crate::support::{Signal, eventually_observed};
use crate::workflows::MENDED;

fn letters(namespace: &Namespace, count: usize) -> Vec<Read> {
    eventually_observed(DEADLINE, &format!("{count} dead letters"), || {
        let letters = namespace.read(namespace.topics.dead_letters());
        if letters.len() >= count { Ok(letters) } else { Err(letters.len()) }
    })
}

#[track_caller]
fn command(thalweg: &Thalweg, arguments: &[&str]) -> Value {
    thalweg.json(&[&["dead-letters"], arguments].concat())
}

/// What a redrive says of each letter.
fn said(document: &Value) -> Vec<&str> {
    document["letters"].as_array().unwrap().iter().map(|letter| letter["what"].as_str().unwrap()).collect()
}

/// The headers of the records that were written to the channels for inbox records with this header.
fn inbox_with(namespace: &Namespace, header: &str) -> Vec<Read> {
    let inbox = namespace.read(namespace.topics.inbox());
    inbox.into_iter().filter(|record| record.headers.contains_key(header)).collect()
}

#[test]
fn a_refused_record_is_handled_once_its_cause_is_gone() {
    let namespace = Namespace::new("redrive-record");
    let thalweg = Thalweg::of(&namespace);
    let _router = RouterProcess::start(&namespace, "a");
    // An answer before its start, on the wrong partition: it is forwarded, and then refused.
    let up = json!({"event_type": "count.up", "execution_id": "e"});
    let wrong = ["u", "v", "w", "x", "y", "z"]
        .into_iter()
        .find(|key| namespace.partition(key) != namespace.partition("e"))
        .unwrap();
    namespace.send_raw(&[(Some(wrong), up.to_string().into_bytes())], &[("note", "kept")]);
    let letter = letters(&namespace, 1).remove(0);
    assert_eq!(letter.headers["code"], "EXECUTION_UNKNOWN");

    let before = namespace.read(namespace.topics.inbox()).len();
    let dry = command(&thalweg, &["redrive", "--code", "EXECUTION_UNKNOWN"]);
    assert_eq!(said(&dry), ["execution is unknown: would be EXECUTION_UNKNOWN again"]);
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "counter"}))]);
    namespace.await_events(&["workflow.started"], 1);
    namespace.await_drained();
    let dry = command(&thalweg, &["redrive", "--execution", "e"]);
    assert_eq!(said(&dry), ["handled again; execution is RUNNING"]);
    assert_eq!(dry["letters"][0]["event_type"], "count.up");
    assert_eq!(namespace.read(namespace.topics.inbox()).len(), before + 1, "a dry run sends nothing");
    let marks = namespace.read(namespace.topics.registry());
    assert!(marks.iter().all(|record| !record.key.as_ref().unwrap().starts_with(b"dead")), "nor does it mark");

    let done = command(&thalweg, &["redrive", "--all", "--execute"]);
    namespace.await_events(&["count.up"], 1);
    // The record has where it first was, and how often it was redriven; its event id is the one that it had at first.
    let sent = done["letters"][0]["sent"].as_str().unwrap();
    let records = inbox_with(&namespace, "redrive");
    assert_eq!(records.len(), 2, "the record, and its forward");
    for record in &records {
        assert_eq!((record.headers["redrive"].as_str(), record.headers["note"].as_str()), ("1", "kept"));
        assert_eq!(record.headers["origin"], letter.headers["origin"]);
        assert_eq!(record.value.as_deref(), Some(up.to_string().as_bytes()));
    }
    assert!(records.iter().any(|r| format!("{}/{}/{}", namespace.topics.inbox(), r.partition, r.offset) == sent));
    let history = namespace.history("e");
    let applied = history.iter().find(|event| event.event_type == "count.up").unwrap();
    assert_eq!(applied.event_id, letter.headers["event_id"]);

    // By its place it is sent once more, and is a duplicate.
    assert_eq!(command(&thalweg, &["list"]), json!([]), "it is open no longer");
    let place = format!("{}/{}", letter.partition, letter.offset);
    thalweg.run(&["dead-letters", "redrive", "--all", "--execute"]).expect(3).names("no dead letter");
    let again = command(&thalweg, &["redrive", &place, "--execute"]);
    let what = said(&again)[0];
    assert!(what.starts_with("already redriven ") && what.contains("would be a duplicate"), "{again}");
    namespace.await_drained();
    namespace.send(&[("e", json!({"event_type": "count.stop"}))]);
    let ended = namespace.await_ended(1);
    assert_eq!(ended.iter().find(|e| e.event_type == "workflow.completed").unwrap().payload_value(), json!(1));
    let summary = namespace.verify();
    assert_eq!((summary.duplicates, summary.forwarded), (1, 3));
}

#[test]
fn a_start_and_what_follows_it_are_redriven_in_order() {
    let namespace = Namespace::new("redrive-start");
    let thalweg = Thalweg::of(&namespace);
    let router = RouterProcess::start_with(&namespace, "a", &[(crate::router_process::SAMPLE_ONLY, "1")]);
    namespace.send_raw(
        &[(None, json!({"event_type": "workflow.started", "workflow_id": "counter"}).to_string().into())],
        &[],
    );
    let start = letters(&namespace, 1).remove(0);
    let id = start.headers["execution_id"].clone();
    namespace.send(&[(&id, json!({"event_type": "count.up"})), (&id, json!({"event_type": "count.stop"}))]);
    letters(&namespace, 3);
    drop(router);
    let _router = RouterProcess::start(&namespace, "b");
    let dry = thalweg.table(&["dead-letters", "redrive", "--since", "1h"]);
    assert_lines(&dry, &["PLACE", "0/", "0/", "0/", "Nothing was sent. With --execute 3 would be."]);
    let done = command(&thalweg, &["redrive", "--since", "1h", "--execute"]);
    assert_eq!(said(&done)[1], "handled again, after its start, which is an earlier one of these");
    let ended = namespace.await_ended(1);
    assert!(ended.iter().all(|event| event.execution_id == id), "a start without an id gets the one that it had");
    namespace.verify();
}

struct Mending {
    _directory: tempfile::TempDir,
    file: PathBuf,
}

impl Mending {
    fn new() -> Mending {
        let directory = tempfile::tempdir().unwrap();
        Mending { file: directory.path().join("mended"), _directory: directory }
    }

    fn environment(&self) -> (&'static str, &str) {
        (MENDED, self.file.to_str().unwrap())
    }

    fn mend(&self) {
        File::create(Path::new(&self.file)).unwrap();
    }
}

fn start(id: &str, way: Value) -> (&str, Value) {
    let start = json!({"event_id": format!("{id}-start"), "event_type": "workflow.started", "workflow_id": "mended",
        "occurred_at": "2026-01-01T00:00:00Z", "payload": {"way": way}});
    (id, start)
}

/// In a row, in a branch, in a branch within a branch.
fn starts() -> [(&'static str, Value); 3] {
    [start("row", Value::Null), start("branch", json!("assess")), start("within", json!("within"))]
}

/// All have gone on from where they failed, and every task has taken effect once.
fn assert_mended(namespace: &Namespace) {
    let summary = namespace.verify();
    assert_eq!(summary.in_status(WorkflowStatus::Success), 3, "{summary}");
    for (id, counted) in [("row", Value::Null), ("branch", json!(1)), ("within", json!(2))] {
        let history = namespace.history(id);
        let end = history.iter().find(|event| event.event_type == "workflow.completed").unwrap().payload_value();
        assert_eq!(
            (&end["assessed"], &end["beside"], &end["counted"]),
            (&json!(1), &json!(1), &counted),
            "{id}: {end}"
        );
        let requested = history.iter().filter(|event| event.event_type == "assess.requested").count();
        assert_eq!(requested, 1, "{id}: what was published before is not published again");
    }
}

#[test]
fn a_task_that_gave_up_runs_again_and_its_execution_goes_on() {
    let namespace = Namespace::new("redrive-task");
    let thalweg = Thalweg::of(&namespace);
    let mending = Mending::new();
    let router = RouterProcess::start_with(&namespace, "a", &[mending.environment()]);
    namespace.send(&starts());
    namespace.await_events(&["workflow.failed"], 3);
    let dry = command(&thalweg, &["redrive", "--task", "assess", "--code", "TASK_FAILED"]);
    assert_eq!(said(&dry), ["task assess runs again; execution goes FAILED -> RUNNING"; 3]);
    // Not mended yet: it gives up again, which is another letter.
    command(&thalweg, &["redrive", "--execution", "row", "--execute"]);
    let again = letters(&namespace, 4);
    let again = again.iter().find(|letter| letter.headers.get("redrive").is_some_and(|n| n == "1")).unwrap();
    assert_eq!(again.headers["execution_id"], "row");
    namespace.await_events(&["workflow.failed"], 4);

    mending.mend();
    let done = command(&thalweg, &["redrive", "--all", "--execute"]);
    assert_eq!(done["letters"].as_array().unwrap().len(), 3);
    namespace.await_events(&["workflow.completed"], 3);
    assert!(router.process.log().contains("a redrive needs records"), "{}", router.process.log());
    assert_mended(&namespace);
    assert_eq!(thalweg.json(&["get", "branch"])["context"]["status"], "SUCCESS");
    // What has gone on and ended can't be redriven any more.
    let first = namespace.read(namespace.topics.dead_letters()).remove(0);
    let place = format!("{}/{}", first.partition, first.offset);
    let late = command(&thalweg, &["redrive", &place, "--execute"]);
    assert!(said(&late)[0].ends_with("would be rejected: the execution is closed (SUCCESS)"), "{late}");
    namespace.await_events(&["transition.rejected"], 1);
    namespace.verify();
}

#[test]
fn a_task_redriven_twice_runs_once_more() {
    let namespace = Namespace::new("redrive-twice");
    let thalweg = Thalweg::of(&namespace);
    let mending = Mending::new();
    let _router = RouterProcess::start_with(&namespace, "a", &[mending.environment()]);
    namespace.send(&[start("row", Value::Null)]);
    let letter = letters(&namespace, 1).remove(0);
    let place = format!("{}/{}", letter.partition, letter.offset);
    for _ in 0..2 {
        command(&thalweg, &["redrive", &place, "--execute"]);
    }
    namespace.await_drained();
    let summary = namespace.verify();
    assert_eq!((summary.duplicates, summary.dead_letters), (1, 2), "it gave up twice, not three times");
}

/// A router fails the tasks; another one restores what they left, and is killed in the middle of the redrive; a third
/// one does it.
#[test]
fn a_redrive_survives_a_restart_and_a_kill() {
    let undisturbed = redriven("redrive-undisturbed", None);
    let killed = redriven("redrive-killed", Some(FailPoint::BeforeCommit));
    assert_eq!(undisturbed.difference(&killed), None);
}

fn redriven(name: &str, kill_at: Option<FailPoint>) -> crate::oracle::Outputs {
    let namespace = Namespace::new(name);
    let thalweg = Thalweg::of(&namespace);
    let mending = Mending::new();
    let mut first = RouterProcess::start_with(&namespace, "a", &[mending.environment()]);
    namespace.send(&starts());
    namespace.await_events(&["workflow.failed"], 3);
    namespace.await_drained();
    first.process.signal(Signal::TERM);
    first.process.wait_exit(DEADLINE);
    mending.mend();
    command(&thalweg, &["redrive", "--all", "--execute"]);
    if let Some(point) = kill_at {
        let mut doomed =
            RouterProcess::start_doomed(&namespace, "a", (point, 1, Signal::KILL), &[mending.environment()]);
        doomed.process.wait_exit(DEADLINE);
    }
    let _last = RouterProcess::start_with(&namespace, "a", &[mending.environment()]);
    namespace.await_events(&["workflow.completed"], 3);
    assert_mended(&namespace);
    namespace.outputs()
}

#[test]
fn what_is_discarded_is_shown_no_longer() {
    let namespace = Namespace::new("discard");
    let thalweg = Thalweg::of(&namespace);
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("nobody", json!({"event_type": "x"}))]);
    namespace.send_raw(&[(Some("bytes"), b"\xff".to_vec())], &[]);
    letters(&namespace, 2);
    thalweg.run(&["dead-letters", "discard"]).expect(2).names("say which");
    thalweg.run(&["dead-letters", "redrive"]).expect(2).names("--all");
    thalweg.run(&["dead-letters", "discard", "0/999"]).expect(3).names("0/999");
    thalweg.run(&["dead-letters", "discard", "--since", "soon"]).expect(2);
    thalweg.run(&["dead-letters", "discard", "--until", "2000-01-01T00:00:00Z"]).expect(3);
    let dry = thalweg.table(&["dead-letters", "discard", "--code", "DECODE_FAILED"]);
    assert_lines(&dry, &["PLACE", "Nothing was changed. With --execute 1 would be discarded."]);
    assert_eq!(command(&thalweg, &["list"]).as_array().unwrap().len(), 2);
    command(&thalweg, &["discard", "--code", "DECODE_FAILED", "--reason", "a test", "--execute"]);
    let open = command(&thalweg, &["list"]);
    assert_eq!((open.as_array().unwrap().len(), &open[0]["code"]), (1, &json!("EXECUTION_UNKNOWN")));
    let all = command(&thalweg, &["list", "--all", "--code", "DECODE_FAILED"]);
    assert_eq!((&all[0]["state"], &all[0]["reason"]), (&json!("DISCARDED"), &json!("a test")));
    assert_lines(&thalweg.table(&["dead-letters", "list", "--all"]), &["PLACE  WRITTEN"]);
    thalweg.run(&["dead-letters", "redrive", "--code", "DECODE_FAILED"]).expect(3);
    // Asked for by its place it is redriven all the same, and refused again.
    let place = format!("{}/{}", all[0]["partition"], all[0]["offset"]);
    let done = command(&thalweg, &["redrive", &place, "--execute"]);
    assert!(said(&done)[0].starts_with("already discarded"), "{done}");
    letters(&namespace, 3);
    namespace.verify();
}

/// Of a record that is larger unpacked than the inbox's limit the letter has no more than the beginning: the inbox still
/// has it, and takes it once more.
#[test]
fn a_letter_that_was_cut_is_redriven_whole() {
    let namespace = Namespace::new("redrive-cut");
    let thalweg = Thalweg::of(&namespace);
    let _router = RouterProcess::start(&namespace, "a");
    let bytes = VALUE_MAX_BYTES + 1000;
    let packed = format!(r#"{{"event_type": "x", "payload": "{}"}}"#, "y".repeat(bytes)).into_bytes();
    namespace.send_packed("e", &packed);
    let letter = letters(&namespace, 1).remove(0);
    assert_eq!((letter.headers["code"].as_str(), letter.value.map(|v| v.len())), ("TOO_LARGE", Some(VALUE_MAX_BYTES)));
    assert_eq!(letter.headers["truncated"], packed.len().to_string());
    let done = command(&thalweg, &["redrive", "--all", "--execute"]);
    assert!(said(&done)[0].starts_with("would be TOO_LARGE again"), "{done}");
    let again = inbox_with(&namespace, "redrive").remove(0);
    assert!(again.value.as_deref() == Some(packed.as_slice()), "the whole of it");
    assert_eq!(letters(&namespace, 2)[1].headers["truncated"], packed.len().to_string());

    // Once it is gone from the inbox, too, there is nothing to send.
    let all = command(&thalweg, &["list"]);
    let place = format!("{}/{}", all[0]["partition"], all[0]["offset"]);
    delete_before(&namespace, namespace.topics.inbox(), namespace.partition("e"), 2);
    let gone = thalweg.run(&["dead-letters", "redrive", &place, "--execute", "-o", "json"]).expect(1).document();
    assert!(said(&gone)[0].contains("the inbox keeps the original no longer"), "{gone}");
}

/// Deletes the records before an offset, as retention does.
fn delete_before(namespace: &Namespace, topic: &str, partition: i32, offset: i64) {
    let admin: AdminClient<DefaultClientContext> = namespace.client().create().unwrap();
    let mut until = TopicPartitionList::new();
    until.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin.delete_records(&until, &AdminOptions::new())).unwrap();
}

/// The keys of the marks that stand, and of those that are gone.
fn marks(namespace: &Namespace) -> (Vec<String>, Vec<String>) {
    let mut newest = BTreeMap::new();
    for record in namespace.read(namespace.topics.registry()) {
        newest.insert(String::from_utf8(record.key.unwrap()).unwrap(), record.value.is_some());
    }
    newest.retain(|key, _| key.starts_with("dead-letters/"));
    let (standing, gone): (Vec<_>, Vec<_>) = newest.into_iter().partition(|(_, stands)| *stands);
    (standing.into_iter().map(|(key, _)| key).collect(), gone.into_iter().map(|(key, _)| key).collect())
}

#[test]
fn marks_go_when_their_letters_are_gone() {
    let namespace = Namespace::new("redrive-marks");
    let thalweg = Thalweg::of(&namespace);
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("nobody", json!({"event_type": "x"})), ("nobody", json!({"event_type": "y"}))]);
    let first = letters(&namespace, 2).remove(0);
    let place = |letter: &Read| format!("{}/{}", letter.partition, letter.offset);
    command(&thalweg, &["discard", &place(&first), "--execute"]);
    let (standing, gone) = marks(&namespace);
    assert_eq!((standing.len(), gone.len()), (1, 0));

    // Retention takes the letter. The mark goes with the next decision, and only that one.
    delete_before(&namespace, namespace.topics.dead_letters(), first.partition, first.offset + 1);
    command(&thalweg, &["discard", "--all", "--execute"]);
    let (now_standing, gone) = marks(&namespace);
    assert_eq!((now_standing.len(), &gone), (1, &standing));
    assert_eq!(command(&thalweg, &["list"]), json!([]));
    assert_eq!(command(&thalweg, &["list", "--all"]).as_array().unwrap().len(), 1);
}

/// More failed executions of one partition than a restore brings back at once.
#[test]
fn more_executions_are_redriven_than_one_restore_brings_back() {
    const EXECUTIONS: usize = 300;
    let namespace = Namespace::new("redrive-many");
    let thalweg = Thalweg::of(&namespace);
    let mending = Mending::new();
    let mut failing = RouterProcess::start_with(&namespace, "a", &[mending.environment()]);
    let ids: Vec<String> =
        (0..).map(|n| format!("row-{n}")).filter(|id| namespace.partition(id) == 0).take(EXECUTIONS).collect();
    let starts: Vec<_> = ids.iter().map(|id| start(id, Value::Null)).collect();
    namespace.send(&starts);
    namespace.await_events(&["workflow.failed"], EXECUTIONS);
    namespace.await_drained();
    failing.process.signal(Signal::TERM);
    failing.process.wait_exit(DEADLINE);
    mending.mend();
    let done = command(&thalweg, &["redrive", "--task", "assess", "--execute"]);
    assert_eq!(done["letters"].as_array().unwrap().len(), EXECUTIONS);
    // All commands are there when it starts: the first restore has no room for the last of them.
    let router = RouterProcess::start_with(&namespace, "b", &[mending.environment()]);
    namespace.await_events(&["workflow.completed"], EXECUTIONS);
    let log = router.process.log();
    assert!(log.contains(r#""executions":256"#), "{log}");
    let summary = namespace.verify();
    assert_eq!(summary.in_status(WorkflowStatus::Success), EXECUTIONS, "{summary}");
}
