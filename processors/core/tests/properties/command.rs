//! Commands to an execution: pause, resume, cancel.

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::command::legal;
use thalweg_core::inbound::STARTED;
use thalweg_core::limits::PENDING_MAX;
use thalweg_core::{
    Event, FanOut, Limits, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, WaitFor, Workflow,
    WorkflowCommand, WorkflowStatus, Workflows, async_trait,
};

use crate::cases;
use crate::memory_router::MemoryRouter;
use crate::random_workflow::{tasks, workflows};
use crate::script::{Settled, limits, play, timed_script};

/// What waits, fans out, answers and counts.
struct Office([Pattern; 1]);

#[async_trait]
impl Task for Office {
    fn task_id(&self) -> &str {
        "office"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let count = context.data[&event.event_type].as_i64().unwrap_or(0);
        context.data[&event.event_type] = json!(count + 1);
        let ask = || NewEvent::command("ask", json!({}));
        Ok(match event.event_type.as_str() {
            STARTED => Outcome::new().fan_out(FanOut::new("desks").then("desks.done").branch("a", ask())),
            "ask" => Outcome::new().wait_for(WaitFor::event("answer")),
            "answer" => Outcome::new().complete_branch(event.payload_value()),
            "emits" => Outcome::new().emit(NewEvent::new("emitted", json!({}))),
            "desks.done" => Outcome::new().emit(NewEvent::new("then", json!({}))),
            "finish" => Outcome::new().complete(context.data.clone()),
            _ => Outcome::new(),
        })
    }
}

fn office() -> Workflows {
    Workflows::new().with(Workflow::new("office", "1").task(Office([Pattern::new("*")])))
}

fn event(event_type: &str) -> Value {
    json!({"event_type": event_type, "execution_id": "e"})
}

fn started<'a>(workflows: &'a Workflows, limits: Limits) -> MemoryRouter<'a> {
    let mut router = MemoryRouter::new(workflows, limits);
    router.send("e", 0, &json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "office"}));
    router
}

fn status(router: &mut MemoryRouter) -> WorkflowStatus {
    router.commit();
    router.assert_folded("e");
    router.contexts.root("e").unwrap().status
}

/// C5: pause, then a task's success, then resume: nothing is dispatched while it is paused.
#[test]
fn what_comes_during_a_pause_is_published_and_routed_afterwards() {
    let workflows = office();
    let mut router = started(&workflows, Limits::default());
    assert_eq!(status(&mut router), WorkflowStatus::Waiting);
    let reason = json!({"event_type": "workflow.pause.requested", "execution_id": "e", "payload": {"reason": "lunch"}});
    router.send("e", 1, &reason);
    assert_eq!(status(&mut router), WorkflowStatus::Paused);
    router.send("e", 2, &event("answer"));
    router.send("e", 3, &event("noted"));
    assert_eq!(status(&mut router), WorkflowStatus::Paused);
    let context = router.contexts.root("e").unwrap();
    assert_eq!((context.data.get("answer"), context.waits.len(), context.pending.len()), (None, 0, 2));
    let before = ["answer", "noted"].map(|of| router.log("e").published.iter().position(|e| e.event_type == of));
    assert!(before.iter().all(Option::is_some), "an input is published when it comes");

    router.send("e", 4, &event("workflow.resume.requested"));
    router.drain("e");
    assert_eq!(status(&mut router), WorkflowStatus::Running);
    let context = router.contexts.root("e").unwrap();
    for once in ["answer", "noted", "desks.done", "then"] {
        assert_eq!(context.data[once], json!(1), "{once}");
    }
    let types = router.log("e").types();
    let place = |of: &str| types.iter().position(|event_type| *event_type == of).unwrap();
    assert!(place("workflow.pause.requested") < place("workflow.paused"));
    assert!(place("workflow.paused") < place("answer"));
    assert!(place("workflow.resumed") < place("event.resumed") && place("event.resumed") < place("desks.done"));
    assert_eq!(router.log("e").published[place("workflow.paused")].payload_value(), json!({"reason": "lunch"}));
}

#[test]
fn a_pause_and_a_cancel_come_before_what_is_pending() {
    for (command, status_after) in [("pause", WorkflowStatus::Paused), ("cancel", WorkflowStatus::Canceled)] {
        let workflows = office();
        let mut router = started(&workflows, Limits { step_max_events: 1, ..Limits::default() });
        router.drain("e");
        router.send("e", 1, &event("emits"));
        assert!(router.has_queued("e"), "what was emitted is pending");
        router.send("e", 2, &event(&format!("workflow.{command}.requested")));
        assert!(!router.has_queued("e"));
        assert_eq!(status(&mut router), status_after);
        assert_eq!(router.contexts.root("e").unwrap().data.get("emitted"), None);
        if status_after == WorkflowStatus::Paused {
            router.send("e", 3, &event("workflow.resume.requested"));
            router.drain("e");
            assert_eq!(status(&mut router), WorkflowStatus::Waiting);
            assert_eq!(router.contexts.root("e").unwrap().data["emitted"], json!(1));
        } else {
            let last = router.log("e").published.last().unwrap();
            assert_eq!((last.event_type.as_str(), last.status.as_deref()), ("workflow.canceled", Some("CANCELED")));
            assert_eq!(last.error.as_ref().unwrap().message, "canceled");
        }
    }
}

#[test]
fn a_cancel_ends_a_paused_execution() {
    let workflows = office();
    let mut router = started(&workflows, Limits::default());
    for (offset, sent) in (1..).zip(["workflow.pause.requested", "noted", "workflow.cancel.requested", "noted"]) {
        router.send("e", offset, &event(sent));
    }
    assert_eq!(status(&mut router), WorkflowStatus::Canceled);
    let log = router.log("e");
    assert_eq!(log.types().last(), Some(&"workflow.canceled"));
    assert_eq!(log.types().iter().filter(|event_type| **event_type == "noted").count(), 1);
    assert_eq!(log.rejected.len(), 1, "what comes after the end is rejected");
}

