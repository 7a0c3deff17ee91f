//! What a branch costs: 100,000 of them in one execution against 1,000, their results in random order.
//!
//! A branch begins with an event that a task handles, and ends with one from outside. All that a lane does for it but
//! Kafka: inbox bytes in, record bytes out, records kept as bytes, an execution reopened in each transaction.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::json;
use thalweg_core::apply::{Action, Step, drive};
use thalweg_core::codec::Schemas;
use thalweg_core::context::{Branch, ContextKey, RecordKey, Scope};
use thalweg_core::inbound::{self, InboxRecord, Reading};
use thalweg_core::task::{TaskCall, TaskRun};
use thalweg_core::{
    Event, Execution, FanOut, ForEach, Items, Limits, Outcome, Pattern, RecordStore, Task, TaskContext, TaskError,
    Workflow, Workflows, async_trait,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The time of every step and record.
const NOW: i64 = 1_700_000_000_000_000;
/// Inbox records of one transaction, as `batch.max.records` has it.
const BATCH: usize = 1000;
/// Branches of one execution: the few, and the many.
const BRANCHES: [usize; 2] = [1_000, 100_000];
/// Rounds; the best of them counts.
const ROUNDS: usize = 3;

struct Each([Pattern; 3]);

#[async_trait]
impl Task for Each {
    fn task_id(&self) -> &str {
        "each"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        Ok(match event.event_type.as_str() {
            inbound::STARTED => {
                let items: Items = serde_json::from_value(event.payload_value()["items"].clone()).unwrap();
                let each = ForEach::new(items, "item.requested").until("item.done");
                Outcome::new().fan_out(FanOut::new("items").then("items.done").for_each(each))
            }
            "items.done" => Outcome::new().complete(event.payload_value()["counts"].clone()),
            _ => Outcome::new(),
        })
    }
}

/// The contexts of a lane.
#[derive(Default)]
struct Store {
    root: Option<Vec<u8>>,
    inner: BTreeMap<ContextKey, Vec<u8>>,
}

struct Records<'a> {
    store: &'a Store,
    schemas: &'a Schemas,
}

impl Records<'_> {
    fn get(&self, scope: &str, branch: Option<&str>) -> Option<&[u8]> {
        let key =
            ContextKey { execution_id: "e".to_owned(), scope: scope.to_owned(), branch: branch.map(str::to_owned) };
        self.store.inner.get(&key).map(Vec::as_slice)
    }
}

impl RecordStore for Records<'_> {
    fn scope(&self, _: &str, scope: &str) -> Option<Scope> {
        self.get(scope, None).map(|bytes| self.schemas.read_scope(bytes).unwrap())
    }

    fn branch(&self, _: &str, scope: &str, branch: &str) -> Option<Branch> {
        self.get(scope, Some(branch)).map(|bytes| self.schemas.read_branch(bytes).unwrap())
    }

    fn branches(&self, _: &str, scope: &str) -> Vec<Branch> {
        let of_scope = self.store.inner.iter().filter(|(key, _)| key.scope == scope && key.branch.is_some());
        of_scope.map(|(_, bytes)| self.schemas.read_branch(bytes).unwrap()).collect()
    }
}

/// A lane with one execution.
struct Lane {
    schemas: Schemas,
    workflows: Workflows,
    limits: Limits,
    store: Store,
    next_offset: i64,
    /// The scope, once it is known.
    scope: Option<String>,
    largest_root: usize,
    ended: bool,
}

impl Lane {
    fn new() -> Lane {
        let patterns = [inbound::STARTED, "item.requested", "items.done"].map(Pattern::new);
        Lane {
            schemas: Schemas::new().unwrap(),
            workflows: Workflows::new().with(Workflow::new("each", "1").task(Each(patterns))),
            limits: Limits::default(),
            store: Store::default(),
            next_offset: 0,
            scope: None,
            largest_root: 0,
            ended: false,
        }
    }

