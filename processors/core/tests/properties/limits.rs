//! Limits end what would have no end, and every record fits.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::limits::{ENVELOPE_MAX_BYTES, RECORD_MARGIN_BYTES};
use thalweg_core::{
    ErrorCode, Event, FanOut, Limits, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, WaitFor, Workflow,
    WorkflowStatus, Workflows, async_trait,
};

use crate::cases;
use crate::memory_router::{Log, MemoryRouter};

type Handling = Box<dyn Fn(&Event, &mut TaskContext) -> Outcome + Send + Sync>;

struct Handler {
    id: String,
    on: [Pattern; 1],
    handle: Handling,
}

#[async_trait]
impl Task for Handler {
    fn task_id(&self) -> &str {
        &self.id
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        Ok((self.handle)(event, context))
    }
}

fn on(
    event_type: &str,
    id: &str,
    handle: impl Fn(&Event, &mut TaskContext) -> Outcome + Send + Sync + 'static,
) -> Handler {
    Handler { id: id.to_owned(), on: [Pattern::new(event_type)], handle: Box::new(handle) }
}

fn start(payload: Value) -> Value {
    json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "w", "payload": payload})
}

/// A task that emits its own trigger for ever.
fn endless() -> Workflows {
    let again = |_: &Event, _: &mut TaskContext| Outcome::new().emit(NewEvent::new("again", json!({})));
    Workflows::new().with(Workflow::new("w", "1").task(on(STARTED, "first", again)).task(on("again", "again", again)))
}

fn run_endless(limits: Limits, cuts: &[bool]) -> Log {
    let workflows = endless();
    let mut router = MemoryRouter::new(&workflows, limits);
    router.send("e", 0, &start(json!({})));
    let mut cuts = cuts.iter().copied();
    while router.has_queued("e") {
        router.commit();
        router.step("e", None, &mut || cuts.next().unwrap_or(false));
    }
    router.commit();
    router.assert_folded("e");
    router.log("e").clone()
}

fn assert_ends_at(log: &Log, depth: usize) {
    let mut expected = vec![STARTED];
    expected.extend(std::iter::repeat_n("again", depth + 1));
    expected.push("workflow.limit_exceeded");
    assert_eq!(log.types(), expected);
    let last = log.published.last().unwrap();
    assert_eq!(last.error.as_ref().and_then(|error| error.code.as_deref()), Some("LIMIT_EXCEEDED"));
    assert_eq!(log.folded.context.as_ref().map(|context| context.status), Some(WorkflowStatus::LimitExceeded));
}

#[test]
fn an_endless_chain_ends_at_the_default_depth() {
    let limits = Limits::default();
    assert_ends_at(&run_endless(limits, &[]), limits.chain_max_depth as usize);
}

#[test]
fn a_list_of_pending_events_that_does_not_fit_ends_the_execution() {
    let spread = |_: &Event, _: &mut TaskContext| {
        (0..100).fold(Outcome::new(), |outcome, _| outcome.emit(NewEvent::new("part", json!({}))))
    };
    let workflows = Workflows::new().with(Workflow::new("w", "1").task(on(STARTED, "spread", spread)));
    for (effects_max_bytes, fits) in [(6_000, false), (8_000, true)] {
        let limits = Limits { effects_max_bytes, step_max_events: 1, ..Limits::default() };
        let mut router = MemoryRouter::new(&workflows, limits);
        router.send("e", 0, &start(json!({})));
        router.drain("e");
        router.commit();
        router.assert_folded("e");
        let log = router.log("e");
        let effects = |event: &Event| event.effects.iter().map(|effect| effect.json.as_str().len()).sum::<usize>();
        assert!(log.published.iter().all(|event| effects(event) <= effects_max_bytes));
        let expected = if fits { "workflow.stalled" } else { "workflow.limit_exceeded" };
        assert_eq!((log.published.len(), log.types().last().copied()), (102, Some(expected)));
    }
}

