//! What comes before its execution starts is kept until it does, or its time is over.

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::apply::{Step, drive};
use thalweg_core::inbound::STARTED;
use thalweg_core::limits::BEFORE_START_MAX;
use thalweg_core::original_record::OriginalRecord;
use thalweg_core::{
    EmptyStore, ErrorCode, Execution, FanOut, Limits, NewEvent, Outcome, Workflow, WorkflowStatus, Workflows,
};

use crate::cases;
use crate::memory_router::{MemoryRouter, NOW, SCHEMAS, read_record, run_now};
use crate::timers::{doing, start};

const SECOND: i64 = 1_000_000;

/// Counts `note`s in data, and ends at the third.
fn workflows() -> Workflows {
    let begin = doing("begin", STARTED, |_, _| Ok(Outcome::new().emit(NewEvent::new("begun", json!({})))));
    let note = doing("note", "note", |event, context| {
        let count = context.data["notes"].as_u64().unwrap_or(0) + 1;
        context.data["notes"] = json!(count);
        context.data["last"] = event.payload_value()["number"].clone();
        Ok(if count == 3 { Outcome::new().complete(json!("three")) } else { Outcome::new() })
    });
    let parts = doing("parts", "parts", |_, _| {
        Ok(Outcome::new().fan_out(FanOut::new("p").then("joined").branch("a", NewEvent::new("part", json!({})))))
    });
    Workflows::new().with(Workflow::new("w", "1").task(begin).task(note).task(parts))
}

fn note(number: i64) -> Value {
    json!({"event_type": "note", "execution_id": "e", "event_id": format!("note-{number}"), "payload": {"number": number}})
}

#[test]
fn what_comes_before_the_start_is_handled_after_it_once_and_in_order() {
    let workflows = workflows();
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, &note(1));
    router.commit();
    let shell = router.contexts.root("e").unwrap();
    assert_eq!((shell.status, shell.sequence, shell.early.len()), (WorkflowStatus::Pending, 0, 1));
    assert_eq!(shell.applied_offset, 0);
    let mut successor = router.successor();
    successor.send("e", 1, &note(2));
    successor.send("e", 2, &note(1));
    assert_eq!(successor.log("e").duplicates, 1, "one that is kept has come");
    successor.send("e", 3, &start("e"));
    successor.commit();
    successor.assert_folded("e");
    assert_eq!(successor.log("e").types(), [STARTED, "begun", "note", "note", "workflow.stalled"]);
    assert_eq!(successor.contexts.root("e").unwrap().data, json!({"notes": 2, "last": 2}));
    successor.send("e", 4, &note(2));
    successor.send("e", 5, &note(3));
    successor.commit();
    successor.assert_folded("e");
    assert_eq!(successor.log("e").duplicates, 2);
    assert_eq!(successor.log("e").types()[5..], ["note", "workflow.completed"]);
    assert_eq!(successor.next_due("e"), None);
}

#[test]
fn what_no_start_follows_is_refused_when_its_time_is_over_and_nothing_stays() {
    let workflows = workflows();
    let mut router = MemoryRouter::new(&workflows, Limits { early_start_ttl_ms: 2000, ..Limits::default() });
    router.send("e", 0, &note(1));
    router.commit();
    router.pass_until("e", NOW + SECOND);
    router.send("e", 1, &note(2));
    router.commit();
    router.pass_until("e", NOW + 2 * SECOND - 1);
    assert_eq!(router.log("e").dead_letters, [], "not early");
    router.pass_until("e", NOW + 2 * SECOND);
    router.commit();
    let letters = &router.log("e").dead_letters;
    assert_eq!((letters.len(), letters[0].code), (1, ErrorCode::ExecutionUnknown));
    assert_eq!((letters[0].event.event_id.as_str(), letters[0].input.as_deref()), ("note-1", Some("inbox/0/0")));
    assert_eq!(router.contexts.root("e").unwrap().input_ids.len(), 16, "what was refused may come again");
    router.pass_until("e", NOW + 3 * SECOND);
    router.commit();
    assert_eq!(router.log("e").dead_letters.len(), 2);
    assert_eq!((router.contexts.root("e"), router.next_due("e")), (None, None));
    router.send("e", 2, &start("e"));
    router.send("e", 3, &note(1));
    router.commit();
    assert_eq!(router.log("e").types(), [STARTED, "begun", "workflow.stalled", "note"]);
}

