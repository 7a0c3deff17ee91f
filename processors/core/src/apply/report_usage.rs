//! What reports say was used up: it counts against the budgets of a tracked execution as a task's own usage does.
//!
//! Sums that repeat what was told before are not counted again: the tokens and cost of an iteration are those of its
//! nodes, and the total of an agent that is called as a tool is that of its turns.

use serde::Deserialize;

use super::budget::Handling;
use super::{Current, Step, budget};
use crate::budget::Usage;
use crate::event::Event;
use crate::execution::Execution;
use crate::usd::Usd;

/// The report that tells how long a task took.
const SUCCESS: &str = "report.task.success";
/// The reports of an agent that is called as a tool: a turn of it, and its end.
const AGENT_TURN: &str = "report.agent_tool.turn";
const AGENT_COMPLETED: &str = "report.agent_tool.completed";

/// The members of payloads that tell it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cost_usd: Option<Usd>,
    tokens: Option<u64>,
    cost: Option<Usd>,
    total_cost: Option<Usd>,
    total_turns: Option<u64>,
}

/// Adds what the report that is being handled says was used.
pub(super) fn add(execution: &mut Execution, current: &mut Current, task_id: Option<&str>, step: &Step) {
    let agent = current.event.entities.get("agent").and_then(|agent| agent.id.clone());
    let is_agents = agent.is_some() && current.event.event_type == SUCCESS;
    let Some(usage) = usage_of(&current.event).or_else(|| is_agents.then(Usage::default)) else { return };
    let took_ms = current.event.duration_ms.filter(|_| current.event.event_type == SUCCESS).unwrap_or_default();
    let handling = Handling { agent: agent.as_deref(), usage: Some(usage), took_ms };
    budget::add(execution, current, task_id.unwrap_or_default(), handling, step);
}

/// None: it says nothing of it that can be counted.
fn usage_of(event: &Event) -> Option<Usage> {
    match event.event_type.as_str() {
        "report.iteration.completed" => return Some(Usage { iterations: 1, ..Usage::default() }),
        "report.tool.called" => return Some(Usage { tool_calls: 1, ..Usage::default() }),
        SUCCESS | AGENT_TURN | AGENT_COMPLETED => {}
        _ => return None,
    }
    let told: Told = event.payload.as_ref().and_then(|payload| serde_json::from_str(payload.as_str()).ok())?;
    let tokens = |count: Option<u64>| count.unwrap_or_default();
    let usage = match event.event_type.as_str() {
        SUCCESS => Usage {
            input_tokens: tokens(told.input_tokens),
            output_tokens: tokens(told.output_tokens),
            cost_usd: told.cost_usd.unwrap_or_default(),
            ..Usage::default()
        },
        AGENT_TURN => {
            Usage { output_tokens: tokens(told.tokens), cost_usd: told.cost.unwrap_or_default(), ..Usage::default() }
        }
        AGENT_COMPLETED if told.total_turns.is_none() => {
            Usage { cost_usd: told.total_cost.unwrap_or_default(), ..Usage::default() }
        }
        _ => return None,
    };
    (usage != Usage::default()).then_some(usage)
}
