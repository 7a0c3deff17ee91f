//! A scope joins once, when its last branch is done, whatever the order in which its branches are ended from outside.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    Event, FanOut, Limits, NewEvent, Outcome, Pattern, ScopeStatus, Task, TaskContext, TaskError, Workflow, Workflows,
    async_trait,
};

use crate::cases;
use crate::memory_router::MemoryRouter;

/// How the work of a branch is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// By the event type that the branch names as its end.
    ByType,
    /// A task completes the branch.
    Completed,
    /// A task fails the branch.
    Failed,
    /// A task handles the event, and nothing is left.
    RunsDry,
}

/// What a branch is.
#[derive(Clone, Debug)]
enum Plan {
    NotRequired,
    Work(End),
    /// A scope within.
    Scope(Vec<Plan>),
}

/// Work that is to be ended, by its place: the scope's path and the branch.
#[derive(Clone, Debug)]
struct Work {
    scope_path: String,
    branch: String,
    end: End,
}

fn plan() -> impl Strategy<Value = Plan> {
    let work = prop::sample::select(vec![End::ByType, End::Completed, End::Completed, End::Failed, End::RunsDry]);
    let leaf = prop_oneof![1 => Just(Plan::NotRequired), 6 => work.prop_map(Plan::Work)];
    leaf.prop_recursive(2, 12, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Plan::Scope))
}

/// As a task reads it from a payload.
fn plan_value(plan: &Plan) -> Value {
    match plan {
        Plan::NotRequired => Value::Null,
        Plan::Work(end) => json!({"ends_on": (*end == End::ByType).then_some("work.ended")}),
        Plan::Scope(plans) => json!({ "scope": plans.iter().map(plan_value).collect::<Vec<_>>() }),
    }
}

/// The work in a scope, and whether the scope fails; `scopes` learns how each scope within and itself is to end.
fn work_in(path: &str, plans: &[Plan], work: &mut Vec<Work>, scopes: &mut BTreeMap<String, (i32, i32, usize)>) -> bool {
    let (mut succeeded, mut failed, mut not_required) = (0, 0, 0);
    for (ordinal, plan) in plans.iter().enumerate() {
        let fails = match plan {
            Plan::NotRequired => {
                not_required += 1;
                continue;
            }
            Plan::Work(end) => {
                work.push(Work { scope_path: path.to_owned(), branch: ordinal.to_string(), end: *end });
                *end == End::Failed
            }
            Plan::Scope(within) => work_in(&format!("{path}/{ordinal}"), within, work, scopes),
        };
        if fails { failed += 1 } else { succeeded += 1 }
    }
    scopes.insert(path.to_owned(), (succeeded, failed, not_required));
    failed > 0
}

/// Fans out as the plan in its payload says.
struct Opening([Pattern; 2]);

#[async_trait]
impl Task for Opening {
    fn task_id(&self) -> &str {
        "opening"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        let payload = event.payload_value();
        let path = payload["path"].as_str().unwrap();
        let mut fan_out = FanOut::new(path).then("work.joined").or_else("work.broken");
        for (ordinal, plan) in payload["scope"].as_array().unwrap().iter().enumerate() {
            let name = ordinal.to_string();
            fan_out = match plan {
                Value::Null => fan_out.not_required(&name),
                plan if plan.get("scope").is_some() => {
                    let within = json!({"path": format!("{path}/{ordinal}"), "scope": plan["scope"], "in": path});
                    fan_out.branch(&name, NewEvent::command("scope-within.requested", within))
                }
                plan => {
                    let begin = NewEvent::command("work.requested", json!({ "in": path }));
                    match plan["ends_on"].as_str() {
                        Some(ends_on) => fan_out.branch_until(&name, begin, ends_on),
                        None => fan_out.branch(&name, begin),
                    }
                }
            };
        }
        Ok(Outcome::new().fan_out(fan_out))
    }
}

/// Ends a branch as the event from outside says.
struct Ending([Pattern; 1]);

#[async_trait]
impl Task for Ending {
    fn task_id(&self) -> &str {
        "ending"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        context.data["handled"][&event.event_id] = json!(true);
        Ok(match event.event_type.as_str() {
            "work.done.completed" => Outcome::new().complete_branch(json!("completed")),
            "work.done.failed" => Outcome::new().fail("PLANNED", "as planned"),
            _ => Outcome::new().result(json!("dry")),
        })
    }
}

/// Counts the end of each scope, and hands a failure on.
struct AfterJoin([Pattern; 2]);

#[async_trait]
impl Task for AfterJoin {
    fn task_id(&self) -> &str {
        "after_join"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let payload = event.payload_value();
        let path = payload["name"].as_str().unwrap();
        let ends = context.data["ends"][path].as_u64().unwrap_or(0);
        context.data["ends"][path] = json!(ends + 1);
        let fails = event.event_type == "work.broken" && event.branch.is_some();
        Ok(if fails { Outcome::new().fail("BROKEN", "a scope within failed") } else { Outcome::new() })
    }
}

