//! What continues as new keeps its id, its data and what it waits for, and its log can be read from there on.

use std::time::Duration;

use serde_json::{Value, json};
use thalweg_core::apply::CONTINUED;
use thalweg_core::inbound::STARTED;
use thalweg_core::records::Records;
use thalweg_core::{
    ErrorCode, FanOut, Limits, NewEvent, NewTimer, Outcome, WaitFor, Workflow, WorkflowStatus, Workflows,
};

use crate::memory_router::{MemoryRouter, NOW};
use crate::timers::{doing, start};

/// Counts its segments in data, and waits for `answer` in the first of them.
fn workflows() -> Workflows {
    let begin = doing("begin", STARTED, |event, context| {
        let count = context.data["count"].as_u64().unwrap_or(0) + 1;
        context.data["count"] = json!(count);
        let begun = Outcome::new().emit(NewEvent::new("round", json!({"began_with": event.event_type})));
        Ok(match count {
            1 => begun.wait_for(WaitFor::event("answer").key("k")).timer(NewTimer::after(
                "reminder",
                Duration::from_secs(9),
                NewEvent::new("remind", json!({})),
            )),
            _ => begun,
        })
    });
    let round = doing("round", "round", |_, context| {
        let rounds = context.data["rounds"].as_u64().unwrap_or(1);
        let is_over = context.data["count"].as_u64() >= Some(rounds);
        Ok(if is_over { Outcome::new() } else { Outcome::new().continue_as_new() })
    });
    let answer = doing("answer", "answer", |_, _| Ok(Outcome::new().complete(json!("answered"))));
    let echo = doing("echo", "round", |_, context| {
        let noise = |outcome: Outcome, number: u64| outcome.emit(NewEvent::new("noise", json!({"number": number})));
        Ok((0..context.data["noise"].as_u64().unwrap_or(0)).fold(Outcome::new(), noise))
    });
    let bad = doing("bad", "bad", |event, _| {
        let new = Outcome::new().continue_as_new();
        let part = |event_type: &str| FanOut::new("p").branch("a", NewEvent::new(event_type, json!({})));
        Ok(match event.payload_value()["as"].as_str() {
            Some("completed") => new.complete(json!(1)),
            Some("fanned out") => new.fan_out(part("part")),
            Some("opened") => Outcome::new().fan_out(part("unheard")),
            Some("branch") => Outcome::new().fan_out(part("bad")),
            _ => new,
        })
    });
    Workflows::new().with(Workflow::new("w", "1").task(begin).task(round).task(echo).task(answer).task(bad))
}

fn started<'a>(workflows: &'a Workflows, limits: Limits, rounds: u64) -> MemoryRouter<'a> {
    started_with(workflows, limits, json!({"rounds": rounds}))
}

fn started_with<'a>(workflows: &'a Workflows, limits: Limits, data: Value) -> MemoryRouter<'a> {
    let mut router = MemoryRouter::new(workflows, limits);
    let mut start = start("e");
    start["payload"] = data;
    router.send("e", 0, &start);
    router.drain("e");
    router.commit();
    router.assert_folded("e");
    router
}

#[test]
fn what_continues_as_new_starts_again_with_its_data_and_its_waits() {
    let workflows = workflows();
    let mut router = started(&workflows, Limits::default(), 3);
    let types = router.log("e").types();
    assert_eq!(types, [STARTED, "round", CONTINUED, "round", CONTINUED, "round"]);
    let root = router.contexts.root("e").unwrap();
    assert_eq!((root.segment, root.status, root.waits.len(), root.timers.len()), (2, WorkflowStatus::Waiting, 1, 1));
    assert_eq!(root.data, json!({"rounds": 3, "count": 3}));
    let began: Vec<Value> = router
        .log("e")
        .published
        .iter()
        .filter(|event| event.event_type == "round")
        .map(|event| event.payload_value()["began_with"].clone())
        .collect();
    assert_eq!(began, [STARTED, CONTINUED, CONTINUED]);
    assert_eq!(router.next_due("e"), Some(NOW + 9_000_000));
    router.send("e", 1, &json!({"event_type": "answer", "execution_id": "e", "correlation_id": "k"}));
    router.send("e", 2, &start("e"));
    router.commit();
    router.assert_folded("e");
    assert_eq!(router.log("e").types()[6..], ["answer", "workflow.completed"]);
    assert_eq!(router.log("e").duplicates, 1, "a start that comes again is one, in any segment");
}

