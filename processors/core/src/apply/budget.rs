//! What a task used up is added, and limits that it ran into are told, each once.

use std::sync::Arc;

use serde_json::{Value, json};

use super::branch::ENGINE;
use super::{Action, Current, Step, close, publication};
use crate::budget::{Budget, Budgets, Reached, Usage, Used, WALL_TIME};
use crate::channel::Channel;
use crate::effect::{Effect, LimitReached, UsedMore};
use crate::event::{Event, Micros};
use crate::execution::{Execution, Queued};
use crate::identity;
use crate::json::Json;
use crate::limits::{AGENTS_MAX, TIMER_DELAY_MAX_MS};
use crate::message_class::MessageClass;
use crate::timer::{Purpose, Timer};

/// The event by which someone is asked to decide what comes after a limit. Tasks may handle it.
const ESCALATED: &str = "escalation.required";

/// A handling, as it is counted.
pub(super) struct Handling<'a> {
    /// Whose it is.
    pub agent: Option<&'a str>,
    /// What it used; none: the task failed.
    pub usage: Option<Usage>,
    /// How long it took.
    pub took_ms: f64,
}

/// Adds what a task used, and what its success or failure says of its agent.
pub(super) fn add(execution: &mut Execution, current: &mut Current, task_id: &str, handling: Handling, step: &Step) {
    let Handling { agent, usage, took_ms } = handling;
    if usage.is_none() && agent.is_none() {
        return;
    }
    let failed = usage.is_none() && current.error.is_some();
    let mut usage = usage.unwrap_or_default();
    let wall_time_micros = (took_ms * 1000.0).round() as i64;
    let agent = usage.agent.take().or_else(|| agent.map(str::to_owned));
    let Some(context) = execution.context() else { return };
    let known = agent.as_ref().is_none_or(|agent| context.used.iter().any(|used| used.agent.as_ref() == Some(agent)));
    // Beyond so many agents only the execution is counted for.
    let agent = agent.filter(|_| known || context.used.len() <= AGENTS_MAX);
    current.add(execution, Effect::Used(Box::new(UsedMore { agent: agent.clone(), usage, failed, wall_time_micros })));
    let budgets = budgets(execution, step);
    for of in std::iter::once(None).chain(agent.map(Some)) {
        let budget = match &of {
            None => Some(&budgets.execution),
            Some(agent) => budgets.agents.get(agent),
        };
        if let Some(budget) = budget {
            check(execution, current, task_id, of.as_deref(), budget, step);
        }
    }
}

/// The budgets of the workflow, and over them those that the start gave.
fn budgets(execution: &Execution, step: &Step) -> Budgets {
    let Some(context) = execution.context() else { return Budgets::default() };
    let mut budgets = step.workflows.get(&context.workflow_id).map_or_else(Budgets::default, |w| w.budgets.clone());
    let given = context.budgets.as_ref().and_then(|text| serde_json::from_str::<Budgets>(text).ok());
    if let Some(given) = given {
        if given.execution != Budget::default() {
            budgets.execution = given.execution;
        }
        budgets.agents.extend(given.agents);
        budgets.wall_time_ms = given.wall_time_ms.or(budgets.wall_time_ms);
    }
    budgets
}

fn check(
    execution: &mut Execution,
    current: &mut Current,
    task_id: &str,
    agent: Option<&str>,
    budget: &Budget,
    step: &Step,
) {
    let used = execution.context().and_then(|c| c.used.iter().find(|used| used.agent.as_deref() == agent));
    let Some(used) = used else { return };
    let new: Vec<Reached> =
        budget.reached(used).into_iter().filter(|reached| !used.reached.contains(&reached.name)).collect();
    for reached in new {
        let name = reached.name.clone();
        current.add(execution, Effect::LimitReached(LimitReached { agent: agent.map(str::to_owned), name }));
        tell(execution, current, task_id, &reached, agent, step);
        match &budget.escalate_to {
            Some(target) => escalate(execution, current, task_id, &reached, agent, target, step),
            None if current.closing.is_none() => {
                let of = agent.map_or_else(String::new, |agent| format!(" of agent {agent}"));
                let message = format!("{}{of}: {} {}", reached.event_type, reached.name, reached.payload);
                current.closing = Some(close::limit_exceeded(message));
            }
            None => {}
        }
    }
}

/// An event of the engine about the current one; `maker` tells it from others about the same.
fn about(
    execution: &Execution,
    current: &Current,
    event_type: &str,
    maker: &str,
    payload: &Value,
    step: &Step,
) -> Event {
    let mut event = current.event.follow_up(event_type);
    event.event_id = publication::made_id(execution, &current.event, maker);
    event.channel = Channel::SystemEvents.as_str().to_owned();
    event.message_class = MessageClass::State.as_str().to_owned();
    event.source = Some(ENGINE.to_owned());
    event.occurred_at = step.now;
    event.payload = Some(Json::from(payload));
    event
}

