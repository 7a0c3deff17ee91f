//! Tasks that gave up run again: the fold stays the state, what was published is published once, and what was sent
//! twice happens once.

use std::collections::BTreeSet;

use proptest::prelude::*;
use thalweg_core::WorkflowStatus;
use thalweg_core::apply::DeadLetter;
use thalweg_core::redrive::{REQUESTED, Request};

use crate::cases;
use crate::memory_router::{MemoryRouter, NOW};
use crate::random_workflow::{tasks_that_give_up, workflows};
use crate::script::{Cuts, limits, play, script};

/// The command to run again the task of a dead letter.
fn command(letter: &DeadLetter) -> Vec<u8> {
    let request = Request { task_id: letter.task_id.clone().unwrap(), event: letter.event.clone() };
    serde_json::to_vec(&request.command(NOW).unwrap()).unwrap()
}

/// Redrives the letters of execution `e`, the newest first, at most `count`; each is sent twice. Returns the offset
/// behind the last.
fn redrive(router: &mut MemoryRouter, count: usize, mut offset: i64, cuts: &mut Cuts, check: &dyn Fn(&MemoryRouter)) {
    for _ in 0..count {
        let mut letters = router.log("e").dead_letters.iter();
        let Some(letter) = letters.rfind(|letter| letter.task_id.is_some()).cloned() else { return };
        for _ in 0..2 {
            let mut inbound = match router.read(offset, &command(&letter)) {
                Ok(inbound) => inbound,
                // What the limits of an event leave no room for.
                Err(_) => return,
            };
            inbound.input.redrive = letter.redrive + 1;
            router.step("e", Some(inbound), &mut || cuts.cut());
            check(router);
            router.commit();
            check(router);
            while router.has_queued("e") {
                router.step("e", None, &mut || cuts.cut());
                check(router);
                router.commit();
                check(router);
            }
            offset += 1;
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn an_execution_goes_on_from_where_it_failed(
        tasks in tasks_that_give_up(), script in script(), limits in limits(), count in 1..4usize,
    ) {
        let workflows = workflows(&tasks);
        let mut router = MemoryRouter::new(&workflows, limits);
        play(&mut router, "e", &script, &mut |_| ());
        redrive(&mut router, count, 1_000, &mut Cuts::of(&script), &|router| router.assert_folded("e"));
        let log = router.log("e");
        let mut ids = BTreeSet::new();
        let mut commands = 0;
        for (before, event) in log.published.iter().enumerate() {
            prop_assert_eq!(event.sequence, before as i64 + 1);
            // A command comes again with each redrive of its letter.
            let again = event.event_type == REQUESTED;
            commands += usize::from(again);
            prop_assert!(again || ids.insert(&event.event_id), "{} comes twice", event.event_type);
        }
        prop_assert!(commands <= count, "what is sent twice happens once");
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn only_a_redrive_follows_an_end(tasks in tasks_that_give_up(), script in script(), count in 1..4usize) {
        let workflows = workflows(&tasks);
        let mut router = MemoryRouter::new(&workflows, thalweg_core::Limits::default());
        play(&mut router, "e", &script, &mut |_| ());
        redrive(&mut router, count, 1_000, &mut Cuts::never(), &|_| ());
        let published = &router.log("e").published;
        for pair in published.windows(2) {
            if pair[0].effects.iter().any(|effect| effect.kind == "closed") {
                prop_assert_eq!(pair[1].event_type.as_str(), REQUESTED);
                prop_assert_eq!(pair[0].event_type.as_str(), "workflow.failed");
            }
        }
        let status = router.contexts.root("e").unwrap().status;
        let ended = published.last().is_some_and(|event| event.effects.iter().any(|effect| effect.kind == "closed"));
        prop_assert_eq!(status.is_closed(), ended);
        prop_assert_ne!(status, WorkflowStatus::Pending);
    }
}