fn workflows() -> Workflows {
    Workflows::new().with(
        Workflow::new("joins", "1")
            .task(Opening([Pattern::new(STARTED), Pattern::new("scope-within.requested")]))
            .task(Ending([Pattern::new("work.done.*")]))
            .task(AfterJoin([Pattern::new("work.joined"), Pattern::new("work.broken")])),
    )
}

/// One event from outside.
#[derive(Clone, Debug)]
struct Arrival {
    work: prop::sample::Index,
    /// How it is ended where it was ended before: late events change nothing.
    late_end: End,
    /// The same event once more.
    twice: bool,
    cut: bool,
    commit: bool,
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let end = prop::sample::select(vec![End::ByType, End::Completed, End::Failed, End::RunsDry]);
    (any::<prop::sample::Index>(), end, any::<bool>(), prop::bool::weighted(0.3), any::<bool>())
        .prop_map(|(work, late_end, twice, cut, commit)| Arrival { work, late_end, twice, cut, commit })
}

fn event_type_of(end: End) -> &'static str {
    match end {
        End::ByType => "work.ended",
        End::Completed => "work.done.completed",
        End::Failed => "work.done.failed",
        End::RunsDry => "work.done.dry",
    }
}

/// A router with one execution whose scopes are open.
struct Open<'a> {
    router: MemoryRouter<'a>,
    work: Vec<Work>,
    ended: Vec<bool>,
    /// Ids of the events that a task handles: those that came in time.
    in_time: BTreeSet<String>,
    offset: i64,
}

impl Open<'_> {
    /// The id of the scope at `path`.
    fn scope_at(&self, path: &str) -> String {
        let begins = self.router.log("e").published.iter().find(|event| event.payload_value()["in"] == path);
        begins.and_then(|event| event.scope.clone()).unwrap()
    }

    /// An event from outside ends the work, or comes late.
    fn arrive(&mut self, number: usize, arrival: &Arrival) {
        let work = &self.work[number];
        if self.ended[number] && work.end == End::RunsDry {
            // While another event of it is queued a branch has not run dry.
            self.router.drain("e");
        }
        let end = if self.ended[number] { arrival.late_end } else { work.end };
        let event_id = format!("outside-{}", self.offset);
        if !self.ended[number] && end != End::ByType {
            self.in_time.insert(event_id.clone());
        }
        self.ended[number] = true;
        let event = json!({
            "event_id": event_id, "event_type": event_type_of(end), "execution_id": "e",
            "scope": self.scope_at(&work.scope_path), "branch": work.branch,
        });
        for _ in 0..=usize::from(arrival.twice) {
            let inbound = self.router.read(self.offset, event.to_string().as_bytes()).unwrap();
            self.offset += 1;
            self.router.step("e", Some(inbound), &mut || arrival.cut);
        }
        if arrival.commit {
            self.router.commit();
        }
    }

    /// With nothing pending, exactly those scopes have told their end, once, whose work is all ended.
    fn assert_told(&mut self, scopes: &BTreeMap<String, (i32, i32, usize)>) {
        self.router.drain("e");
        for (path, (succeeded, failed, not_required)) in scopes {
            let within = format!("{path}/");
            let mut of_scope = self
                .work
                .iter()
                .zip(&self.ended)
                .filter(|(work, _)| format!("{}/", work.scope_path).starts_with(&within));
            let complete = of_scope.all(|(_, ended)| *ended);
            let told: Vec<&Event> = self
                .router
                .log("e")
                .published
                .iter()
                .filter(|event| event.source.as_deref() == Some("thalweg") && event.payload_value()["name"] == **path)
                .collect();
            assert_eq!(told.len(), usize::from(complete), "ends of {path} told");
            let Some(event) = told.first() else { continue };
            let (event_type, status) = match failed {
                0 => ("work.joined", ScopeStatus::Joined),
                _ => ("work.broken", ScopeStatus::Failed),
            };
            assert_eq!((event.event_type.as_str(), event.status.as_deref()), (event_type, Some(status.as_str())));
            let counts = json!({"succeeded": succeeded, "failed": failed, "not_required": not_required});
            assert_eq!(event.payload_value()["counts"], counts, "counts of {path}");
            let results = event.payload_value()["results"].as_object().map_or(0, |results| results.len());
            assert_eq!(results, (succeeded + failed) as usize + not_required, "results of {path}");
        }
    }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_scope_joins_once_under_any_order_of_its_branches(
        plans in prop::collection::vec(plan(), 0..5),
        arrivals in prop::collection::vec(arrival(), 0..30),
        last_order in prop::collection::vec(any::<u32>(), 64),
        last_arrivals in prop::collection::vec(arrival(), 64),
        step_max_events in 1..6u32,
    ) {
        let (mut work, mut scopes) = (Vec::new(), BTreeMap::new());
        work_in("root", &plans, &mut work, &mut scopes);
        let workflows = workflows();
        let mut router = MemoryRouter::new(&workflows, Limits { step_max_events, ..Limits::default() });
        let start = json!({
            "event_type": STARTED, "execution_id": "e", "workflow_id": "joins",
            "payload": {"path": "root", "scope": plan_value(&Plan::Scope(plans))["scope"], "ends": {}, "handled": {}},
        });
        router.send("e", 0, &start);
        let ended = vec![false; work.len()];
        let mut open = Open { router, work, ended, in_time: BTreeSet::new(), offset: 1 };
        open.assert_told(&scopes);
        open.router.commit();

        let some_work = !open.work.is_empty();
        for arrival in arrivals.iter().filter(|_| some_work) {
            open.arrive(arrival.work.index(open.work.len()), arrival);
            if !arrival.cut {
                open.assert_told(&scopes);
            }
        }
        let mut rest: Vec<usize> = (0..open.work.len()).filter(|number| !open.ended[*number]).collect();
        rest.sort_by_key(|number| last_order[*number % last_order.len()]);
        for (number, arrival) in rest.into_iter().zip(last_arrivals.iter().cycle()) {
            open.arrive(number, arrival);
            open.assert_told(&scopes);
        }
        open.assert_told(&scopes);
        open.router.commit();
        open.router.assert_folded("e");
        let context = open.router.contexts.root("e").unwrap();
        for path in scopes.keys() {
            prop_assert_eq!(&context.data["ends"][path], &json!(1), "ends of {} handled", path);
        }
        let handled: BTreeSet<String> = context.data["handled"].as_object().unwrap().keys().cloned().collect();
        prop_assert_eq!(handled, open.in_time, "late events are handled by no task");
        prop_assert!(context.scopes.is_empty(), "{:?} are left open", context.scopes);
    }
}

