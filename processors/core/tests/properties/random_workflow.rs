//! Workflows made at random from a table of behaviours.
//!
//! Every event carries fuel, in its payload or at the end of its type; what a task emits shares what is left of it,
//! so that every execution comes to rest. What a task does depends on its event alone.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    Event, FanOut, ForEach, Items, JoinPolicy, NewEvent, NewTimer, Outcome, Pattern, RetryPolicy, Task, TaskContext,
    TaskError, WaitFor, Workflow, Workflows, async_trait,
};

/// Types of the events that tasks emit and outsiders send.
pub const TYPES: [&str; 5] = ["a", "b", "c", "x.one", "x.two"];
/// Correlation ids of inputs, and keys of waits.
pub const CORRELATIONS: [&str; 2] = ["k1", "k2"];
/// What tasks can be registered for.
const PATTERNS: [&str; 10] = ["a", "b", "c", "x.one", "x.*", "joined.*", "broken.*", "*", STARTED, "workflow.*"];
/// The workflow's name.
pub const WORKFLOW: &str = "random";

/// One change of `data`.
#[derive(Clone, Debug)]
struct Change {
    path: Vec<&'static str>,
    /// None: the key is removed.
    value: Option<Value>,
}

/// One branch of a fan-out.
#[derive(Clone, Debug)]
enum NewBranch {
    NotRequired,
    Required { begins_with: usize, ends_on: Option<usize> },
}

/// One thing that a task decides.
#[derive(Clone, Debug)]
enum Deed {
    Emit(usize),
    FanOut(JoinPolicy, Vec<NewBranch>),
    ForEach {
        policy: JoinPolicy,
        count: u32,
        begins_with: usize,
        ends_on: Option<usize>,
    },
    Wait {
        event_type: usize,
        key: Option<usize>,
        /// Milliseconds, and the event that then is emitted.
        timeout: Option<(u64, Option<usize>)>,
    },
    Timer {
        event_type: usize,
        delay_ms: u64,
    },
    CancelTimer,
    Complete(Value),
    Fail,
    /// Outside of any branch it is an error, so there only where it is to happen `anywhere`.
    CompleteBranch {
        result: Value,
        anywhere: bool,
    },
    Result(Value),
}

/// What a task does with one event.
#[derive(Clone, Debug)]
struct Act {
    changes: Vec<Change>,
    deeds: Vec<Deed>,
    gives_up: bool,
}

/// A task: what it is registered for, and the acts among which an event's id chooses.
#[derive(Clone, Debug)]
pub struct TaskPlan {
    on: &'static str,
    policy: RetryPolicy,
    acts: Vec<Act>,
}

/// A JSON value with numbers of every sort, nulls and nesting.
pub fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO).prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What a task says that its work came to.
fn result() -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 3 => json_value()]
}

fn change() -> impl Strategy<Value = Change> {
    let path = prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4);
    (path, prop::option::weighted(0.8, json_value())).prop_map(|(path, value)| Change { path, value })
}

fn wait() -> impl Strategy<Value = Deed> {
    let timeout = prop::option::of((0..100u64, prop::option::of(0..TYPES.len())));
    (0..TYPES.len(), prop::option::of(0..CORRELATIONS.len()), timeout)
        .prop_map(|(event_type, key, timeout)| Deed::Wait { event_type, key, timeout })
}

