//! What every execution's log looks like, and that it comes out the same when it is made again.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use thalweg_core::context::Scope;
use thalweg_core::{BranchStatus, ScopeStatus, WorkflowStatus};

use crate::cases;
use crate::memory_router::{Log, MemoryRouter};
use crate::random_workflow::{tasks, workflows};
use crate::script::{Cuts, Happening, limits, perform, play, script};

/// Types of the events that end an execution.
const TERMINAL: [&str; 3] = ["workflow.completed", "workflow.failed", "workflow.limit_exceeded"];

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn a_log_is_gap_free_and_ends_once(tasks in tasks(), script in script(), limits in limits()) {
        let workflows = workflows(&tasks);
        let mut router = MemoryRouter::new(&workflows, limits);
        play(&mut router, "e", &script, &mut |_| ());
        let log = router.log("e");
        assert_in_order(log);
        assert_joins(log);
        assert_inputs_answered(log, &script.happenings);
    }

    #[test]
    fn handling_an_input_again_from_the_same_state_gives_the_same_bytes(
        tasks in tasks(), script in script(), limits in limits(),
    ) {
        let workflows = workflows(&tasks);
        let played = play(&mut MemoryRouter::new(&workflows, limits), "e", &script, &mut |_| ());
        let mut router = MemoryRouter::new(&workflows, limits);
        let mut cuts = Cuts::of(&script);
        for (offset, settled) in played.iter().enumerate() {
            let [(first, _), (second, cuts_after)] = [(); 2].map(|()| {
                let (mut successor, mut cuts) = (router.successor(), cuts.clone());
                perform(&mut successor, "e", settled, offset as i64, &mut cuts);
                successor.commit();
                (successor, cuts)
            });
            prop_assert_eq!(first.log("e"), second.log("e"));
            prop_assert_eq!(&first.contexts, &second.contexts);
            (router, cuts) = (second, cuts_after);
        }
    }
}

/// Sequences without gaps from 1, ids that come once, and nothing after the end.
fn assert_in_order(log: &Log) {
    let mut ids = BTreeSet::new();
    for (before, event) in log.published.iter().enumerate() {
        assert_eq!(event.sequence, before as i64 + 1, "{}", event.event_type);
        assert!(ids.insert(&event.event_id), "{} {} comes twice", event.event_type, event.event_id);
        let ends = TERMINAL.contains(&event.event_type.as_str());
        assert!(!ends || before + 1 == log.published.len(), "events after {}", event.event_type);
    }
    for rejected in &log.rejected {
        assert_eq!((rejected.event_type.as_str(), rejected.sequence), ("transition.rejected", 0));
        assert!(ids.insert(&rejected.event_id), "a rejection comes twice");
    }
    let last = log.published.last().map(|event| event.event_type.as_str());
    let status = log.folded.context.as_ref().map(|context| context.status);
    assert_eq!(status.is_some_and(WorkflowStatus::is_closed), last.is_some_and(|last| TERMINAL.contains(&last)));
}

/// A scope tells its end once, when its last branch is done, and its counts are those of its branches.
fn assert_joins(log: &Log) {
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for event in log.published.iter().filter(|event| event.source.as_deref() == Some("thalweg")) {
        let payload = event.payload_value();
        if let (Some(scope), Some(_)) = (payload["scope"].as_str(), payload.get("counts")) {
            *told.entry(scope.to_owned()).or_default() += 1;
        }
    }
    let running = log.folded.context.as_ref().is_some_and(|context| !context.status.is_closed());
    for (id, scope) in &log.folded.scopes {
        let branches = log.folded.branches.of_scope(id).map(|(_, branch)| branch.status);
        let branches: Vec<BranchStatus> = branches.collect();
        let count = |status| branches.iter().filter(|branch| **branch == status).count() as i32;
        assert_eq!(scope.succeeded, count(BranchStatus::Success), "succeeded in {id}");
        assert_eq!(scope.failed, count(BranchStatus::Failed), "failed in {id}");
        let expected = scope.policy.verdict(scope.counts());
        // Of an execution that has closed the last scopes may have been left as they were.
        if !scope.canceled && (running || scope.status != ScopeStatus::Open) {
            assert_eq!(scope.status, expected, "scope {id}");
        }
        let ends_told = told.get(id).copied().unwrap_or(0);
        let decided = scope.status != ScopeStatus::Open && !scope.canceled;
        assert_eq!(ends_told, usize::from(decided), "ends of scope {id} told");
        if running && scope.status == ScopeStatus::Open {
            assert!(is_open(log, scope), "scope {id} is open in a branch that is done");
        }
    }
}

/// Are the branch of which the scope is part, and that one's scope, open?
fn is_open(log: &Log, scope: &Scope) -> bool {
    let (Some(parent), Some(branch)) = (&scope.parent_scope, &scope.parent_branch) else { return true };
    let branch = log.folded.branches.get(parent, branch);
    branch.is_some_and(|branch| branch.status == BranchStatus::Open)
        && log.folded.scopes.get(parent).is_some_and(|parent| parent.status == ScopeStatus::Open)
}

/// Each input is one event, one rejection, one dead letter or one duplicate; only its tasks' dead letters come besides.
fn assert_inputs_answered(log: &Log, happenings: &[Happening]) {
    let inputs = happenings.iter().filter(|happening| matches!(happening, Happening::Input(_))).count();
    let refused = log.dead_letters.iter().filter(|letter| letter.input.is_some()).count();
    let applied = log.published.iter().filter(|event| event.event_id.starts_with("e-")).count();
    assert_eq!(applied + refused + log.rejected.len() + log.duplicates, inputs + 1);
}
