//! A task that fails is tried again, on the same event, and nothing else is.

use std::time::Duration;

use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::redrive::Request;
use thalweg_core::retry::{self, PERMANENTLY_FAILED, SCHEDULED};
use thalweg_core::timer::FIRED;
use thalweg_core::{
    ErrorCode, FanOut, Limits, NewEvent, Outcome, RetryPolicy, TaskError, WaitFor, Workflow, WorkflowStatus, Workflows,
};

use crate::memory_router::{Log, MemoryRouter, NOW, SCHEMAS};
use crate::timers::{Doing, doing, start};

const SECOND: i64 = 1_000_000;

/// Works at the attempt that the event says, and fails with BUSY before.
fn flaky(policy: RetryPolicy) -> Doing {
    Doing {
        policy,
        ..doing("flaky", "work", |event, context| {
            context.data["touched"] = json!(true);
            if i64::from(context.attempt) < event.payload_value()["works_at"].as_i64().unwrap_or(1) {
                return Err(TaskError::new("BUSY", "not yet"));
            }
            context.data["worked_at"] = json!(context.attempt);
            Ok(Outcome::new().emit(NewEvent::new("worked", json!(context.idempotency_key()))))
        })
    }
}

fn workflows(policy: RetryPolicy) -> Workflows {
    let beside = doing("beside", "work", |_, context| {
        context.data["beside"] = json!(context.data["beside"].as_i64().unwrap_or(0) + 1);
        Ok(Outcome::new())
    });
    let noted = doing("note", "note", |_, context| {
        context.data["noted"] = json!(true);
        Ok(Outcome::new())
    });
    let done = doing("done", "worked", |_, context| Ok(Outcome::new().complete(context.data.clone())));
    Workflows::new().with(Workflow::new("w", "1").task(flaky(policy)).task(beside).task(noted).task(done))
}

fn work(works_at: i64) -> Value {
    json!({"event_type": "work", "execution_id": "e", "event_id": "work", "payload": {"works_at": works_at}})
}

/// Waits of 1, 2 and 4 seconds between 4 attempts.
fn four_attempts() -> RetryPolicy {
    RetryPolicy::attempts(4)
}

fn begun(workflows: &Workflows, works_at: i64) -> MemoryRouter<'_> {
    let mut router = MemoryRouter::new(workflows, Limits::default());
    router.send("e", 0, &start("e"));
    router.send("e", 1, &work(works_at));
    router.commit();
    router
}

fn of_type<'a>(log: &'a Log, event_type: &str) -> Vec<&'a thalweg_core::Event> {
    log.published.iter().filter(|event| event.event_type == event_type).collect()
}

/// J7: the delay is kept, in whichever router the execution is; what else happens meanwhile happens.
#[test]
fn a_task_is_tried_again_after_its_delay_and_the_rest_goes_on() {
    let workflows = workflows(four_attempts());
    let mut router = begun(&workflows, 3);
    assert_eq!(router.log("e").types()[1..], ["workflow.stalled", "work", "task.failed", SCHEDULED]);
    let scheduled = of_type(router.log("e"), SCHEDULED)[0];
    assert_eq!((scheduled.status.as_deref(), scheduled.attempt), (Some("RETRY_SCHEDULED"), 2));
    assert_eq!(scheduled.payload_value()["delay_ms"], 1000);
    let failed = of_type(router.log("e"), "task.failed")[0].error.clone().unwrap();
    assert_eq!((failed.retryable, failed.is_final), (Some(true), Some(false)));
    router.send("e", 2, &json!({"event_type": "note", "execution_id": "e"}));
    router.commit();
    let root = router.contexts.root("e").unwrap();
    assert_eq!((root.status, &*root.data), (WorkflowStatus::Running, &json!({"beside": 1, "noted": true})));
    assert_eq!(router.next_due("e"), Some(NOW + SECOND));

    let mut successor = router.successor();
    successor.pass_until("e", NOW + SECOND);
    successor.commit();
    assert_eq!(successor.log("e").types(), [FIRED, retry::STARTED, "task.failed", SCHEDULED]);
    assert_eq!(successor.next_due("e"), Some(NOW + 3 * SECOND), "twice as long");
    successor.pass_until("e", NOW + 3 * SECOND);
    let log = successor.log("e");
    assert_eq!(log.types()[4..], [FIRED, retry::STARTED, "worked", "workflow.completed"]);
    let end = log.published.last().unwrap().payload_value();
    assert_eq!(end, json!({"beside": 1, "noted": true, "touched": true, "worked_at": 3}));
    assert_eq!(log.dead_letters, []);
}

