//! A wait ends once: by its answer or by its time.

use std::time::Duration;

use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::timer::{FIRED, WAITING_TIMED_OUT};
use thalweg_core::{Channel, FanOut, Limits, NewEvent, Outcome, WaitFor, Workflow, WorkflowStatus, Workflows};

use crate::memory_router::{MemoryRouter, NOW};
use crate::timers::{doing, start};

const SECOND: i64 = 1_000_000;

/// Waits two seconds for `answer`: then what data.then says, in a branch where data.branch says so.
fn workflows() -> Workflows {
    fn wait(data: &Value) -> Outcome {
        let wait = WaitFor::event("answer").key("k").timeout(Duration::from_secs(2));
        Outcome::new().wait_for(match data["then"].as_str() {
            Some(then) => wait.on_timeout(NewEvent::new(then, json!({}))),
            None => wait,
        })
    }
    let begin = doing("begin", STARTED, |_, context| {
        Ok(match context.data["branch"].as_bool() {
            Some(true) => {
                let part = NewEvent::new("part", json!({}));
                Outcome::new().fan_out(FanOut::new("parts").then("joined").or_else("broken").branch("part", part))
            }
            _ => wait(&context.data),
        })
    });
    let part = doing("part", "part", |_, context| Ok(wait(&context.data)));
    let answer = doing("answer", "answer", |_, _| Ok(Outcome::new().complete(json!("answered"))));
    let default = doing("default", "default", |_, _| Ok(Outcome::new().complete(json!("default"))));
    let alert = doing("alert", WAITING_TIMED_OUT, |event, _| {
        let alert = NewEvent::new("alert.raised", event.payload_value());
        Ok(Outcome::new().emit(alert.on(Channel::NotificationEvents)))
    });
    let broken = doing("broken", "broken", |event, _| Ok(Outcome::new().complete(event.payload_value())));
    let workflow = Workflow::new("w", "1").task(begin).task(part).task(answer).task(default).task(alert).task(broken);
    Workflows::new().with(workflow)
}

fn waiting<'a>(workflows: &'a Workflows, data: Value) -> MemoryRouter<'a> {
    let mut router = MemoryRouter::new(workflows, Limits::default());
    let mut start = start("e");
    start["payload"] = data;
    router.send("e", 0, &start);
    router.commit();
    assert_eq!(router.contexts.root("e").unwrap().status, WorkflowStatus::Waiting);
    router
}

fn answer() -> Value {
    json!({"event_type": "answer", "execution_id": "e", "correlation_id": "k"})
}

fn types_after_start(router: &MemoryRouter) -> Vec<String> {
    router.assert_folded("e");
    router.log("e").types()[1..].iter().map(|event_type| (*event_type).to_owned()).collect()
}

/// C7: it is told, its execution fails, one alert is raised.
#[test]
fn a_wait_that_times_out_fails_its_execution() {
    let workflows = workflows();
    let mut router = waiting(&workflows, json!({}));
    router.pass_until("e", NOW + 2 * SECOND - 1);
    assert_eq!(types_after_start(&router), [""; 0], "not early");
    router.pass_until("e", NOW + 2 * SECOND);
    router.commit();
    assert_eq!(types_after_start(&router), [FIRED, WAITING_TIMED_OUT, "alert.raised", "workflow.failed"]);
    let end = router.log("e").published.last().unwrap();
    assert_eq!(end.error.as_ref().unwrap().code.as_deref(), Some("WAIT_TIMED_OUT"));
    let timed_out = &router.log("e").published[2];
    assert_eq!((timed_out.status.as_deref(), timed_out.channel.as_str()), (Some("TIMED_OUT"), "task-events"));
    assert_eq!(timed_out.payload_value()["event_type"], "answer");
}

#[test]
fn a_wait_that_times_out_goes_on_with_what_it_names() {
    let workflows = workflows();
    for branch in [false, true] {
        let mut router = waiting(&workflows, json!({"then": "default", "branch": branch}));
        let before = router.log("e").published.len();
        router.pass_until("e", NOW + 2 * SECOND);
        router.commit();
        router.assert_folded("e");
        let types = &router.log("e").types()[before..];
        assert_eq!(types, [FIRED, WAITING_TIMED_OUT, "default", "alert.raised", "workflow.completed"]);
        assert_eq!(router.log("e").published.last().unwrap().payload_value(), "default");
    }
}