/// The record that a dead letter would hold is kept where there is room for it, of the newest event and once.
#[test]
fn the_record_as_it_came_is_kept_where_there_is_room() {
    let workflows = workflows();
    let limits = Limits { context_max_bytes: 4000, ..Limits::default() };
    let record = |value: &[u8]| OriginalRecord { key: None, value: value.to_vec(), headers: Vec::new() };
    let mut execution = Execution::unknown("e");
    execution.keep_original(&limits, || panic!("nothing came"));
    let step = Step { now: NOW, workflows: &workflows, limits: &limits, store: &EmptyStore };
    for (offset, value) in [(0, &[b'x'; 5000][..]), (1, b"small")] {
        let inbound = read_record(None, offset, note(offset).to_string().as_bytes(), &limits).unwrap();
        drive(&mut execution, Some(inbound), &step, &mut run_now, &mut || false);
        execution.keep_original(&limits, || record(value));
    }
    execution.keep_original(&limits, || panic!("it has one"));
    let records = execution.changed_records(&SCHEMAS).unwrap();
    let early = SCHEMAS.read_context(&records[0].1).unwrap().early;
    let kept: Vec<Option<OriginalRecord>> = early.into_iter().map(|early| early.original).collect();
    assert_eq!(kept, [None, Some(record(b"small"))]);
}

/// Its time is over, and in the same transaction it starts after all.
#[test]
fn a_start_in_the_transaction_in_which_the_time_is_over_stays() {
    let workflows = workflows();
    let mut router = MemoryRouter::new(&workflows, Limits { early_start_ttl_ms: 1000, ..Limits::default() });
    router.send("e", 0, &note(1));
    router.commit();
    router.pass_until("e", NOW + SECOND);
    router.send("e", 1, &start("e"));
    router.commit();
    router.assert_folded("e");
    assert_eq!(router.contexts.root("e").unwrap().status, WorkflowStatus::Running);
    assert_eq!(router.log("e").dead_letters.len(), 1);
}

/// What its state does not allow once it has started is told as ever.
#[test]
fn what_was_kept_is_judged_when_the_execution_has_started() {
    let workflows = workflows();
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    let mut lost = note(1);
    (lost["scope"], lost["branch"]) = (json!("nowhere"), json!("lost"));
    router.send("e", 0, &lost);
    router.send("e", 1, &json!({"event_type": "task.resume.requested", "execution_id": "e", "task": "nobody"}));
    router.send("e", 2, &start("e"));
    router.commit();
    router.assert_folded("e");
    let log = router.log("e");
    let codes: Vec<ErrorCode> = log.dead_letters.iter().map(|letter| letter.code).collect();
    assert_eq!(codes, [ErrorCode::ScopeUnknown]);
    assert_eq!(log.rejected.len(), 1);
    assert_eq!(router.contexts.root("e").unwrap().input_ids.len(), 16, "the start's alone");
}

#[test]
fn a_start_that_is_refused_leaves_what_was_kept() {
    let workflows = workflows();
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, &note(1));
    let unknown = json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "nobody's"});
    router.send("e", 1, &unknown);
    router.send("e", 2, &start("e"));
    router.commit();
    assert_eq!(router.log("e").dead_letters[0].code, ErrorCode::WorkflowUnknown);
    assert_eq!(router.log("e").types(), [STARTED, "begun", "note", "workflow.stalled"]);
}

#[test]
fn commands_and_answers_of_people_are_for_what_has_started() {
    let workflows = workflows();
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    let approval = json!({"event_type": "workflow.approval.decided", "execution_id": "e",
        "payload": {"approval_id": "a", "decision": "approved"}});
    let cancel = json!({"event_type": "workflow.cancel.requested", "execution_id": "e"});
    for (offset, event) in [cancel.clone(), approval, note(1), cancel].iter().enumerate() {
        router.send("e", offset as i64, event);
    }
    assert_eq!(router.log("e").dead_letters.len(), 3);
}

#[test]
fn no_more_is_kept_than_the_limit_and_nothing_where_it_is_switched_off() {
    let workflows = workflows();
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    for number in 0..=BEFORE_START_MAX as i64 {
        router.send("e", number, &note(number));
    }
    assert_eq!(router.log("e").dead_letters.len(), 1);
    let mut off = MemoryRouter::new(&workflows, Limits { early_start_ttl_ms: 0, ..Limits::default() });
    off.send("e", 0, &note(1));
    off.commit();
    assert_eq!((off.log("e").dead_letters.len(), off.contexts.root("e")), (1, None));
}

proptest! {
    #![proptest_config(cases(200))]

    /// Wherever the start comes, wherever transactions end, and whoever goes on: each note is handled once, in order.
    #[test]
    fn where_the_start_comes_makes_no_difference(
        place in 0usize..3, ends in proptest::collection::vec(any::<bool>(), 3), cut_after in 0u32..4,
    ) {
        let workflows = workflows();
        let mut router = MemoryRouter::new(&workflows, Limits { step_max_events: cut_after.max(1), ..Limits::default() });
        let mut inputs = vec![note(1), note(2)];
        inputs.insert(place, start("e"));
        for (offset, (input, ends)) in inputs.iter().zip(ends).enumerate() {
            router.send("e", offset as i64, input);
            if ends {
                router.commit();
            }
        }
        router.drain("e");
        router.commit();
        router.assert_folded("e");
        let root = router.contexts.root("e").unwrap();
        prop_assert_eq!(&*root.data, &json!({"notes": 2, "last": 2}));
        prop_assert_eq!((root.applied_offset, root.input_ids.len(), root.early.len()), (2, 48, 0));
    }
}