/// D3: failed four times with at most 3 retries: one PERMANENTLY_FAILED, one dead letter; its redrive begins anew.
#[test]
fn a_task_gives_up_once_and_a_redrive_begins_a_fresh_series() {
    let workflows = workflows(four_attempts());
    let mut router = begun(&workflows, 6);
    router.pass_until("e", NOW + 60 * SECOND);
    router.commit();
    let log = router.log("e");
    let counts = ["task.failed", SCHEDULED, PERMANENTLY_FAILED, "workflow.failed"].map(|t| of_type(log, t).len());
    assert_eq!(counts, [4, 3, 1, 1]);
    let finals: Vec<Option<bool>> =
        of_type(log, "task.failed").iter().map(|event| event.error.as_ref().unwrap().is_final).collect();
    assert_eq!(finals, [Some(false), Some(false), Some(false), Some(true)]);
    assert_eq!(of_type(log, PERMANENTLY_FAILED)[0].status.as_deref(), Some("PERMANENTLY_FAILED"));
    let [letter] = &log.dead_letters[..] else { panic!("{:?}", log.dead_letters) };
    assert_eq!((letter.code, letter.attempts, letter.redrive), (ErrorCode::TaskFailed, 4, 0));
    router.assert_folded("e");
    let root = router.contexts.root("e").unwrap();
    assert_eq!((root.tasks.last().unwrap().attempt, root.tasks.last().unwrap().failures), (4, 4));

    // By now it works at its second attempt.
    let mut event = letter.event.clone();
    event.payload = Some(thalweg_core::Json::from(&json!({"works_at": 2})));
    let request = Request { task_id: "flaky".to_owned(), event };
    let bytes = SCHEMAS.write_event(&request.command(NOW).unwrap()).unwrap();
    let mut inbound = router.read(2, &bytes).unwrap();
    inbound.input.redrive = 1;
    router.step("e", Some(inbound), &mut || false);
    router.commit();
    assert_eq!(router.log("e").published.last().unwrap().event_type, SCHEDULED, "a fresh series of attempts");
    assert_eq!(router.contexts.root("e").unwrap().status, WorkflowStatus::Running);
    router.pass_until("e", NOW + 120 * SECOND);
    router.commit();
    router.assert_folded("e");
    let end = router.log("e").published.last().unwrap();
    assert_eq!(end.event_type, "workflow.completed");
    assert_eq!(end.payload_value()["worked_at"], 2);
    assert_eq!(end.payload_value()["beside"], 1, "the other task of the event ran once");
}

#[test]
fn what_is_final_is_not_tried_again() {
    let hour = Duration::from_secs(3600);
    for (policy, attempts) in [
        (RetryPolicy::attempts(1), 1),
        (four_attempts().not_on("BUSY"), 1),
        (four_attempts().not_on("TASK_FAILED"), 1),
        (four_attempts().total_timeout(Duration::from_secs(4)), 3),
        (four_attempts().total_timeout(hour), 4),
    ] {
        let workflows = workflows(policy.clone());
        let mut router = begun(&workflows, 9);
        router.pass_until("e", NOW + 60 * SECOND);
        let log = router.log("e");
        assert_eq!(of_type(log, "task.failed").len(), attempts, "{policy:?}");
        assert_eq!(log.dead_letters[0].attempts, attempts as i32);
        let told = usize::from(policy.max_attempts > 1);
        assert_eq!(of_type(log, PERMANENTLY_FAILED).len(), told);
    }
}

/// A branch with a retry waiting is not at its end, be it that it would run dry or that its event has come.
#[test]
fn a_branch_waits_for_its_retries() {
    for until in [None, Some("work")] {
        let fan_out = doing("open", STARTED, |event, _| {
            let work = NewEvent::new("work", json!({"works_at": 2}));
            let parts = FanOut::new("parts").then("joined");
            Ok(Outcome::new().fan_out(match event.payload_value()["until"].as_str() {
                Some(until) => parts.branch_until("part", work, until),
                None => parts.branch("part", work),
            }))
        });
        let result = doing("result", "worked", |_, _| Ok(Outcome::new().result(json!("done"))));
        let joined = doing("joined", "joined", |event, _| Ok(Outcome::new().complete(event.payload_value())));
        let workflow = Workflow::new("w", "1").task(fan_out).task(flaky(four_attempts())).task(result).task(joined);
        let workflows = Workflows::new().with(workflow);
        let mut router = MemoryRouter::new(&workflows, Limits::default());
        let mut start = start("e");
        start["payload"] = json!({"until": until});
        router.send("e", 0, &start);
        router.commit();
        router.assert_folded("e");
        assert_eq!(of_type(router.log("e"), "joined").len(), 0);
        router.pass_until("e", NOW + 10 * SECOND);
        router.commit();
        router.assert_folded("e");
        let end = router.log("e").published.last().unwrap().payload_value();
        let expected = if until.is_some() { json!({"works_at": 2}) } else { json!("done") };
        assert_eq!(end["results"]["part"], json!({"status": "SUCCESS", "result": expected}), "{until:?}");
    }
}

/// It waits when nothing but waits is left: a task that will be tried again is work.
#[test]
fn an_execution_with_a_retry_is_not_waiting() {
    let ask = doing("ask", "work", |_, _| Ok(Outcome::new().wait_for(WaitFor::event("answer"))));
    let workflows = Workflows::new().with(Workflow::new("w", "1").task(ask).task(flaky(four_attempts())));
    let mut router = begun(&workflows, 2);
    assert_eq!(router.contexts.root("e").unwrap().status, WorkflowStatus::Running);
    router.pass_until("e", NOW + SECOND);
    router.commit();
    router.assert_folded("e");
    assert_eq!(router.contexts.root("e").unwrap().status, WorkflowStatus::Waiting);
}