#[test]
fn a_branch_whose_wait_times_out_fails() {
    let workflows = workflows();
    let mut router = waiting(&workflows, json!({"branch": true}));
    router.pass_until("e", NOW + 2 * SECOND);
    router.commit();
    router.assert_folded("e");
    let end = router.log("e").published.last().unwrap().payload_value();
    assert_eq!(end["results"]["part"]["status"], "FAILED");
    assert_eq!(end["results"]["part"]["result"]["code"], "WAIT_TIMED_OUT");
}

/// At the instant of the time-out whoever is handled first wins, and the other changes nothing.
#[test]
fn an_answer_at_the_instant_of_the_timeout_has_one_winner() {
    let workflows = workflows();
    let mut router = waiting(&workflows, json!({"then": "default"}));
    router.now = NOW + 2 * SECOND;
    router.send("e", 1, &answer());
    router.commit();
    assert_eq!(router.next_due("e"), None);
    router.pass_until("e", NOW + 9 * SECOND);
    assert_eq!(types_after_start(&router), ["answer", "workflow.completed"]);
    assert_eq!(router.log("e").published.last().unwrap().payload_value(), "answered");

    let mut router = waiting(&workflows, json!({"then": "default"}));
    router.pass_until("e", NOW + 2 * SECOND);
    router.send("e", 1, &answer());
    router.commit();
    assert_eq!(router.log("e").published.last().unwrap().payload_value(), "default");
    assert_eq!(router.log("e").rejected.len(), 1, "the answer came too late");
}

/// An answer to a wait that goes on cancels its timer.
#[test]
fn an_answered_wait_does_not_time_out() {
    let begin = doing("begin", STARTED, |_, _| {
        Ok(Outcome::new().wait_for(WaitFor::event("answer").timeout(Duration::from_secs(2))))
    });
    let answer_task = doing("answer", "answer", |_, context| {
        context.data["answered"] = json!(true);
        Ok(Outcome::new())
    });
    let workflows = Workflows::new().with(Workflow::new("w", "1").task(begin).task(answer_task));
    let mut router = waiting(&workflows, json!({}));
    router.send("e", 1, &answer());
    router.commit();
    router.assert_folded("e");
    router.pass_until("e", NOW + 9 * SECOND);
    assert_eq!(router.log("e").types(), [STARTED, "answer", "workflow.stalled"]);
    let root = router.contexts.root("e").unwrap();
    assert_eq!((root.status, root.timers.len(), root.waits.len()), (WorkflowStatus::Running, 0, 0));
}

/// Waits for `answer` once `ask` has come; what is said before is kept.
fn early() -> Workflows {
    let ask = doing("ask", "ask", |_, _| Ok(Outcome::new().wait_for(WaitFor::event("answer").key("k"))));
    let answer = doing("answer", "answer", |event, context| {
        context.data["answers"] = json!(context.data["answers"].as_i64().unwrap_or(0) + 1);
        context.data["last"] = event.payload_value();
        Ok(Outcome::new())
    });
    Workflows::new().with(Workflow::new("w", "1").task(ask).task(answer).awaits("answer"))
}

fn answer_of(number: i64, key: &str) -> Value {
    json!({"event_type": "answer", "execution_id": "e", "correlation_id": key, "event_id": format!("answer-{number}"),
        "payload": number})
}

fn ask(number: i64) -> Value {
    json!({"event_type": "ask", "execution_id": "e", "event_id": format!("ask-{number}")})
}

