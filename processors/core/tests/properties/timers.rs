//! A timer fires once, never early, wherever transactions end in between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::effect::Effect;
use thalweg_core::inbound::STARTED;
use thalweg_core::timer::FIRED;
use thalweg_core::{
    Event, Limits, NewEvent, NewTimer, Outcome, Pattern, RetryPolicy, Task, TaskContext, TaskError, Workflow,
    Workflows, async_trait,
};

use crate::cases;
use crate::memory_router::{Log, MemoryRouter, NOW};
use crate::random_workflow::{tasks, workflows_that_await};
use crate::script::{limits, play, timed_script};

fn effects(log: &Log) -> impl Iterator<Item = (&Event, Effect)> {
    log.published
        .iter()
        .flat_map(|event| event.effects.iter().map(move |recorded| (event, Effect::read(recorded).unwrap().unwrap())))
}

/// Holds that every timer that fired was set, was due, and fired once.
pub fn assert_timers(log: &Log) {
    let mut pending = BTreeMap::new();
    let mut gone = BTreeSet::new();
    for (event, effect) in effects(log) {
        match effect {
            Effect::TimerSet(timer) => assert!(pending.insert(timer.timer_id.clone(), timer).is_none(), "set once"),
            Effect::TimerFired(fired) => {
                let timer = pending.remove(&fired.timer_id).expect("it was set, and neither fired nor was cancelled");
                assert!(timer.due_at <= event.recorded_at.unwrap(), "never early");
                assert_eq!(event.event_type, FIRED);
                assert!(gone.insert(fired.timer_id), "once");
            }
            Effect::TimerCancelled(cancelled) => assert!(pending.remove(&cancelled.timer_id).is_some()),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn every_timer_fires_once_and_not_early(tasks in tasks(), script in timed_script(), limits in limits()) {
        let workflows = workflows_that_await(&tasks);
        let mut router = MemoryRouter::new(&workflows, limits);
        play(&mut router, "e", &script, &mut |router| assert_timers(router.log("e")));
        // Far in the future nothing is pending: it fired, was cancelled, or what it belonged to has ended.
        let mut rounds = 0;
        while router.next_due("e").is_some() && rounds < 5000 {
            router.pass_until("e", router.now + 1_000_000);
            router.commit();
            rounds += 1;
        }
        assert_timers(router.log("e"));
        router.assert_folded("e");
        if let Some(root) = router.contexts.root("e").filter(|root| !root.status.is_closed()) {
            prop_assert_eq!((root.timers, root.timer_events), (vec![], vec![]));
        }
    }
}

type Handling = fn(&Event, &mut TaskContext) -> Result<Outcome, TaskError>;

/// A task that is a function.
pub struct Doing {
    pub id: &'static str,
    pub on: [Pattern; 1],
    pub policy: RetryPolicy,
    pub handle: Handling,
}

pub fn doing(id: &'static str, on: &str, handle: Handling) -> Doing {
    Doing { id, on: [Pattern::new(on)], policy: RetryPolicy::attempts(1), handle }
}

#[async_trait]
impl Task for Doing {
    fn task_id(&self) -> &str {
        self.id
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }
    fn retry_policy(&self) -> &RetryPolicy {
        &self.policy
    }
    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        (self.handle)(event, context)
    }
}

pub fn start(id: &str) -> Value {
    json!({"event_type": STARTED, "execution_id": id, "workflow_id": "w", "event_id": format!("{id}-start")})
}

/// Sets one for later, one for sooner, and one that is cancelled.
fn reminders() -> Workflows {
    let begin = doing("begin", STARTED, |_, context| {
        let reminder = |name: &str| NewEvent::new("reminder", json!({"of": name}));
        Ok(Outcome::new()
            .timer(NewTimer::after("late", Duration::from_secs(20), reminder("late")))
            .timer(NewTimer::at("soon", context.now + 5_000_000, reminder("soon")))
            .timer(NewTimer::after("never", Duration::from_secs(10), reminder("never"))))
    });
    let stop = doing("stop", "stop", |_, _| Ok(Outcome::new().cancel_timer("never")));
    let remind = doing("remind", "reminder", |event, context| {
        let of = event.payload_value()["of"].as_str().unwrap_or_default().to_owned();
        context.data[of.as_str()] = json!(context.data[of.as_str()].as_i64().unwrap_or(0) + 1);
        Ok(if of == "late" { Outcome::new().complete(context.data.clone()) } else { Outcome::new() })
    });
    Workflows::new().with(Workflow::new("w", "1").task(begin).task(stop).task(remind))
}

#[test]
fn timers_fire_in_the_order_of_their_times_in_whichever_router_has_them() {
    let workflows = reminders();
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, &start("e"));
    router.send("e", 1, &json!({"event_type": "stop", "execution_id": "e"}));
    router.commit();
    assert_eq!(router.next_due("e"), Some(NOW + 5_000_000));
    router.now = NOW + 4_999_999;
    router.step("e", None, &mut || false);
    assert_eq!(router.log("e").types(), [STARTED, "stop"], "not a microsecond early");

    let mut successor = router.successor();
    successor.pass_until("e", NOW + 30_000_000);
    successor.commit();
    let log = successor.log("e");
    assert_eq!(log.types(), [FIRED, "reminder", FIRED, "reminder", "workflow.completed"]);
    let fired = &log.published[0];
    assert_eq!(fired.payload_value()["name"], "soon");
    assert_eq!(fired.recorded_at, Some(NOW + 5_000_000));
    assert_eq!(log.published.last().unwrap().payload_value(), json!({"soon": 1, "late": 1}));
    assert_eq!(log.published[1].parent_event_id.as_deref(), Some("e-start"), "it was set by a task of the start");
    // Another router that goes on from the same contexts makes the same: ids derive.
    let mut again = router.successor();
    again.pass_until("e", NOW + 30_000_000);
    assert_eq!(again.log("e").published, log.published);
}

#[test]
fn a_pending_timer_is_no_standstill() {
    let workflows = reminders();
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, &start("e"));
    assert_eq!(router.log("e").types(), [STARTED]);
}

#[test]
fn a_timer_that_makes_no_sense_fails_its_task() {
    for wrong in [
        json!({"name": "t", "event": {"event_type": "x"}}),
        json!({"name": "t", "delay_ms": 1, "at": 1, "event": {"event_type": "x"}}),
        json!({"name": "", "delay_ms": 1, "event": {"event_type": "x"}}),
        json!({"name": "t", "delay_ms": u64::MAX, "event": {"event_type": "x"}}),
        json!({"name": "t", "at": "9999-01-01T00:00:00Z", "event": {"event_type": "x"}}),
        json!({"name": "t", "delay_ms": 1, "event": {"event_type": "timer.fired"}}),
    ] {
        let begin = doing("begin", STARTED, |event, _| {
            Ok(serde_json::from_value(json!({"timer": [event.payload_value()["timer"]]})).unwrap())
        });
        let workflows = Workflows::new().with(Workflow::new("w", "1").task(begin));
        let mut router = MemoryRouter::new(&workflows, Limits::default());
        let mut start = start("e");
        start["payload"] = json!({"timer": wrong});
        router.send("e", 0, &start);
        assert_eq!(router.log("e").dead_letters.len(), 1, "{start}");
    }
}
