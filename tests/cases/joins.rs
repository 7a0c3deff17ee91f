//! Every join policy, late results, and a fan-out over more items than fit into one transaction.

use serde_json::{Value, json};
use thalweg_core::Event;
use thalweg_core::effect::Effect;

use crate::namespace::{DEADLINE, Namespace};
use crate::oracle::StillOpen;
use crate::router_process::RouterProcess;
use crate::support::{Signal, eventually_observed};

/// A contest by a policy, how its runners finish in turn, how many of them count, and how it is decided.
struct Contest {
    id: &'static str,
    policy: &'static str,
    runners: usize,
    /// Which of them fail.
    finishes: &'static [bool],
    counted: usize,
    end: &'static str,
    counts: Value,
}

fn contests() -> Vec<Contest> {
    let contest = |id, policy, runners, finishes, counted, end, counts: [i64; 3]| Contest {
        id,
        policy,
        runners,
        finishes,
        counted,
        end,
        counts: match counts {
            [succeeded, failed, 0] => json!({"succeeded": succeeded, "failed": failed, "not_required": 0}),
            [succeeded, failed, canceled] => {
                json!({"succeeded": succeeded, "failed": failed, "not_required": 0, "canceled": canceled})
            }
        },
    };
    vec![
        contest("all", "all", 3, &[false, true, false], 3, "contest.lost", [2, 1, 0]),
        contest("fail-fast", "fail_fast", 3, &[false, true, false], 2, "contest.lost", [1, 1, 1]),
        contest("fail-fast-well", "fail_fast", 2, &[false, false], 2, "contest.won", [2, 0, 0]),
        contest("best-effort", "best_effort", 3, &[true, true, false], 3, "contest.won", [1, 2, 0]),
        contest("race", "race", 3, &[true, false, false], 2, "contest.won", [1, 1, 1]),
        contest("race-lost", "race", 2, &[true, true], 2, "contest.lost", [0, 2, 0]),
        contest("quorum", "quorum(2)", 4, &[false, true, false, false], 3, "contest.won", [2, 1, 1]),
        contest("quorum-lost", "quorum(3)", 4, &[true, true, false, false], 2, "contest.lost", [0, 2, 2]),
        contest("quorum-never", "quorum(3)", 2, &[false, false], 0, "contest.lost", [0, 0, 2]),
        contest("empty", "all", 0, &[], 0, "contest.won", [0, 0, 0]),
        contest("empty-race", "race", 0, &[], 0, "contest.lost", [0, 0, 0]),
    ]
}

#[test]
fn a_scope_is_decided_by_its_policy_and_what_comes_later_is_late() {
    let namespace = Namespace::new("joins");
    let router = RouterProcess::start(&namespace, "a");
    let contests = contests();
    let starts: Vec<_> = contests
        .iter()
        .map(|contest| {
            let payload = json!({"policy": contest.policy, "runners": contest.runners});
            (contest.id, json!({"event_type": "workflow.started", "workflow_id": "contest", "payload": payload}))
        })
        .collect();
    namespace.send(&starts);
    let runners = contests.iter().map(|contest| contest.runners).sum();
    let events = namespace.await_events(&["run.requested"], runners);
    for contest in &contests {
        for (number, fails) in contest.finishes.iter().enumerate() {
            let name = format!("runner-{number}");
            let run = |event: &&Event| event.execution_id == contest.id && event.branch.as_ref() == Some(&name);
            let scope = &events.iter().find(run).unwrap().scope;
            let payload = json!({"number": number, "fails": fails});
            let finished = json!({"event_type": "finished", "scope": scope, "branch": name, "payload": payload});
            namespace.send(&[(contest.id, finished)]);
        }
        namespace.send(&[(contest.id, json!({"event_type": "close"}))]);
    }
    namespace.await_ended(contests.len());
    namespace.verify();
    for contest in &contests {
        let history = namespace.history(contest.id);
        let of = |event_type: &str| history.iter().filter(|event| event.event_type == event_type).collect::<Vec<_>>();
        let told: Vec<&Event> = [of("contest.won"), of("contest.lost")].concat();
        let [told] = told[..] else { panic!("{}: told {} times", contest.id, told.len()) };
        assert_eq!(told.event_type, contest.end, "{}", contest.id);
        assert_eq!(told.payload_value()["counts"], contest.counts, "{}", contest.id);
        assert_eq!(told.payload_value()["policy"], contest.policy);
        assert_eq!(of("finished").len(), contest.finishes.len(), "late results are in the log");
        let is_late = |event: &&&Event| event.effects.iter().any(|effect| effect.kind == Effect::Late {}.record().kind);
        let late = of("finished").iter().filter(is_late).count();
        assert_eq!(late, contest.finishes.len() - contest.counted, "{}", contest.id);
        let finished = of("workflow.completed")[0].payload_value()["finished"].as_u64().unwrap_or(0);
        assert_eq!(finished as usize, contest.counted, "{}: late results change nothing", contest.id);
    }
    let (_, metrics) = crate::http::get(&router.admin_addr(), "/metrics");
    for line in [
        "thalweg_joins_total{outcome=\"FAILED\",policy=\"all\"} 1",
        "thalweg_joins_total{outcome=\"JOINED\",policy=\"race\"} 1",
        "thalweg_joins_total{outcome=\"FAILED\",policy=\"race\"} 2",
        "thalweg_joins_total{outcome=\"JOINED\",policy=\"quorum\"} 1",
        "thalweg_joins_total{outcome=\"FAILED\",policy=\"quorum\"} 2",
        "thalweg_joins_total{outcome=\"JOINED\",policy=\"best_effort\"} 1",
        "thalweg_scopes_open 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} in\n{metrics}");
    }
}