    /// One transaction: these inputs, or what is pending. Returns whether something is left pending.
    fn transact(&mut self, inputs: &[Vec<u8>]) -> bool {
        let mut execution = match &self.store.root {
            Some(root) => Execution::open(self.schemas.read_context(root).unwrap(), &self.schemas).unwrap(),
            None => Execution::unknown("e"),
        };
        let mut actions = Vec::new();
        let records = Records { store: &self.store, schemas: &self.schemas };
        let step = Step { now: NOW, workflows: &self.workflows, limits: &self.limits, store: &records };
        if inputs.is_empty() {
            actions.append(&mut drive(&mut execution, None, &step, &mut run_now, &mut || false));
        }
        for input in inputs {
            let record = InboxRecord {
                topic: "inbox",
                partition: 0,
                offset: self.next_offset,
                timestamp: NOW,
                key: Some(b"e"),
                value: Some(input),
                headers: &[],
                origin: None,
                redrive: 0,
            };
            self.next_offset += 1;
            let Ok(Reading::Event(inbound)) = inbound::read(&record, 1, &self.schemas, &self.limits) else {
                panic!("an input is refused");
            };
            actions.append(&mut drive(&mut execution, Some(*inbound), &step, &mut run_now, &mut || false));
        }
        for action in actions {
            match action {
                Action::Publish(event, _) => {
                    black_box(self.schemas.write_event(&event).unwrap());
                    if self.scope.is_none() {
                        self.scope.clone_from(&event.scope);
                    }
                }
                Action::DeadLetter(letter) => panic!("{letter:?}"),
                Action::RunTask(_) | Action::Send(_) | Action::Duplicate | Action::Notice(_) => {}
            }
        }
        for (key, value) in execution.changed_records(&self.schemas).unwrap() {
            black_box(self.schemas.write_key(&key).unwrap());
            match key {
                RecordKey::Root(_) => {
                    self.largest_root = self.largest_root.max(value.len());
                    self.store.root = Some(value);
                }
                RecordKey::Inner(key) => {
                    self.store.inner.insert(key, value);
                }
            }
        }
        self.ended = execution.is_closed();
        execution.has_queued()
    }
}

/// Begins so many branches, and ends them in random order; returns the time of each half.
fn run(branches: usize) -> (Lane, [Duration; 2]) {
    let mut lane = Lane::new();
    let start = json!({"event_type": inbound::STARTED, "workflow_id": "each", "payload": {"items": branches}});
    let began = Instant::now();
    let mut pending = lane.transact(&[start.to_string().into_bytes()]);
    while pending {
        pending = lane.transact(&[]);
    }
    let begin = began.elapsed();
    let scope = lane.scope.clone().unwrap();
    let mut order: Vec<usize> = (0..branches).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut order);
    let done: Vec<Vec<u8>> = order
        .iter()
        .map(|branch| {
            let branch = branch.to_string();
            let event = json!({"event_type": "item.done", "event_id": format!("done-{branch}"), "scope": scope,
                "branch": branch, "payload": {"branch": branch}});
            event.to_string().into_bytes()
        })
        .collect();
    let began = Instant::now();
    for batch in done.chunks(BATCH) {
        lane.transact(batch);
    }
    let end = began.elapsed();
    assert!(lane.ended, "{branches} branches did not join");
    (lane, [begin, end])
}

fn main() {
    let mut costs = Vec::new();
    for branches in BRANCHES {
        let executions = BRANCHES[1] / branches;
        let mut best = [f64::MAX; 2];
        let mut largest_root = 0;
        for _ in 0..ROUNDS {
            let mut total = [Duration::ZERO; 2];
            for _ in 0..executions {
                let (lane, took) = run(branches);
                largest_root = lane.largest_root;
                total.iter_mut().zip(took).for_each(|(total, took)| *total += took);
            }
            let each = total.map(|total| total.as_secs_f64() * 1e6 / BRANCHES[1] as f64);
            best.iter_mut().zip(each).for_each(|(best, each)| *best = best.min(each));
        }
        println!(
            "{branches:>7} branches: {:.2} us to begin one, {:.2} us to end one; the largest root record has \
             {largest_root} bytes",
            best[0], best[1]
        );
        costs.push(best[0] + best[1]);
    }
    println!("cost of a branch among {} against one among {}: {:.2}", BRANCHES[1], BRANCHES[0], costs[1] / costs[0]);
}

/// Runs a task that awaits nothing.
fn run_now(call: TaskCall) -> TaskRun {
    let TaskCall { task, event, mut context } = call;
    let mut handling = task.handle_event(&event, &mut context);
    let polled = handling.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    drop(handling);
    let std::task::Poll::Ready(result) = polled else { panic!("{} waits", task.task_id()) };
    TaskRun { result: result.map(|outcome| (outcome, context.data)).map_err(Into::into), duration_ms: 0.0 }
}