#[test]
fn a_pause_is_no_way_to_fill_the_context_without_end() {
    let workflows = office();
    let mut router = started(&workflows, Limits { context_max_bytes: 20_000, ..Limits::default() });
    router.send("e", 1, &event("workflow.pause.requested"));
    let mut offset = 2;
    while !router.contexts.root("e").is_some_and(|root| root.status.is_closed()) {
        assert!(offset < PENDING_MAX as i64);
        router.send("e", offset, &event("noted"));
        router.commit();
        offset += 1;
    }
    assert_eq!(router.log("e").types().last(), Some(&"workflow.limit_exceeded"));
    router.assert_folded("e");
}

#[test]
fn what_the_state_does_not_allow_is_rejected_with_what_it_does() {
    // How an execution comes to a status, and a command that this one does not allow.
    let cases: [(&[&str], &str, WorkflowStatus); 7] = [
        (&[], "workflow.resume.requested", WorkflowStatus::Waiting),
        (&[], STARTED, WorkflowStatus::Waiting),
        (&["workflow.pause.requested"], "workflow.pause.requested", WorkflowStatus::Paused),
        (&["finish"], "workflow.cancel.requested", WorkflowStatus::Success),
        (&["finish"], "workflow.pause.requested", WorkflowStatus::Success),
        (&["workflow.cancel.requested"], "workflow.resume.requested", WorkflowStatus::Canceled),
        (&["workflow.cancel.requested"], "workflow.cancel.requested", WorkflowStatus::Canceled),
    ];
    for (way, illegal, in_status) in cases {
        let workflows = office();
        let mut router = started(&workflows, Limits::default());
        for (offset, sent) in (1..).zip(way) {
            router.send("e", offset, &event(sent));
        }
        let before = router.log("e").published.len();
        router.send("e", 9, &json!({"event_type": illegal, "execution_id": "e", "event_id": "illegal"}));
        assert_eq!(status(&mut router), in_status, "{illegal}");
        let log = router.log("e");
        assert_eq!(log.published.len(), before, "{illegal} changes nothing");
        let [rejected] = &log.rejected[..] else { panic!("{:?}", log.rejected) };
        let payload = rejected.payload_value();
        assert_eq!(rejected.status.as_deref(), Some(in_status.as_str()));
        assert_eq!((&payload["event_type"], &payload["status"]), (&json!(illegal), &json!(in_status)));
        assert_eq!(payload["legal"], json!(legal(in_status)));
        assert!(!legal(in_status).contains(&illegal));
    }
}

#[test]
fn a_command_that_nobody_can_carry_out_is_a_dead_letter_and_one_sent_twice_a_duplicate() {
    let workflows = office();
    let mut router = started(&workflows, Limits::default());
    for command in WorkflowCommand::ALL {
        router.send("nobody", 0, &json!({"event_type": command.as_str(), "execution_id": "nobody"}));
    }
    let codes: Vec<&str> = router.log("nobody").dead_letters.iter().map(|letter| letter.code.as_str()).collect();
    assert_eq!(codes, ["EXECUTION_UNKNOWN"; 3]);
    let pause = json!({"event_type": "workflow.pause.requested", "execution_id": "e", "event_id": "p"});
    router.send("e", 1, &pause);
    router.send("e", 2, &pause);
    assert_eq!((router.log("e").duplicates, router.log("e").rejected.len()), (1, 0));
}

proptest! {
    #![proptest_config(cases(200))]

    /// An execution that is paused and resumed at any time comes to what it would have come to.
    #[test]
    fn a_pause_leaves_the_fold_and_the_log_whole(
        tasks in tasks(), script in timed_script(), limits in limits(),
        commands in prop::collection::vec(prop::sample::select(WorkflowCommand::ALL), 0..20), seldom in 1..4usize,
    ) {
        let workflows = workflows(&tasks);
        let played = play(&mut MemoryRouter::new(&workflows, limits), "e", &script, &mut |_| ());
        let mut router = MemoryRouter::new(&workflows, limits);
        let mut commands = commands.into_iter();
        for (number, settled) in played.iter().enumerate() {
            let offset = number as i64 * 2;
            match settled {
                Settled::Input(text) => {
                    if let Ok(inbound) = router.read(offset, text.as_bytes()) {
                        router.step("e", Some(inbound), &mut || false);
                    }
                }
                Settled::GoOn if router.has_queued("e") => router.step("e", None, &mut || false),
                Settled::GoOn => {}
                Settled::Commit => router.commit(),
                Settled::Pass(ms) => {
                    router.now += *ms as i64 * 1000;
                    router.step("e", None, &mut || false);
                }
            }
            router.assert_folded("e");
            if number % seldom == 0 && let Some(command) = commands.next() {
                router.send("e", offset + 1, &event(command.as_str()));
                router.assert_folded("e");
            }
        }
        if router.has_queued("e") {
            router.drain("e");
        }
        router.commit();
        router.assert_folded("e");
        let log = router.log("e");
        for (before, published) in log.published.iter().enumerate() {
            prop_assert_eq!(published.sequence, before as i64 + 1);
        }
        let paused = log.folded.context.as_ref().is_some_and(|context| context.status == WorkflowStatus::Paused);
        if !paused {
            prop_assert!(log.folded.pending.is_empty() || log.folded.context.as_ref().unwrap().status.is_closed());
        }
    }
}