#[test]
fn a_branch_that_ends_with_the_largest_event_there_is_fits() {
    let open = |_: &Event, _: &mut TaskContext| {
        let first = NewEvent::new("part", json!({}));
        Outcome::new().fan_out(FanOut::new("parts").branch_until("one", first, "ended"))
    };
    let patch = |_: &Event, context: &mut TaskContext| {
        context.data["text"] = text(99_000);
        Outcome::new()
    };
    let workflow = Workflow::new("w", "1").task(on(STARTED, "open", open)).task(on("ended", "patch", patch));
    let workflows = Workflows::new().with(workflow);
    let limits = Limits { payload_max_bytes: 100_000, effects_max_bytes: 100_000, ..Limits::default() };
    let mut router = MemoryRouter::new(&workflows, limits);
    router.send("e", 0, &start(json!({})));
    let first = router.log("e").published.iter().find(|event| event.event_type == "part").cloned().unwrap();
    let payload = text(99_900);
    router.send(
        "e",
        1,
        &json!({
            "event_type": "ended", "execution_id": "e", "scope": first.scope, "branch": first.branch,
            "payload": payload,
        }),
    );
    router.commit();
    router.assert_folded("e");
    let log = router.log("e");
    assert!(log.dead_letters.is_empty() && log.largest_event <= 200_000 + REST_BYTES, "{} bytes", log.largest_event);
    let (_, _, branch) = log.folded.branches.iter().next().unwrap();
    assert_eq!(branch.result.as_ref().map(|result| result.value()), Some(payload));
    assert!(log.types().contains(&"scope.completed"));
}

#[test]
fn waits_count_towards_the_cap_of_the_context() {
    for (keyed, expected) in [(0, WorkflowStatus::Waiting), (100, WorkflowStatus::LimitExceeded)] {
        let wait = move |_: &Event, _: &mut TaskContext| {
            let wait = |number: usize| WaitFor {
                correlation_key: (number < keyed).then(|| "k".repeat(256)),
                ..WaitFor::event("never")
            };
            (0..100).fold(Outcome::new(), |outcome, number| outcome.wait_for(wait(number)))
        };
        let grow = |_: &Event, context: &mut TaskContext| {
            context.data["text"] = text(80_000);
            Outcome::new()
        };
        let workflow = Workflow::new("w", "1").task(on(STARTED, "wait", wait)).task(on("grow", "grow", grow));
        let workflows = Workflows::new().with(workflow);
        let mut router = MemoryRouter::new(&workflows, Limits { context_max_bytes: 100_000, ..Limits::default() });
        router.send("e", 0, &start(json!({})));
        router.commit();
        router.send("e", 1, &json!({"event_type": "grow", "execution_id": "e"}));
        router.commit();
        router.assert_folded("e");
        assert_eq!(router.log("e").folded.context.as_ref().map(|context| context.status), Some(expected));
        assert!(router.contexts.largest_record() <= 100_000 + REST_BYTES);
    }
}

