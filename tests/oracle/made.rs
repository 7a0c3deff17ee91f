//! A run that never was: inbox records made by hand, handled by the step itself, written as a router writes them.
//! The tests of the oracle spoil it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod router;
mod workflow;

use std::sync::LazyLock;

use thalweg_core::Event;
use thalweg_core::context::RecordKey;
use thalweg_core::inbound::STARTED;

pub use super::record::Record;
use super::{Anomaly, ContextRecord, EventRecord, Kind, Observed, Position, StillOpen, Stored, Summary};
use router::Router;
pub use thalweg_core::context::Context;

/// Inbox records of the run, the forwarded one included.
pub const INPUTS: usize = 21;
/// Executions that it leaves open.
pub const STILL_OPEN: [&str; 3] = ["w-pending", "w-resumed", "w-waiting"];

/// When a run begins that is begun at 0, in microseconds since the epoch.
pub const BEGUN: i64 = 1_700_000_000_000_000;

/// The run.
pub fn observed() -> Observed {
    static RUN: LazyLock<Observed> = LazyLock::new(|| run("made", 0));
    RUN.clone()
}

/// The run in a namespace of its own, begun at a time of its own.
pub fn run(namespace: &str, begun: i64) -> Observed {
    let mut router = Router::new(namespace, begun);
    let start = |id: &str, does: &str| {
        format!(
            r#"{{"event_type":"{STARTED}","event_id":"start-{id}","workflow_id":"made","payload":{{"does":"{does}"}}}}"#
        )
    };
    for (id, does) in [
        ("w-car", "fan_out"),
        ("w-branch-fails", "failing_branch"),
        ("w-task-fails", "failing_task"),
        ("w-waiting", "wait"),
        ("w-resumed", "wait"),
        ("w-chain", "chain"),
        ("w-closes", "short_chain"),
        ("w-pending", "chain"),
    ] {
        router.send(id, &start(id, does));
    }
    // Its own start again, another start, and an event, after the end.
    router.send("w-car", &start("w-car", "fan_out"));
    router.send("w-car", &start("w-car", "fan_out").replace("start-w-car", "another-start"));
    router.send("w-car", r#"{"event_type":"note.taken","event_id":"too-late"}"#);
    // The same id twice.
    let note = r#"{"event_type":"note.taken","event_id":"note-1","occurred_at":"2026-01-02T03:04:05Z","payload":1}"#;
    router.send("w-waiting", note);
    router.send("w-waiting", &note.replace("payload\":1", "payload\":\"again\""));
    router.send("w-resumed", r#"{"event_type":"go","event_id":"go-1"}"#);
    // A chain that goes on, with an input behind it; one that closes over an input; one that is left.
    router.send("w-chain", r#"{"event_type":"note.taken","event_id":"note-2"}"#);
    router.send("w-closes", r#"{"event_type":"note.taken","event_id":"note-3"}"#);
    router.send("w-pending", r#"{"event_type":"note.taken","event_id":"note-4"}"#);
    router.go_on("w-chain");
    router.go_on("w-closes");
    // Refused, and sent to the wrong partition.
    router.send("w-car", "{");
    router.send("w-unknown", r#"{"event_type":"note.taken","event_id":"note-5"}"#);
    router.send_astray("w-resumed", r#"{"event_type":"note.taken","event_id":"note-6"}"#);
    router.observed()
}

/// All records of the run but those of the inbox, as a router writes them.
pub fn outputs(run: &Observed) -> Vec<Record> {
    let mut outputs = run.dead_letters.clone();
    let record = |position: &Position, key: Vec<u8>, value: Vec<u8>, input: Option<&Position>| Record {
        position: position.clone(),
        timestamp: run.dead_letters[0].timestamp,
        key: Some(key),
        value: Some(value),
        headers: input.map(|input| ("input".to_owned(), Some(input.to_string().into_bytes()))).into_iter().collect(),
    };
    for EventRecord { position, key, input, event } in &run.events {
        let value = run.schemas.write_event(event).unwrap();
        outputs.push(record(position, key.clone().unwrap(), value, input.as_ref()));
    }
    for (key, ContextRecord { position, stored }) in &run.contexts {
        let value = match stored {
            Stored::Root(root) => run.schemas.write_context(root),
            Stored::Scope(scope) => run.schemas.write_scope(scope),
            Stored::Branch(branch) => run.schemas.write_branch(branch),
        };
        outputs.push(record(position, run.schemas.write_key(key).unwrap(), value.unwrap(), None));
    }
    outputs.sort_by(|a, b| a.position.cmp(&b.position));
    outputs
}

/// Asserts that the oracle finds these.
#[track_caller]
pub fn assert_found(observed: &Observed, expected: &[Kind]) {
    let anomalies = observed.check(StillOpen::Any).expect_err("something is wrong");
    for kind in expected {
        assert!(anomalies.iter().any(|anomaly| anomaly.kind == *kind), "{kind:?} is not among {anomalies:#?}");
    }
}

/// The kinds of what was found, each once.
pub fn kinds(result: Result<Summary, Vec<Anomaly>>) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = result.err().unwrap_or_default().iter().map(|anomaly| anomaly.kind).collect();
    kinds.dedup();
    kinds
}

/// Where the first event of that type of the execution lies among the events.
#[track_caller]
pub fn event_index(observed: &Observed, execution: &str, event_type: &str) -> usize {
    let is_it = |event: &Event| event.execution_id == execution && event.event_type == event_type;
    observed.events.iter().position(|record| is_it(&record.event)).expect("the run has this event")
}

/// The sequence of the execution's newest event.
pub fn last_sequence(observed: &Observed, execution: &str) -> i64 {
    let of_it = observed.events.iter().filter(|record| record.event.execution_id == execution);
    of_it.map(|record| record.event.sequence).max().unwrap()
}

/// The first event with an effect of this kind.
#[track_caller]
pub fn event_with_effect<'a>(observed: &'a mut Observed, kind: &str) -> &'a mut Event {
    let has_it = |event: &Event| event.effects.iter().any(|effect| effect.kind == kind);
    let record = observed.events.iter_mut().find(|record| has_it(&record.event));
    &mut record.expect("the run has this effect").event
}

/// The root record of an execution.
#[track_caller]
pub fn root<'a>(observed: &'a mut Observed, execution: &str) -> &'a mut Context {
    let record = observed.contexts.get_mut(&RecordKey::Root(execution.to_owned())).expect("the run has this context");
    match &mut record.stored {
        Stored::Root(root) => root,
        other => panic!("{other:?} is no root record"),
    }
}

/// The first inbox record whose value is so.
#[track_caller]
pub fn inbox_record(observed: &mut Observed, is_it: impl Fn(&str) -> bool) -> &mut Record {
    let text = |record: &Record| String::from_utf8(record.value.clone().unwrap_or_default()).unwrap();
    observed.inbox.values_mut().find(|record| is_it(&text(record))).expect("the run has this record")
}