/// Emits as many events into its branch as its payload says.
struct Spreading([Pattern; 2]);

#[async_trait]
impl Task for Spreading {
    fn task_id(&self) -> &str {
        "spreading"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        let payload = event.payload_value();
        let outcome = Outcome::new().result(payload.clone());
        if event.event_type == STARTED {
            let begin = NewEvent::command("part.requested", payload);
            return Ok(Outcome::new().fan_out(FanOut::new("root").branch("only", begin)));
        }
        let parts = payload["parts"].as_array().into_iter().flatten();
        Ok(parts.fold(outcome, |outcome, part| outcome.emit(NewEvent::command("part.requested", part.clone()))))
    }
}

/// A tree of parts: each names its place among all.
fn parts() -> impl Strategy<Value = Value> {
    let leaf = any::<u16>().prop_map(|part| json!({ "part": part }));
    leaf.prop_recursive(4, 20, 3, |inner| {
        (any::<u16>(), prop::collection::vec(inner, 0..4))
            .prop_map(|(part, parts)| json!({"part": part, "parts": parts}))
    })
}

fn count_parts(part: &Value) -> usize {
    1 + part["parts"].as_array().into_iter().flatten().map(count_parts).sum::<usize>()
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn a_branch_runs_dry_with_its_last_event(
        part in parts(), step_max_events in 1..6u32, commits in prop::collection::vec(any::<bool>(), 1..10),
    ) {
        let task = Spreading([Pattern::new(STARTED), Pattern::new("part.requested")]);
        let workflows = Workflows::new().with(Workflow::new("parts", "1").task(task));
        let mut router = MemoryRouter::new(&workflows, Limits { step_max_events, ..Limits::default() });
        let start = json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "parts", "payload": part});
        router.send("e", 0, &start);
        let mut commits = commits.into_iter().cycle();
        while router.has_queued("e") {
            if commits.next().unwrap_or(true) {
                router.commit();
            }
            router.step("e", None, &mut || false);
        }
        let log = router.log("e");
        let requested: Vec<&Event> =
            log.published.iter().filter(|event| event.event_type == "part.requested").collect();
        prop_assert_eq!(requested.len(), count_parts(&part));
        let joined: Vec<&Event> = log.published.iter().filter(|event| event.event_type == "scope.completed").collect();
        prop_assert_eq!(joined.len(), 1);
        let last = requested.last().unwrap();
        prop_assert_eq!(joined[0].sequence, last.sequence + 1);
        prop_assert_eq!(&joined[0].payload_value()["results"]["only"]["result"], &last.payload_value());
    }
}
