//! A fan-out with a time-out is decided once: by its policy, or by its time.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::timer::SCOPE_TIMED_OUT;
use thalweg_core::{FanOut, Limits, NewEvent, Outcome, WaitFor, Workflow, WorkflowStatus, Workflows};

use crate::memory_router::{MemoryRouter, NOW};
use crate::timers::doing;

const SECOND: i64 = 1_000_000;

/// Three branches that each wait for their answer, for two seconds in all; in a branch of another fan-out where
/// data.nested says so.
fn workflows() -> Workflows {
    fn fan_out(data: &Value) -> FanOut {
        let ask = |number: u8| NewEvent::command("ask", json!({ "number": number }));
        let policy = data["policy"].as_str().unwrap_or("all").parse().unwrap();
        let three =
            FanOut::new("three").then("joined").or_else("broken").policy(policy).timeout(Duration::from_secs(2));
        three.branch("b0", ask(0)).branch("b1", ask(1)).branch("b2", ask(2))
    }
    let begin = doing("begin", STARTED, |_, context| {
        Ok(if context.data["nested"] == true {
            let outer = FanOut::new("outer").then("outer.joined").or_else("outer.broken");
            Outcome::new().fan_out(outer.branch("only", NewEvent::command("inner", json!({}))))
        } else {
            Outcome::new().fan_out(fan_out(&context.data))
        })
    });
    let inner = doing("inner", "inner", |_, context| Ok(Outcome::new().fan_out(fan_out(&context.data))));
    let ask = doing("ask", "ask", |event, _| {
        let key = format!("k{}", event.payload_value()["number"]);
        Ok(Outcome::new().wait_for(WaitFor::event("answer").key(&key)))
    });
    let answer = doing("answer", "answer", |event, context| {
        context.data["answers"] = json!(context.data["answers"].as_u64().unwrap_or(0) + 1);
        let payload = event.payload_value();
        Ok(match payload["bad"].as_bool() {
            // Nobody waits for it any more.
            _ if event.branch.is_none() => Outcome::new(),
            Some(true) => Outcome::new().fail("BAD", "it is bad"),
            _ => Outcome::new().complete_branch(payload),
        })
    });
    let joined = doing("joined", "joined", |event, _| Ok(told(event)));
    let broken = doing("broken", "broken", |event, _| Ok(told(event)));
    let outer = doing("outer", "outer.joined", |event, _| {
        Ok(Outcome::new().complete(event.payload_value()["results"]["only"]["result"].clone()))
    });
    let workflow = Workflow::new("w", "1");
    let workflow = workflow.task(begin).task(inner).task(ask).task(answer).task(joined).task(broken).task(outer);
    Workflows::new().with(workflow)
}

/// Ends the branch, or the execution, with how the fan-out ended.
fn told(event: &thalweg_core::Event) -> Outcome {
    let code = event.error.as_ref().and_then(|error| error.code.clone());
    let told = json!({"by": event.event_type, "counts": event.payload_value()["counts"], "code": code});
    if event.branch.is_some() { Outcome::new().complete_branch(told) } else { Outcome::new().complete(told) }
}

fn answer(number: usize, bad: bool) -> Value {
    let key = format!("k{number}");
    json!({"event_type": "answer", "execution_id": "e", "correlation_id": key, "payload": {"bad": bad}})
}

fn waiting<'a>(workflows: &'a Workflows, data: &Value) -> MemoryRouter<'a> {
    let mut router = MemoryRouter::new(workflows, Limits::default());
    router.send("e", 0, &json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "w", "payload": data}));
    router.commit();
    router
}

/// How often the execution has events of this type.
fn count(router: &MemoryRouter, event_type: &str) -> usize {
    router.log("e").types().iter().filter(|known| **known == event_type).count()
}

fn result(router: &MemoryRouter) -> Value {
    router.assert_folded("e");
    assert_eq!(router.log("e").folded.context.as_ref().unwrap().status, WorkflowStatus::Success);
    router.log("e").published.last().unwrap().payload_value()
}

#[test]
fn time_decides_with_what_is_there() {
    let workflows = workflows();
    for nested in [false, true] {
        for (policy, by) in
            [("all", "broken"), ("best_effort", "joined"), ("quorum(2)", "broken"), ("fail_fast", "broken")]
        {
            let mut router = waiting(&workflows, &json!({"policy": policy, "nested": nested}));
            router.send("e", 1, &answer(1, false));
            router.commit();
            router.pass_until("e", NOW + 2 * SECOND - 1);
            assert_eq!(count(&router, SCOPE_TIMED_OUT), 0, "never early");
            router.pass_until("e", NOW + 2 * SECOND);
            let result = result(&router);
            assert_eq!((&result["by"], &result["counts"]["canceled"]), (&json!(by), &json!(2)), "{policy} {nested}");
            assert_eq!(result["code"], if by == "broken" { json!("SCOPE_TIMED_OUT") } else { Value::Null });
            assert_eq!((count(&router, SCOPE_TIMED_OUT), count(&router, by)), (1, 1));
        }
    }
}

#[test]
fn a_scope_that_was_decided_has_no_timer_any_more() {
    let workflows = workflows();
    let mut router = waiting(&workflows, &json!({"policy": "race", "nested": true}));
    router.send("e", 1, &answer(2, false));
    router.commit();
    assert_eq!(router.next_due("e"), None);
    assert_eq!((result(&router)["by"].clone(), count(&router, SCOPE_TIMED_OUT)), (json!("joined"), 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whenever the answers come, before or after the time, with restarts in between: one end, and what is late changes
    /// nothing.
    #[test]
    fn it_is_decided_once(
        policy in prop::sample::select(vec!["all", "best_effort", "race", "quorum(2)", "fail_fast"]),
        nested in any::<bool>(),
        answers in prop::collection::vec((0usize..3, any::<bool>(), 0i64..4, any::<bool>()), 0..6),
    ) {
        let workflows = workflows();
        let mut router = waiting(&workflows, &json!({"policy": policy, "nested": nested}));
        let mut moments = answers;
        moments.sort_by_key(|(_, _, at, _)| *at);
        for (offset, (number, bad, at, commits)) in (1i64..).zip(moments) {
            router.pass_until("e", NOW + at * SECOND);
            let closed = router.log("e").types().contains(&"workflow.completed");
            router.send("e", offset, &answer(number, bad));
            if commits {
                router.commit();
            }
            prop_assert!(!closed || router.log("e").types().last() == Some(&"workflow.completed"));
        }
        router.pass_until("e", NOW + 5 * SECOND);
        router.commit();
        let _ = result(&router);
        prop_assert_eq!(count(&router, "joined") + count(&router, "broken"), 1);
        prop_assert!(count(&router, SCOPE_TIMED_OUT) <= 1);
    }
}