/// 10,000 items: their branches begin over many transactions, and a router that dies meanwhile loses none.
#[test]
fn a_branch_for_each_of_many_items_begins_once_whoever_dies() {
    let namespace = Namespace::new("for-each");
    let mut router = RouterProcess::start(&namespace, "a");
    let items = 10_000;
    let start = json!({"event_type": "workflow.started", "workflow_id": "each", "payload": {"items": items}});
    namespace.send(&[("e", start)]);
    let begun = || namespace.events().into_iter().filter(|event| event.event_type == "item.requested");
    eventually_observed(DEADLINE, "some branches", || {
        let count = begun().count();
        if count > 0 { Ok(()) } else { Err(count) }
    });
    router.process.signal(Signal::KILL);
    drop(router);
    let _router = RouterProcess::start(&namespace, "b");
    let events = eventually_observed(DEADLINE, "all branches", || {
        let events: Vec<Event> = begun().collect();
        if events.len() >= items { Ok(events) } else { Err(events.len()) }
    });
    let scope = events[0].scope.clone();
    let mut branches: Vec<usize> = events.iter().map(|event| event.branch.as_ref().unwrap().parse().unwrap()).collect();
    branches.sort_unstable();
    assert_eq!(branches, (0..items).collect::<Vec<_>>());
    let done: Vec<_> = (0..items)
        .map(|number| {
            // Not in the order in which they began.
            let branch = (number * 7919) % items;
            let event = json!({"event_type": "item.done", "scope": scope, "branch": branch.to_string(),
                "event_id": format!("done-{branch}"), "payload": {"branch": branch}});
            ("e", event)
        })
        .collect();
    namespace.send(&done);
    let ended = namespace.await_ended(1);
    let completed = ended.iter().find(|event| event.event_type == "workflow.completed").unwrap();
    assert_eq!(completed.payload_value(), json!({"succeeded": items, "failed": 0, "not_required": 0}));
    let contexts = namespace.read(namespace.topics.contexts());
    let root = contexts.iter().filter(|record| record.key.as_deref() == Some(b"e"));
    let largest = root.map(|record| record.value.as_ref().unwrap().len()).max().unwrap();
    assert!(largest < 100_000, "the largest root record has {largest} bytes");
    namespace.verify_but(StillOpen::None);
}

/// The time of a fan-out is kept across a restart; what comes afterwards is late.
#[test]
fn a_fan_out_whose_time_is_over_is_decided_with_what_is_there() {
    let namespace = Namespace::new("joins-timeout");
    let router = RouterProcess::start(&namespace, "a");
    for (id, policy) in [("all", "all"), ("best", "best_effort")] {
        let payload = json!({"policy": policy, "runners": 3, "timeout_ms": 2500});
        let start = json!({"event_type": "workflow.started", "workflow_id": "contest", "payload": payload});
        namespace.send(&[(id, start)]);
    }
    let runs = namespace.await_events(&["run.requested"], 6);
    let finish = |id: &'static str, name: &str| {
        let run = runs.iter().find(|run| run.execution_id == id && run.branch.as_deref() == Some(name)).unwrap();
        let payload = json!({"number": 0, "fails": false});
        let finished = json!({"event_type": "finished", "scope": run.scope, "branch": name, "payload": payload});
        namespace.send(&[(id, finished)]);
    };
    finish("all", "runner-0");
    finish("best", "runner-1");
    namespace.await_events(&["finished"], 2);
    drop(router);
    let _router = RouterProcess::start(&namespace, "b");
    let ends = namespace.await_events(&["contest.won", "contest.lost"], 2);
    let is_end = |event: &Event| event.event_type.starts_with("contest.");
    let end = |id: &str| ends.iter().find(|event| event.execution_id == id && is_end(event)).unwrap();
    let counts = json!({"succeeded": 1, "failed": 0, "not_required": 0, "canceled": 2});
    for (id, event_type) in [("all", "contest.lost"), ("best", "contest.won")] {
        assert_eq!((&*end(id).event_type, &end(id).payload_value()["counts"]), (event_type, &counts), "{id}");
    }
    let code = end("all").error.as_ref().and_then(|error| error.code.as_deref());
    assert_eq!(code, Some("SCOPE_TIMED_OUT"));
    finish("all", "runner-2");
    namespace.send(&[("all", json!({"event_type": "close"})), ("best", json!({"event_type": "close"}))]);
    let ended = namespace.await_ended(2);
    let completed = |event: &&Event| event.event_type == "workflow.completed";
    assert!(ended.iter().filter(completed).all(|end| end.payload_value()["finished"] == 1), "the late one counts");
    namespace.verify();
}