fn maker(what: &str, reached: &Reached, agent: Option<&str>) -> String {
    format!("{what}/{}/{}", agent.unwrap_or_default(), reached.name)
}

fn tell(
    execution: &Execution,
    current: &mut Current,
    task_id: &str,
    reached: &Reached,
    agent: Option<&str>,
    step: &Step,
) {
    let mut payload = reached.payload.clone();
    payload["node_id"] = json!(task_id);
    let event = about(execution, current, reached.event_type, &maker("limit", reached, agent), &payload, step);
    current.remarks.push(event);
}

fn escalate(
    execution: &Execution,
    current: &mut Current,
    task_id: &str,
    reached: &Reached,
    agent: Option<&str>,
    target: &str,
    step: &Step,
) {
    let payload = json!({
        "node_id": task_id, "agent_ref": agent.unwrap_or_default(), "reason": reached.reason,
        "escalation_target": target, "limit": reached.name,
    });
    let mut event = about(execution, current, ESCALATED, &maker("escalation", reached, agent), &payload, step);
    event.channel = Channel::NotificationEvents.as_str().to_owned();
    // It is about the execution, not about the branch in which it came to it.
    event.scope = None;
    event.branch = None;
    let depth = current.depth + 1;
    current.emitted.push(Queued { event: Arc::new(event), depth, input: None, opens: None, logged: false });
}

/// Sets the timer of an execution whose time is limited, as it starts.
pub(super) fn limit_time(execution: &mut Execution, current: &mut Current, step: &Step) {
    let Some(limit) = budgets(execution, step).wall_time_ms else { return };
    // It is exceeded once more than the limit has passed.
    let after = limit.saturating_add(1).min(TIMER_DELAY_MAX_MS);
    let timer_id = publication::made_id(execution, &current.event, WALL_TIME);
    let due_at = step.now.saturating_add(after as Micros * 1000);
    current.add(execution, Effect::TimerSet(Box::new(Timer::new(timer_id, Purpose::WallTime, due_at))));
}

/// The execution has taken longer than it may: that is told, and it ends unless someone is to decide.
pub(super) fn time_is_over(execution: &mut Execution, step: &Step, actions: &mut Vec<Action>) {
    let budgets = budgets(execution, step);
    let Some(context) = execution.context() else { return };
    let current = (step.now - context.created_at) / 1000;
    let limit = budgets.wall_time_ms.unwrap_or_default();
    let reached = Reached {
        name: format!("budget.{WALL_TIME}"),
        event_type: "budget.exceeded",
        payload: json!({"node_id": "", "kind": WALL_TIME, "limit": limit, "current": current}),
        reason: "budget_exceeded",
    };
    let cause = Event {
        event_id: identity::derived_id(&execution.id, WALL_TIME, 0, reached.event_type, 1, 0),
        execution_id: execution.id.clone(),
        workflow_id: Some(context.workflow_id.clone()),
        workflow_version: context.workflow_version.clone(),
        correlation_id: Some(context.correlation_id.clone()),
        channel: Channel::SystemEvents.as_str().to_owned(),
        message_class: MessageClass::State.as_str().to_owned(),
        source: Some(ENGINE.to_owned()),
        payload: Some(Json::from(&reached.payload)),
        ..Event::new(reached.event_type, step.now)
    };
    publication::publish_remark(execution, cause.clone(), step, Vec::new(), actions);
    match &budgets.execution.escalate_to {
        Some(target) => {
            let mut current = Current::new(cause, 0);
            escalate(execution, &mut current, "", &reached, None, target, step);
            current.emitted.into_iter().for_each(|queued| execution.push(queued));
        }
        None => {
            let message = format!("{}: {} {}", reached.event_type, reached.name, reached.payload);
            close::end(execution, &cause, close::limit_exceeded(message), step, actions);
        }
    }
}

/// Folds what was used.
pub(crate) fn fold(used: &mut Vec<Used>, more: &UsedMore) {
    for agent in std::iter::once(None).chain(more.agent.clone().map(Some)) {
        let place = used.iter().position(|known| known.agent == agent);
        let place = place.unwrap_or_else(|| {
            used.push(Used { agent, ..Used::default() });
            used.len() - 1
        });
        let known = &mut used[place];
        known.add(&more.usage);
        known.wall_time_micros = known.wall_time_micros.saturating_add(more.wall_time_micros);
        known.consecutive_errors = if more.failed { known.consecutive_errors + 1 } else { 0 };
    }
}
