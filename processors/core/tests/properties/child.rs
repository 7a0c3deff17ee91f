//! Children: started once, told of once, canceled or waited for as their parent says.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::child::{COMPLETED, ENDED, FAILED};
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    FanOut, Limits, NewChild, NewEvent, Outcome, ParentClosePolicy, Workflow, WorkflowStatus, Workflows,
};

use crate::memory_router::MemoryRouter;
use crate::timers::doing;

/// The parent starts what its data list, each a child's data, and is done once as many have ended.
fn workflows() -> Workflows {
    let begin = doing("begin", STARTED, |_, context| {
        let policy: ParentClosePolicy = context.data["policy"].as_str().unwrap_or("cancel").parse().unwrap();
        let children = context.data["children"].as_array().cloned().unwrap_or_default();
        let of = |(number, data): (usize, Value)| {
            let workflow = data["workflow"].as_str().unwrap_or("child").to_owned();
            NewChild::new(&workflow, data).named(&format!("c{number}")).on_parent_close(policy)
        };
        let outcome = children.into_iter().enumerate().map(of).fold(Outcome::new(), Outcome::start_child);
        Ok(if context.data["ends"] == true { outcome.complete(json!("early")) } else { outcome })
    });
    let completed = doing("completed", COMPLETED, |event, context| {
        let total = context.data["total"].as_i64().unwrap_or(0) + event.payload_value()["n"].as_i64().unwrap_or(0);
        let ended = context.data["ended"].as_u64().unwrap_or(0) + 1;
        (context.data["total"], context.data["ended"]) = (json!(total), json!(ended));
        let all = context.data["children"].as_array().map_or(0, Vec::len) as u64;
        Ok(if ended == all { Outcome::new().complete(json!(total)) } else { Outcome::new() })
    });
    let parent = Workflow::new("parent", "1").task(begin).task(completed);

    let work = doing("work", STARTED, |_, context| {
        Ok(match context.data["fails"].as_bool() {
            Some(true) => Outcome::new().fail("BROKEN", "on purpose"),
            _ if context.data["waits"] == true => Outcome::new().wait_for(thalweg_core::WaitFor::event("go")),
            _ => Outcome::new().complete(json!({"n": context.data["n"]})),
        })
    });
    let go = doing("go", "go", |_, context| Ok(Outcome::new().complete(json!({"n": context.data["n"]}))));
    let child = Workflow::new("child", "1").task(work).task(go);

    let mended = doing("mended", "mine.failed", |event, _| {
        let error = event.error.as_ref().map(|error| error.code.clone());
        Ok(Outcome::new().complete(json!({"failed": error})))
    });
    let careful = doing("careful", STARTED, |_, context| {
        Ok(Outcome::new()
            .start_child(NewChild::new("child", context.data["child"].clone()).named("c0").or("mine.failed")))
    });
    let deep = doing("deep", STARTED, |_, _| Ok(Outcome::new().start_child(NewChild::new("deep", json!({})))));
    let fans = doing("fans", STARTED, |_, _| {
        let branch = |n: i64| NewEvent::new("part", json!({ "n": n }));
        Ok(Outcome::new().fan_out(FanOut::new("parts").then("joined").branch("a", branch(1)).branch("b", branch(2))))
    });
    let part = doing("part", "part", |event, _| {
        let n = event.payload_value()["n"].clone();
        Ok(Outcome::new().start_child(NewChild::new("child", json!({ "n": n }))))
    });
    let counted = doing("counted", COMPLETED, |event, _| Ok(Outcome::new().result(event.payload_value())));
    let joined =
        doing("joined", "joined", |event, _| Ok(Outcome::new().complete(event.payload_value()["results"].clone())));
    Workflows::new()
        .with(parent)
        .with(child)
        .with(Workflow::new("careful", "1").task(careful).task(mended))
        .with(Workflow::new("deep", "1").task(deep))
        .with(Workflow::new("fans", "1").task(fans).task(part).task(counted).task(joined))
}

fn start(workflow: &str, data: Value) -> Value {
    json!({"event_type": STARTED, "event_id": "s", "execution_id": "p", "workflow_id": workflow, "payload": data})
}

/// Delivers until nothing is on the way, at offsets from here on; whatever is written is saved before it is read.
fn settle(router: &mut MemoryRouter, mut offset: i64) {
    loop {
        router.commit();
        let from: Vec<String> =
            router.logs.iter().filter(|(_, log)| !log.sent.is_empty()).map(|(id, _)| id.clone()).collect();
        if from.is_empty() {
            return;
        }
        for id in from {
            offset = router.deliver(&id, offset, 1);
        }
    }
}

