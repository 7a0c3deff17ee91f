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

/// None: it says nothing of it that can be counted. Only the payload of a report that tells usage is read.
fn usage_of(event: &Event) -> Option<Usage> {
    let told = || -> Option<Told> { serde_json::from_str(event.payload.as_ref()?.as_str()).ok() };
    let usage = match event.event_type.as_str() {
        SUCCESS => {
            let Told { input_tokens, output_tokens, cost_usd, .. } = told()?;
            Usage {
                input_tokens: input_tokens.unwrap_or_default(),
                output_tokens: output_tokens.unwrap_or_default(),
                cost_usd: cost_usd.unwrap_or_default(),
                ..Usage::default()
            }
        }
        "report.iteration.completed" => Usage { iterations: 1, ..Usage::default() },
        "report.tool.called" => Usage { tool_calls: 1, ..Usage::default() },
        "report.agent_tool.turn" => {
            let Told { tokens, cost, .. } = told()?;
            Usage { output_tokens: tokens.unwrap_or_default(), cost_usd: cost.unwrap_or_default(), ..Usage::default() }
        }
        "report.agent_tool.completed" => {
            let Told { total_cost, total_turns: None, .. } = told()? else { return None };
            Usage { cost_usd: total_cost.unwrap_or_default(), ..Usage::default() }
        }
        _ => return None,
    };
    (usage != Usage::default()).then_some(usage)
}