/// A task of one event, and how many bytes it adds to data.
fn adding_tasks(bytes: &[usize]) -> Workflows {
    let mut workflow = Workflow::new("w", "1");
    for (number, bytes) in bytes.iter().copied().enumerate() {
        let id = format!("task-{number}");
        let key = id.clone();
        workflow = workflow.task(on("add", &id, move |_, context| {
            context.data[&key] = json!("x".repeat(bytes));
            Outcome::new().emit(NewEvent::new(&format!("added.{key}"), json!({})))
        }));
    }
    Workflows::new().with(workflow)
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn an_endless_chain_ends_at_the_same_event_wherever_it_is_cut(
        chain_max_depth in 1..60u32, step_max_events in 1..20u32, cuts in prop::collection::vec(any::<bool>(), 0..100),
    ) {
        let limits = Limits { chain_max_depth, ..Limits::default() };
        let whole = run_endless(limits, &[]);
        assert_ends_at(&whole, chain_max_depth as usize);
        let cut = run_endless(Limits { step_max_events, ..limits }, &cuts);
        let ids = |log: &Log| log.published.iter().map(|event| event.event_id.clone()).collect::<Vec<_>>();
        prop_assert_eq!(cut.types(), whole.types());
        prop_assert_eq!(ids(&cut), ids(&whole));
    }

    #[test]
    fn what_is_too_large_is_undone_and_the_other_tasks_stand(
        bytes in prop::collection::vec(0..6_000usize, 1..5), effects_max_bytes in 500..8_000usize,
    ) {
        let workflows = adding_tasks(&bytes);
        let mut router = MemoryRouter::new(&workflows, Limits { effects_max_bytes, ..Limits::default() });
        router.send("e", 0, &start(json!({})));
        router.send("e", 1, &json!({"event_type": "add", "execution_id": "e"}));
        let log = router.log("e");
        let data = &log.folded.context.as_ref().unwrap().data;
        let mut room = effects_max_bytes;
        for (number, bytes) in bytes.iter().enumerate() {
            let task = format!("task-{number}");
            let letter = log.dead_letters.iter().find(|letter| letter.task_id.as_ref() == Some(&task));
            let emitted = log.types().contains(&format!("added.{task}").as_str());
            match letter {
                None => {
                    prop_assert_eq!(data[&task].as_str().map(str::len), Some(*bytes));
                    prop_assert!(emitted);
                    prop_assert!(*bytes <= room, "{} beyond {} bytes", task, room);
                    room -= bytes;
                }
                Some(letter) => {
                    prop_assert_eq!(letter.code, ErrorCode::ResultTooLarge);
                    prop_assert_eq!(data.get(&task), None);
                    prop_assert!(!emitted);
                    // A task's own effects beside the patch: its state, the key, the framing.
                    prop_assert!(bytes + 400 * (number + 1) > room, "{} has room in {} bytes", task, room);
                }
            }
        }
        let failed = !log.dead_letters.is_empty();
        let status = log.folded.context.as_ref().unwrap().status;
        prop_assert_eq!(status, if failed { WorkflowStatus::Failed } else { WorkflowStatus::Running });
        router.assert_folded("e");
    }

    #[test]
    fn a_context_over_its_cap_ends_the_execution(
        bytes in prop::collection::vec(0..4_000usize, 1..8), context_max_bytes in 1_000..10_000usize,
    ) {
        let add = |event: &Event, context: &mut TaskContext| {
            let payload = event.payload_value();
            let bytes = payload["bytes"].as_u64().unwrap() as usize;
            context.data[payload["key"].as_str().unwrap()] = json!("x".repeat(bytes));
            Outcome::new()
        };
        let count = |_: &Event, context: &mut TaskContext| {
            context.data["n"] = json!(context.data["n"].as_u64().unwrap_or(0) + 1);
            Outcome::new()
        };
        let workflow = Workflow::new("w", "1").task(on("add", "add", add)).task(on("add", "count", count));
        let workflows = Workflows::new().with(workflow);
        let mut router = MemoryRouter::new(&workflows, Limits { context_max_bytes, ..Limits::default() });
        router.send("e", 0, &start(json!({})));
        let mut expected = Map::new();
        for (number, bytes) in bytes.iter().enumerate() {
            let key = format!("k{number}");
            let payload = json!({"key": key, "bytes": bytes});
            router.send("e", 1 + number as i64, &json!({"event_type": "add", "execution_id": "e", "payload": payload}));
            router.commit();
            let context = router.contexts.root("e").unwrap();
            // What does not fit is undone; the other task of the same event stands, where it does.
            let added = [(key, json!("x".repeat(*bytes))), ("n".to_owned(), json!(number + 1))];
            let mut too_large = false;
            for (key, value) in added {
                let mut with = expected.clone();
                with.insert(key, value);
                let fits = Value::Object(with.clone()).to_string().len() <= context_max_bytes;
                too_large |= !fits;
                expected = if fits { with } else { expected };
            }
            prop_assert_eq!(&context.data, &Value::Object(expected.clone()));
            if too_large {
                prop_assert_eq!(context.status, WorkflowStatus::LimitExceeded);
                let log = router.log("e");
                prop_assert_eq!(log.types().last().copied(), Some("workflow.limit_exceeded"));
                prop_assert_eq!(log.dead_letters[0].code, ErrorCode::LimitExceeded);
                break;
            }
            prop_assert_eq!(context.status, WorkflowStatus::Running);
        }
        router.assert_folded("e");
    }
}

/// Bytes of these records beside payload and effects, or data, waits and pending events. Far below
/// [`RECORD_MARGIN_BYTES`], for their envelopes are small.
const REST_BYTES: usize = 16 * 1024;
const _: () = assert!(REST_BYTES + ENVELOPE_MAX_BYTES < RECORD_MARGIN_BYTES);

/// What the task of the start returns, by the bytes of each part.
#[derive(Clone, Debug)]
struct Opening {
    patch: usize,
    emitted: usize,
    waits: usize,
    wait_key: usize,
    branches: usize,
    branch_payload: usize,
    ends_on: Option<usize>,
}

/// What a task returns for each later event, by the bytes of each part.
#[derive(Clone, Debug)]
struct Within {
    patch: usize,
    result: Option<usize>,
    complete_branch: Option<usize>,
    fail: Option<usize>,
}

/// Small, or as large as one part may be.
fn bytes() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(10usize), 1 => 40_000..60_000usize, 2 => 90_000..99_900usize]
}

/// Bytes of a name: short, as long as one may be, or far too long.
fn name_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(20usize), 2 => Just(256), 1 => Just(90_000)]
}

fn opening() -> impl Strategy<Value = Opening> {
    let emitted = prop_oneof![Just(0usize), 1..40usize];
    let waits = prop_oneof![2 => Just(0usize), 1 => 1..100usize];
    let branches = prop_oneof![1 => Just(0usize), 4 => 1..4usize, 1 => 500..1500usize];
    (bytes(), emitted, waits, name_bytes(), branches, bytes(), prop::option::of(name_bytes())).prop_map(
        |(patch, emitted, waits, wait_key, branches, branch_payload, ends_on)| Opening {
            patch,
            emitted,
            waits,
            wait_key,
            branches,
            branch_payload,
            ends_on,
        },
    )
}