#[test]
fn an_answer_before_its_wait_is_kept_and_delivered_once() {
    let workflows = early();
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, &start("e"));
    router.send("e", 1, &answer_of(1, "another"));
    router.send("e", 2, &answer_of(2, "k"));
    router.send("e", 3, &answer_of(3, "k"));
    router.commit();
    router.assert_folded("e");
    assert_eq!(router.log("e").types(), [STARTED, "workflow.stalled"]);
    let mut successor = router.successor();
    successor.send("e", 4, &answer_of(2, "k"));
    assert_eq!(successor.log("e").duplicates, 1, "it was taken in");
    successor.send("e", 5, &ask(1));
    successor.commit();
    assert_eq!(successor.log("e").types(), ["ask", "answer", "workflow.stalled"]);
    let root = successor.contexts.root("e").unwrap();
    assert_eq!(root.data, json!({"answers": 1, "last": 2}), "the first with the wait's key");
    assert_eq!((root.early.len(), root.waits.len(), root.status), (2, 0, WorkflowStatus::Running));
    successor.send("e", 6, &ask(2));
    successor.commit();
    assert_eq!(successor.contexts.root("e").unwrap().data, json!({"answers": 2, "last": 3}));
}

#[test]
fn an_answer_that_nobody_waits_for_is_handled_by_nobody_when_its_time_is_over() {
    let workflows = early();
    let limits = Limits { early_ttl_ms: 2000, ..Limits::default() };
    let mut router = MemoryRouter::new(&workflows, limits);
    router.send("e", 0, &start("e"));
    router.send("e", 1, &answer_of(1, "k"));
    router.commit();
    assert_eq!(router.next_due("e"), Some(NOW + 2 * SECOND));
    router.pass_until("e", NOW + 2 * SECOND);
    router.send("e", 2, &ask(1));
    router.commit();
    router.assert_folded("e");
    assert_eq!(types_after_start(&router), ["workflow.stalled", "answer", "event.unhandled", "ask"]);
    let root = router.contexts.root("e").unwrap();
    assert_eq!((root.early.len(), root.waits.len(), &*root.data), (0, 1, &json!({})));
}

#[test]
fn an_answer_that_is_kept_when_its_execution_ends_is_rejected() {
    let end = doing("end", "end", |_, _| Ok(Outcome::new().complete(json!(null))));
    let workflows = Workflows::new().with(Workflow::new("w", "1").task(end).awaits("answer"));
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, &start("e"));
    router.send("e", 1, &answer_of(1, "k"));
    router.send("e", 2, &json!({"event_type": "end", "execution_id": "e"}));
    router.commit();
    assert_eq!(router.log("e").rejected.len(), 1);
    assert_eq!(router.log("e").published.last().unwrap().event_type, "workflow.completed");
}

/// A paused execution's wait keeps its time, and is over once the execution is resumed.
#[test]
fn a_wait_whose_time_comes_during_a_pause_times_out_at_the_resume() {
    let workflows = workflows();
    let mut router = waiting(&workflows, json!({}));
    router.send("e", 1, &json!({"event_type": "workflow.pause.requested", "execution_id": "e"}));
    router.commit();
    router.pass_until("e", NOW + 3 * SECOND);
    router.commit();
    assert_eq!(router.next_due("e"), None);
    assert_eq!(types_after_start(&router), ["workflow.pause.requested", "workflow.paused"]);
    router.send("e", 2, &json!({"event_type": "workflow.resume.requested", "execution_id": "e"}));
    assert_eq!(router.next_due("e"), Some(NOW + 2 * SECOND));
    router.pass_until("e", NOW + 3 * SECOND);
    router.commit();
    assert_eq!(
        types_after_start(&router)[2..],
        ["workflow.resume.requested", "workflow.resumed", FIRED, WAITING_TIMED_OUT, "alert.raised", "workflow.failed"]
    );
}

/// An answer that comes during a pause is in time: the timer is taken back with the wait.
#[test]
fn an_answer_during_a_pause_ends_the_wait() {
    let workflows = workflows();
    let mut router = waiting(&workflows, json!({}));
    router.send("e", 1, &json!({"event_type": "workflow.pause.requested", "execution_id": "e"}));
    router.send("e", 2, &answer());
    router.commit();
    assert_eq!(router.contexts.root("e").unwrap().timers, []);
    router.pass_until("e", NOW + 3 * SECOND);
    router.send("e", 3, &json!({"event_type": "workflow.resume.requested", "execution_id": "e"}));
    router.commit();
    let types = types_after_start(&router);
    assert_eq!(types.last().map(String::as_str), Some("workflow.completed"), "{types:?}");
    assert!(!types.iter().any(|event_type| event_type == FIRED), "{types:?}");
}