fn run<'a>(workflows: &'a Workflows, workflow: &str, data: Value) -> MemoryRouter<'a> {
    let mut router = MemoryRouter::new(workflows, Limits::default());
    router.send("p", 0, &start(workflow, data));
    settle(&mut router, 1);
    router
}

fn status(router: &MemoryRouter, id: &str) -> Option<WorkflowStatus> {
    router.assert_folded(id);
    router.contexts.root(id).map(|root| root.status)
}

fn count(router: &MemoryRouter, id: &str, event_type: &str) -> usize {
    router.log(id).types().iter().filter(|known| **known == event_type).count()
}

fn result_of(router: &MemoryRouter, id: &str) -> Value {
    router.log(id).published.last().unwrap().payload_value()
}

#[test]
fn a_child_s_end_comes_back_in_the_place_that_started_it() {
    let workflows = workflows();
    let router = run(&workflows, "fans", json!({}));
    assert_eq!(status(&router, "p"), Some(WorkflowStatus::Success));
    let results = result_of(&router, "p");
    assert_eq!((&results["a"]["result"]["n"], &results["b"]["result"]["n"]), (&json!(1), &json!(2)));
    assert_eq!(count(&router, "p", "event.unhandled"), 0);
}

#[test]
fn a_failure_fails_the_parent_unless_a_task_handles_it() {
    let workflows = workflows();
    let router = run(&workflows, "parent", json!({"children": [{"fails": true}]}));
    assert_eq!(
        (status(&router, "c0"), status(&router, "p")),
        (Some(WorkflowStatus::Failed), Some(WorkflowStatus::Failed))
    );
    let end = router.log("p").published.last().unwrap();
    assert_eq!(end.error.as_ref().unwrap().code.as_deref(), Some("CHILD_FAILED"));
    assert_eq!(count(&router, "p", FAILED), 1);

    let router = run(&workflows, "careful", json!({"child": {"fails": true}}));
    assert_eq!(status(&router, "p"), Some(WorkflowStatus::Success));
    assert_eq!(result_of(&router, "p"), json!({"failed": "BROKEN"}));
}

#[test]
fn a_child_that_nobody_can_run_is_a_failure_and_no_wait_for_ever() {
    let workflows = workflows();
    let router = run(&workflows, "parent", json!({"children": [{"workflow": "nowhere"}]}));
    assert_eq!(status(&router, "p"), Some(WorkflowStatus::Failed));
    let told = router.log("p").published.iter().find(|event| event.event_type == FAILED).unwrap();
    assert_eq!(told.error.as_ref().unwrap().code.as_deref(), Some("WORKFLOW_UNKNOWN"));
    assert_eq!(router.log("c0").dead_letters.len(), 1);
}

#[test]
fn children_of_children_end_somewhere() {
    let workflows = workflows();
    let router = run(&workflows, "deep", json!({}));
    assert!(router.logs.len() > 10 && router.logs.len() < 30, "{}", router.logs.len());
    let codes: Vec<_> = router.logs.values().flat_map(|log| &log.dead_letters).map(|letter| letter.code).collect();
    assert_eq!(codes, [thalweg_core::ErrorCode::LimitExceeded]);
    assert!(router.logs.keys().all(|id| status(&router, id).unwrap().is_closed()));
}

/// (policy, status of the parent after its own early end, then of the child)
#[test]
fn a_parent_that_ends_first() {
    let workflows = workflows();
    for (policy, parent, child) in [
        ("cancel", WorkflowStatus::Success, WorkflowStatus::Canceled),
        ("abandon", WorkflowStatus::Success, WorkflowStatus::Waiting),
        ("wait", WorkflowStatus::Waiting, WorkflowStatus::Waiting),
    ] {
        let data = json!({"policy": policy, "ends": true, "children": [{"waits": true, "n": 3}]});
        let mut router = run(&workflows, "parent", data);
        assert_eq!((status(&router, "p"), status(&router, "c0")), (Some(parent), Some(child)), "{policy}");
        if child == WorkflowStatus::Waiting {
            router.send("c0", 500, &json!({"event_type": "go", "execution_id": "c0"}));
            settle(&mut router, 1000);
            assert_eq!(status(&router, "c0"), Some(WorkflowStatus::Success), "{policy}");
            assert_eq!(status(&router, "p"), Some(WorkflowStatus::Success), "{policy}");
            assert_eq!(result_of(&router, "p"), json!(if policy == "wait" { json!(3) } else { json!("early") }));
            assert_eq!(router.log("p").rejected.len(), usize::from(policy == "abandon"), "an answer that nobody wants");
        }
    }
}