/// A chain without an end is what it is for: only one segment's is limited.
#[test]
fn a_chain_begins_anew_with_each_segment() {
    let workflows = workflows();
    let limits = Limits { chain_max_depth: 3, step_max_events: 7, ..Limits::default() };
    let router = started(&workflows, limits, 50);
    let root = router.contexts.root("e").unwrap();
    assert_eq!((root.segment, root.status), (49, WorkflowStatus::Waiting));
}

/// Retention may have taken what was before.
#[test]
fn the_log_from_a_boundary_on_folds_to_the_context() {
    let workflows = workflows();
    let limits = Limits { step_max_events: 2, ..Limits::default() };
    let router = started_with(&workflows, limits, json!({"rounds": 4, "noise": 5}));
    let log = router.log("e");
    let boundaries = log.published.iter().enumerate().filter(|(_, event)| event.event_type == CONTINUED);
    let boundaries: Vec<usize> = boundaries.map(|(place, _)| place).collect();
    assert_eq!(boundaries.len(), 3);
    for boundary in boundaries {
        let (mut folded, mut whole) = (Records::default(), Records::default());
        for event in &log.published[..boundary] {
            whole.fold_event(event).unwrap();
        }
        for event in &log.published[boundary..] {
            folded.fold_event(event).unwrap();
            whole.fold_event(event).unwrap();
            assert_eq!(folded, whole, "pending and all");
        }
    }
}

#[test]
fn what_goes_with_no_boundary_is_an_error_of_the_task() {
    let workflows = workflows();
    let cases = [
        (&["completed"][..], "no complete"),
        (&["fanned out"], "a fan-out is open"),
        (&["opened", "now"], "a fan-out is open"),
        (&["branch"], "a fan-out is open"),
    ];
    for (ways, says) in cases {
        let mut router = started(&workflows, Limits::default(), 1);
        for (offset, way) in (1..).zip(ways) {
            router.send("e", offset, &json!({"event_type": "bad", "execution_id": "e", "payload": {"as": way}}));
        }
        router.commit();
        router.assert_folded("e");
        let log = router.log("e");
        assert!(log.dead_letters[0].message.contains(says), "{ways:?}: {:?}", log.dead_letters);
        assert!(!log.types().contains(&CONTINUED), "{ways:?}");
    }
}

/// Two tasks decide on one event: the one continues as new, the other fans out behind its back.
#[test]
fn a_fan_out_that_opens_before_the_boundary_fails_the_execution() {
    let begin = doing("begin", STARTED, |event, _| {
        let new = Outcome::new().continue_as_new();
        Ok(if event.event_type == STARTED { new } else { Outcome::new() })
    });
    let beside = doing("beside", STARTED, |_, _| {
        Ok(Outcome::new().fan_out(FanOut::new("p").branch("a", NewEvent::new("unheard", json!({})))))
    });
    let workflows = Workflows::new().with(Workflow::new("w", "1").task(begin).task(beside));
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, &start("e"));
    router.drain("e");
    router.commit();
    router.assert_folded("e");
    let end = router.log("e").published.last().unwrap().clone();
    assert_eq!(end.event_type, "workflow.failed");
    assert!(end.error.unwrap().message.contains("a fan-out is open"));
    assert_eq!(router.contexts.root("e").unwrap().segment, 0);
}

#[test]
fn data_that_fits_no_payload_is_an_error_of_the_task() {
    let begin = doing("begin", STARTED, |_, context| {
        context.data["long"] = json!("x".repeat(2000));
        Ok(Outcome::new().continue_as_new())
    });
    let workflows = Workflows::new().with(Workflow::new("w", "1").task(begin));
    let mut router = MemoryRouter::new(&workflows, Limits { payload_max_bytes: 1000, ..Limits::default() });
    router.send("e", 0, &start("e"));
    router.commit();
    router.assert_folded("e");
    assert_eq!(router.log("e").dead_letters[0].code, ErrorCode::ResultTooLarge);
}
