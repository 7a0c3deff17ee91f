//! By whatever policy, a scope is decided once, as soon as it can be; what is left is given up, and what comes later is
//! late.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    BranchCounts, Event, FanOut, JoinPolicy, Limits, NewEvent, Outcome, Pattern, ScopeStatus, Task, TaskContext,
    TaskError, WaitFor, Workflow, WorkflowStatus, Workflows, async_trait,
};

use crate::cases;
use crate::memory_router::MemoryRouter;
use crate::random_workflow::policy;

/// Opens a scope of which each branch waits, or has a scope of its own whose only branch waits; ends branches as events
/// from outside say.
struct Asking([Pattern; 1]);

#[async_trait]
impl Task for Asking {
    fn task_id(&self) -> &str {
        "asking"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let payload = event.payload_value();
        let ask = || NewEvent::command("ask", json!({}));
        Ok(match event.event_type.as_str() {
            STARTED => {
                let policy: JoinPolicy = serde_json::from_value(payload["policy"].clone()).unwrap();
                let mut fan_out = FanOut::new("asked").policy(policy).then("decided").or_else("decided");
                for (ordinal, nested) in payload["branches"].as_array().unwrap().iter().enumerate() {
                    let first = if nested == true { NewEvent::command("nest", json!({})) } else { ask() };
                    fan_out = fan_out.branch(&ordinal.to_string(), first);
                }
                Outcome::new().fan_out(fan_out)
            }
            "nest" => Outcome::new().fan_out(FanOut::new("within").then("within.joined").branch("only", ask())),
            "ask" => Outcome::new().wait_for(WaitFor::event("answer")),
            "answer" => {
                context.data["answered"] = json!(context.data["answered"].as_i64().unwrap_or(0) + 1);
                match payload["fails"].as_bool() {
                    Some(true) => Outcome::new().fail("PLANNED", "as planned"),
                    _ => Outcome::new().complete_branch(payload),
                }
            }
            "within.joined" => Outcome::new(),
            "scope.failed" => Outcome::new().fail("PLANNED", "a scope within failed"),
            "decided" => {
                context.data["decided"] = json!(context.data["decided"].as_i64().unwrap_or(0) + 1);
                Outcome::new()
            }
            other => return Err(TaskError::new("UNHEARD_OF", other)),
        })
    }
}

fn workflows() -> Workflows {
    Workflows::new().with(Workflow::new("asking", "1").task(Asking([Pattern::new("*")])))
}

/// A branch: it has a scope within, and how its answer ends it.
#[derive(Clone, Debug)]
struct Plan {
    nested: bool,
    fails: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    (prop::bool::weighted(0.3), prop::bool::weighted(0.4)).prop_map(|(nested, fails)| Plan { nested, fails })
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn a_scope_is_decided_once_and_as_soon_as_it_can_be(
        policy in policy(), plans in prop::collection::vec(plan(), 0..6),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        commits in prop::collection::vec(any::<bool>(), 16), cuts in prop::collection::vec(prop::bool::weighted(0.3), 16),
        step_max_events in 1..8u32,
    ) {
        let workflows = workflows();
        let mut router = MemoryRouter::new(&workflows, Limits { step_max_events, ..Limits::default() });
        let nested: Vec<bool> = plans.iter().map(|plan| plan.nested).collect();
        let payload = json!({"policy": policy, "branches": nested});
        router.send("e", 0, &json!({
            "event_type": STARTED, "execution_id": "e", "workflow_id": "asking", "payload": payload,
        }));
        router.drain("e");
        let asked = asked(router.log("e"));
        let mut counts = BranchCounts { total: plans.len() as i32, succeeded: 0, failed: 0 };
        let mut done = BTreeSet::new();
        let mut in_time = 0;
        for (number, index) in order.iter().enumerate().filter(|_| !plans.is_empty()) {
            let branch = index.index(plans.len());
            let decided = policy.verdict(counts) != ScopeStatus::Open;
            if !decided && done.insert(branch) {
                in_time += 1;
                if plans[branch].fails { counts.failed += 1 } else { counts.succeeded += 1 }
            }
            // Of a branch that began after the scope was decided nobody can know.
            let Some((scope, name)) = &asked[branch] else { continue };
            let answer = json!({
                "event_id": format!("answer-{number}"), "event_type": "answer", "execution_id": "e", "scope": scope,
                "branch": name, "payload": {"fails": plans[branch].fails, "number": number},
            });
            let inbound = router.read(number as i64 + 1, answer.to_string().as_bytes()).unwrap();
            router.step("e", Some(inbound), &mut || cuts[number]);
            if commits[number] {
                router.commit();
            }
            // What an answer leads to comes before the next one.
            router.drain("e");
            assert_decided(&router, policy, counts);
        }
        router.drain("e");
        router.commit();
        router.assert_folded("e");
        assert_decided(&router, policy, counts);
        let context = router.contexts.root("e").unwrap();
        prop_assert_eq!(context.data["answered"].as_i64().unwrap_or(0), in_time, "late answers are handled by no task");
        let open = counts.open() as usize;
        match policy.verdict(counts) {
            ScopeStatus::Open => prop_assert_eq!(context.waits.len(), open),
            _ => {
                prop_assert_eq!(context.waits.len(), 0, "what is given up waits for nothing");
                prop_assert_eq!(context.scopes.len(), 0, "what is given up is closed");
                prop_assert_eq!(context.status, WorkflowStatus::Running);
                prop_assert_eq!(&context.data["decided"], &json!(1));
            }
        }
    }
}

/// The scope and branch in which each branch was asked, the nested ones within; none where it was given up before.
fn asked(log: &crate::memory_router::Log) -> Vec<Option<(String, String)>> {
    let opened = log.published.iter().find(|event| event.event_type == STARTED).unwrap();
    let branches = opened.payload_value()["branches"].as_array().unwrap().len();
    let in_branch = |event: &&Event, branch: usize| event.branch.as_deref() == Some(branch.to_string().as_str());
    let place = |event: &Event| event.scope.clone().zip(event.branch.clone());
    let outer: Vec<Option<&Event>> = (0..branches)
        .map(|branch| {
            log.published
                .iter()
                .find(|event| matches!(event.event_type.as_str(), "ask" | "nest") && in_branch(event, branch))
        })
        .collect();
    outer
        .into_iter()
        .map(|first| {
            let first = first?;
            if first.event_type == "ask" {
                return place(first);
            }
            let within = log.published.iter().find(|event| event.parent_event_id.as_ref() == Some(&first.event_id));
            within.filter(|event| event.event_type == "ask").and_then(place)
        })
        .collect()
}

/// The scope's end is told if it is decided, once, with the counts that decided it.
fn assert_decided(router: &MemoryRouter, policy: JoinPolicy, counts: BranchCounts) {
    let log = router.log("e");
    let told: Vec<Value> =
        log.published.iter().filter(|event| event.event_type == "decided").map(Event::payload_value).collect();
    let status = policy.verdict(counts);
    assert_eq!(told.len(), usize::from(status != ScopeStatus::Open), "{policy} of {counts:?}");
    let Some(payload) = told.first() else { return };
    assert_eq!(payload["policy"], json!(policy));
    assert_eq!(payload["status"], json!(status));
    let of = |status: &str| {
        let results = payload["results"].as_object().unwrap().values();
        results.filter(|result| result["status"] == status).count() as i32
    };
    assert_eq!((of("SUCCESS"), of("FAILED"), of("CANCELED")), (counts.succeeded, counts.failed, counts.open()));
    assert_eq!(payload["counts"]["canceled"].as_i64().unwrap_or(0), i64::from(counts.open()));
}