#[test]
fn cancel_goes_down_and_also_ends_a_wait_for_children() {
    let workflows = workflows();
    for policy in ["cancel", "wait"] {
        let data = json!({"policy": policy, "children": [{"waits": true}, {"waits": true}]});
        let mut router = run(&workflows, "parent", data);
        assert_eq!(status(&router, "p"), Some(WorkflowStatus::Waiting));
        router.send("p", 50, &json!({"event_type": "workflow.cancel.requested", "execution_id": "p"}));
        settle(&mut router, 1000);
        for id in ["p", "c0", "c1"] {
            assert_eq!(status(&router, id), Some(WorkflowStatus::Canceled), "{policy} {id}");
        }
    }
}

/// While it is paused a child's end is taken, and acts once it goes on.
#[test]
fn a_child_that_ends_while_its_parent_is_paused() {
    let workflows = workflows();
    let mut router = run(&workflows, "parent", json!({"children": [{"waits": true, "n": 4}]}));
    router.send("p", 50, &json!({"event_type": "workflow.pause.requested", "execution_id": "p"}));
    router.send("c0", 500, &json!({"event_type": "go", "execution_id": "c0"}));
    settle(&mut router, 1000);
    assert_eq!(
        (status(&router, "p"), status(&router, "c0")),
        (Some(WorkflowStatus::Paused), Some(WorkflowStatus::Success))
    );
    router.send("p", 1900, &json!({"event_type": "workflow.resume.requested", "execution_id": "p"}));
    router.drain("p");
    settle(&mut router, 1000);
    assert_eq!((status(&router, "p"), result_of(&router, "p")), (Some(WorkflowStatus::Success), json!(4)));
}

#[test]
fn an_end_of_nobody_s_child_is_rejected() {
    let workflows = workflows();
    let mut router = run(&workflows, "parent", json!({"children": [{"waits": true}]}));
    let end = |child: &str| json!({"event_type": ENDED, "execution_id": "p", "status": "SUCCESS", "child": child});
    router.send("p", 300, &end("c7"));
    assert_eq!((router.log("p").rejected.len(), status(&router, "p")), (1, Some(WorkflowStatus::Waiting)));
    for bad in [
        json!({"event_type": ENDED, "execution_id": "p"}),
        json!({"event_type": ENDED, "child": "c0", "status": "RUNNING"}),
    ] {
        assert!(router.read(301, bad.to_string().as_bytes()).is_err(), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is written twice, in whatever order the executions take their turns: each child counts once.
    #[test]
    fn each_child_counts_once(
        numbers in prop::collection::vec(0i64..100, 1..8),
        turns in prop::collection::vec((0usize..9, 1usize..3, any::<bool>()), 1..40),
    ) {
        let workflows = workflows();
        let children: Vec<Value> = numbers.iter().map(|n| json!({ "n": n })).collect();
        let mut router = MemoryRouter::new(&workflows, Limits::default());
        router.send("p", 0, &start("parent", json!({ "children": children })));
        // What a router reads was committed before.
        router.commit();
        let mut offset = 1;
        for (turn, times, commits) in turns {
            let ids: Vec<String> = router.logs.keys().cloned().collect();
            offset = router.deliver(&ids[turn % ids.len()], offset, times);
            if commits {
                router.commit();
            }
        }
        let mut rest: BTreeMap<String, usize> = router.logs.iter().map(|(id, log)| (id.clone(), log.sent.len())).collect();
        while rest.values().any(|left| *left > 0) {
            for id in router.logs.keys().cloned().collect::<Vec<_>>() {
                offset = router.deliver(&id, offset, 2);
            }
            rest = router.logs.iter().map(|(id, log)| (id.clone(), log.sent.len())).collect();
        }
        router.commit();
        prop_assert_eq!(status(&router, "p"), Some(WorkflowStatus::Success));
        prop_assert_eq!(result_of(&router, "p"), json!(numbers.iter().sum::<i64>()));
        prop_assert_eq!(count(&router, "p", COMPLETED), numbers.len());
        for number in 0..numbers.len() {
            prop_assert_eq!(count(&router, &format!("c{number}"), "workflow.completed"), 1);
        }
    }
}