fn within() -> impl Strategy<Value = Within> {
    let rare = || prop::option::weighted(0.5, bytes());
    (bytes(), rare(), rare(), prop::option::weighted(0.1, bytes()))
        .prop_map(|(patch, result, complete_branch, fail)| Within { patch, result, complete_branch, fail })
}

fn text(bytes: usize) -> Value {
    json!("x".repeat(bytes))
}

/// The type that ends a branch: one that comes, or one that never does.
fn end_of(bytes: usize) -> String {
    if bytes == 20 { "later.outside".to_owned() } else { "t".repeat(bytes) }
}

fn open(sizes: &Opening, context: &mut TaskContext) -> Outcome {
    context.data["opening"] = text(sizes.patch);
    let mut outcome = Outcome::new();
    for _ in 0..sizes.waits {
        let key = Some("k".repeat(sizes.wait_key));
        outcome = outcome.wait_for(WaitFor { correlation_key: key, ..WaitFor::event("never") });
    }
    for _ in 0..sizes.emitted {
        outcome = outcome.emit(NewEvent::new("later.emitted", text(90_000 / sizes.emitted)));
    }
    if sizes.branches == 0 {
        return outcome;
    }
    let payload = if sizes.branches < 4 { sizes.branch_payload } else { 10 };
    let mut fan_out = FanOut::new("wide");
    for number in 0..sizes.branches {
        let first = NewEvent::new("later.first", text(payload));
        fan_out = match sizes.ends_on {
            Some(bytes) => fan_out.branch_until(&number.to_string(), first, &end_of(bytes)),
            None => fan_out.branch(&number.to_string(), first),
        };
    }
    outcome.fan_out(fan_out)
}

fn answer(sizes: &Within, event: &Event, context: &mut TaskContext, task: &str) -> Outcome {
    // Another size each time, so that the patch is never empty.
    context.data[task] = text(sizes.patch + usize::from(event.sequence % 2 == 0));
    let mut outcome = Outcome::new();
    outcome.result = sizes.result.map(text);
    if event.branch.is_none() {
        return outcome;
    }
    // The first event of a branch leaves it open, so that one from outside ends it.
    if event.event_type != "later.first" {
        outcome.complete_branch = sizes.complete_branch.map(text);
    }
    match sizes.fail {
        Some(bytes) => outcome.fail("\u{1}", &"\u{1}".repeat(bytes)),
        None => outcome,
    }
}

proptest! {
    #![proptest_config(cases(80))]

    #[test]
    fn every_record_fits(
        opening in opening(),
        tasks in prop::collection::vec(within(), 0..3),
        inputs in prop::collection::vec(bytes(), 1..4),
        step_max_events in prop_oneof![Just(1u32), Just(4), Just(256)],
        context_max_bytes in prop_oneof![Just(110_000usize), Just(500_000)],
    ) {
        let limits = Limits {
            payload_max_bytes: 100_000,
            effects_max_bytes: 100_000,
            context_max_bytes,
            step_max_events,
            ..Limits::default()
        };
        let mut workflow =
            Workflow::new("w", "1").task(on(STARTED, "opening", move |_, context| open(&opening, context)));
        for (number, sizes) in tasks.into_iter().enumerate() {
            let id = format!("task-{number}");
            let key = id.clone();
            workflow = workflow.task(on("later.*", &id, move |event, context| answer(&sizes, event, context, &key)));
        }
        let workflows = Workflows::new().with(workflow);
        let mut router = MemoryRouter::new(&workflows, limits);
        router.send("e", 0, &start(json!({})));
        for (number, bytes) in inputs.iter().enumerate() {
            router.drain("e");
            router.commit();
            let first = router.log("e").published.iter().filter(|event| event.branch.is_some()).nth(number);
            let mut event = json!({"event_type": "later.outside", "execution_id": "e", "payload": text(*bytes)});
            if let Some(first) = first {
                event["scope"] = json!(first.scope);
                event["branch"] = json!(first.branch);
            }
            router.send("e", 1 + number as i64, &event);
        }
        router.drain("e");
        router.commit();
        router.assert_folded("e");
        let event_max = limits.payload_max_bytes + limits.effects_max_bytes + REST_BYTES;
        let largest = router.log("e").largest_event;
        prop_assert!(largest <= event_max, "an event of {} bytes", largest);
        let largest = router.contexts.largest_record();
        prop_assert!(largest <= limits.context_max_bytes + REST_BYTES, "a record of {} bytes", largest);
    }
}