/// Every policy, `all` most of all.
pub fn policy() -> impl Strategy<Value = JoinPolicy> {
    prop_oneof![
        3 => Just(JoinPolicy::All),
        1 => Just(JoinPolicy::FailFast),
        1 => Just(JoinPolicy::BestEffort),
        1 => Just(JoinPolicy::Race),
        1 => (1..4u32).prop_map(JoinPolicy::Quorum),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    let event_type = 0..TYPES.len();
    let branch = prop_oneof![
        1 => Just(NewBranch::NotRequired),
        4 => (event_type.clone(), prop::option::of(event_type.clone()))
            .prop_map(|(begins_with, ends_on)| NewBranch::Required { begins_with, ends_on }),
    ];
    prop_oneof![
        24 => event_type.clone().prop_map(Deed::Emit),
        16 => (policy(), prop::collection::vec(branch, 0..4)).prop_map(|(policy, branches)| Deed::FanOut(policy, branches)),
        2 => (policy(), prop_oneof![0..4u32, 60..70u32], event_type.clone(), prop::option::of(event_type.clone())).prop_map(
            |(policy, count, begins_with, ends_on)| Deed::ForEach { policy, count, begins_with, ends_on }
        ),
        4 => wait(),
        4 => (0..TYPES.len(), 0..100u64).prop_map(|(event_type, delay_ms)| Deed::Timer { event_type, delay_ms }),
        1 => Just(Deed::CancelTimer),
        1 => json_value().prop_map(Deed::Complete),
        1 => Just(Deed::Fail),
        4 => (result(), prop::bool::weighted(0.05))
            .prop_map(|(result, anywhere)| Deed::CompleteBranch { result, anywhere }),
        6 => result().prop_map(Deed::Result),
    ]
}

fn act(gives_up: f64) -> impl Strategy<Value = Act> {
    let changes = prop::collection::vec(change(), 0..3);
    let deeds = prop::collection::vec(deed(), 0..4);
    let gives_up = prop::bool::weighted(gives_up);
    (changes, deeds, gives_up).prop_map(|(changes, deeds, gives_up)| Act { changes, deeds, gives_up })
}

/// A task for the start, and a few others.
pub fn tasks() -> impl Strategy<Value = Vec<TaskPlan>> {
    tasks_with(0.01)
}

/// The same, and they give up more often.
pub fn tasks_that_give_up() -> impl Strategy<Value = Vec<TaskPlan>> {
    tasks_with(0.2)
}

fn retry_policy() -> impl Strategy<Value = RetryPolicy> {
    (1..4u32, 0..60u64).prop_map(|(attempts, initial)| {
        RetryPolicy::attempts(attempts).jitter(0.5).backoff(
            Duration::from_millis(initial),
            2.0,
            Duration::from_millis(100),
        )
    })
}

fn tasks_with(gives_up: f64) -> impl Strategy<Value = Vec<TaskPlan>> {
    let acts = move || prop::collection::vec(act(gives_up), 1..4);
    let others = prop::collection::vec(
        (prop::sample::select(&PATTERNS[..]), retry_policy(), acts()).prop_map(|(on, policy, acts)| TaskPlan {
            on,
            policy,
            acts,
        }),
        1..6,
    );
    (retry_policy(), acts(), others).prop_map(|(policy, acts, mut tasks)| {
        tasks.insert(0, TaskPlan { on: STARTED, policy, acts });
        tasks
    })
}

/// The same, and events of one type are answers: they are kept until they are waited for.
pub fn workflows_that_await(plans: &[TaskPlan]) -> Workflows {
    Workflows::new().with(workflow(plans).awaits("x.one"))
}

/// The workflow of these tasks.
pub fn workflows(plans: &[TaskPlan]) -> Workflows {
    Workflows::new().with(workflow(plans))
}

fn workflow(plans: &[TaskPlan]) -> Workflow {
    let patterns: Arc<[Pattern]> = plans.iter().map(|plan| Pattern::new(plan.on)).collect();
    let mut workflow = Workflow::new(WORKFLOW, "7");
    for (ordinal, plan) in plans.iter().enumerate() {
        workflow = workflow.task(PlannedTask {
            id: format!("task-{ordinal}"),
            on: [Pattern::new(plan.on)],
            policy: plan.policy.clone(),
            acts: plan.acts.clone(),
            all: Arc::clone(&patterns),
        });
    }
    workflow
}

struct PlannedTask {
    id: String,
    on: [Pattern; 1],
    policy: RetryPolicy,
    acts: Vec<Act>,
    /// What all tasks are registered for.
    all: Arc<[Pattern]>,
}

#[async_trait]
impl Task for PlannedTask {
    fn task_id(&self) -> &str {
        &self.id
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    fn retry_policy(&self) -> &RetryPolicy {
        &self.policy
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let choice = event.event_id.bytes().fold(7usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let act = &self.acts[choice % self.acts.len()];
        for change in &act.changes {
            apply_change(&mut context.data, change);
        }
        // The key is another one in another series of attempts: that may go well; so may a later attempt.
        let mended = context.attempt > 1 && context.idempotency_key().starts_with(['0', '1', '2', '3', '4', '5']);
        if act.gives_up
            && !mended
            && context.idempotency_key().ends_with(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b'])
        {
            return Err(TaskError::new("GAVE_UP", "as planned"));
        }
        let handlers = self.all.iter().filter(|pattern| pattern.matches(&event.event_type)).count();
        Ok(outcome(act, event, handlers))
    }
}

fn apply_change(data: &mut Value, change: &Change) {
    let Some((last, above)) = change.path.split_last() else { return };
    let mut at = data;
    for key in above {
        if !at[*key].is_object() {
            at[*key] = json!({});
        }
        at = &mut at[*key];
    }
    match (&change.value, at.as_object_mut()) {
        (Some(value), Some(map)) => {
            map.insert((*last).to_owned(), value.clone());
        }
        (None, Some(map)) => {
            map.remove(*last);
        }
        (_, None) => {}
    }
}

fn fuel_of(event: &Event) -> u64 {
    let in_type = || event.event_type.rsplit('.').next().and_then(|last| last.parse().ok());
    event.payload_value().get("fuel").and_then(Value::as_u64).or_else(in_type).unwrap_or(0)
}

fn outcome(act: &Act, event: &Event, handlers: usize) -> Outcome {
    let fuel = fuel_of(event);
    let children: usize = act
        .deeds
        .iter()
        .map(|deed| match deed {
            Deed::Emit(_) | Deed::Timer { .. } | Deed::Wait { timeout: Some(_), .. } => 1,
            Deed::FanOut(_, branches) => branches.len() + 1,
            Deed::ForEach { count, .. } => *count as usize + 1,
            _ => 0,
        })
        .sum();
    let share = fuel.saturating_sub(1) / (children.max(1) * handlers.max(1)) as u64;
    let payload = json!({ "fuel": share });
    let mut outcome = Outcome::new();
    for deed in &act.deeds {
        outcome = match deed {
            Deed::Emit(_) | Deed::FanOut(..) | Deed::ForEach { .. } | Deed::Timer { .. } if fuel == 0 => outcome,
            Deed::Emit(event_type) => outcome.emit(NewEvent::new(TYPES[*event_type], payload.clone())),
            Deed::FanOut(policy, branches) => outcome.fan_out(fan_out(branches, share).policy(*policy)),
            Deed::ForEach { policy, count, begins_with, ends_on } => {
                let each = ForEach::new(Items::Count(*count), TYPES[*begins_with]);
                let each = ForEach { ends_on: ends_on.map(|ends_on| TYPES[ends_on].to_owned()), ..each };
                outcome.fan_out(fan_out(&[], share).policy(*policy).for_each(each))
            }
            Deed::Wait { event_type, key, timeout } => outcome.wait_for(WaitFor {
                correlation_key: key.map(|key| CORRELATIONS[key].to_owned()),
                timeout_ms: timeout.map(|(ms, _)| ms),
                on_timeout: timeout
                    .and_then(|(_, then)| then)
                    .filter(|_| fuel > 0)
                    .map(|then| NewEvent::new(TYPES[then], payload.clone())),
                ..WaitFor::event(TYPES[*event_type])
            }),
            Deed::Timer { event_type, delay_ms } => {
                let event = NewEvent::new(TYPES[*event_type], payload.clone());
                outcome.timer(NewTimer::after("random", Duration::from_millis(*delay_ms), event))
            }
            Deed::CancelTimer => outcome.cancel_timer("random"),
            Deed::Complete(value) => outcome.complete(value.clone()),
            Deed::Fail => outcome.fail("PLANNED", "as planned"),
            Deed::CompleteBranch { anywhere: false, .. } if event.branch.is_none() => outcome,
            Deed::CompleteBranch { result, .. } => outcome.complete_branch(result.clone()),
            Deed::Result(value) => outcome.result(value.clone()),
        };
    }
    outcome
}

fn fan_out(branches: &[NewBranch], share: u64) -> FanOut {
    let payload = json!({ "fuel": share });
    let fan_out = FanOut::new("random").then(&format!("joined.{share}")).or_else(&format!("broken.{share}"));
    branches.iter().enumerate().fold(fan_out, |fan_out, (ordinal, branch)| {
        let name = format!("branch-{ordinal}");
        match branch {
            NewBranch::NotRequired => fan_out.not_required(&name),
            NewBranch::Required { begins_with, ends_on } => {
                let first = NewEvent::command(TYPES[*begins_with], payload.clone());
                match ends_on {
                    None => fan_out.branch(&name, first),
                    Some(ends_on) => fan_out.branch_until(&name, first, TYPES[*ends_on]),
                }
            }
        }
    })
}
