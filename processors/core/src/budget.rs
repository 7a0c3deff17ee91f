//! What tasks use up, and how much they may.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::usd::Usd;

/// The limit of the time that something takes, by its name.
pub const WALL_TIME: &str = "wall_time_ms";

/// What a task used up. All counts are of this handling alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Usage {
    /// The agent that used it, where it is not that of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Tokens read by models.
    pub input_tokens: u64,
    /// Tokens written by models.
    pub output_tokens: u64,
    /// What it cost.
    pub cost_usd: Usd,
    /// Tools that were called.
    pub tool_calls: u64,
    /// Rounds of a loop.
    pub iterations: u64,
}

/// What was used up so far, by the execution or by one of its agents (`Used` in `schemas/context.avsc`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct Used {
    /// None: the execution.
    #[serde(default)]
    pub agent: Option<String>,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub cost_nanos: i64,
    pub tool_calls: i64,
    pub iterations: i64,
    pub consecutive_errors: i64,
    /// Limits that it ran into, each told once.
    #[serde(default)]
    pub reached: Vec<String>,
    /// Microseconds that the handlings took together.
    #[serde(default)]
    pub wall_time_micros: i64,
}

impl Used {
    /// Adds what one handling used.
    pub fn add(&mut self, usage: &Usage) {
        let add = |sum: &mut i64, more: u64| *sum = sum.saturating_add(i64::try_from(more).unwrap_or(i64::MAX));
        add(&mut self.input_tokens, usage.input_tokens);
        add(&mut self.output_tokens, usage.output_tokens);
        add(&mut self.tool_calls, usage.tool_calls);
        add(&mut self.iterations, usage.iterations);
        self.cost_nanos = self.cost_nanos.saturating_add(usage.cost_usd.nanos());
    }

    /// Whole milliseconds, rounded up.
    fn wall_time_ms(&self) -> i64 {
        self.wall_time_micros.saturating_add(999) / 1000
    }

    fn total_tokens(&self) -> i64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    fn cost(&self) -> Usd {
        Usd::from_nanos(self.cost_nanos)
    }
}

/// What an execution, or one of its agents, may use up.
///
/// A budget is exceeded when more than it is used; an autonomy limit is reached when as much as it is used, and a breaker
/// trips at as many errors in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "the names say it, and `Usage` describes them")]
pub struct Budget {
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub total_tokens: Option<u64>,
    pub cost_usd: Option<Usd>,
    pub tool_calls: Option<u64>,
    pub iterations: Option<u64>,
    /// Milliseconds that the handlings take together.
    pub wall_time_ms: Option<u64>,
    /// Autonomy limits.
    pub autonomy: Autonomy,
    /// Failures in a row at which the breaker trips.
    pub consecutive_errors: Option<u64>,
    /// Who is told when one of these is reached, in place of ending the execution: `human_approval`, or
    /// `supervisor_agent:` and its id.
    pub escalate_to: Option<String>,
}

/// How far an agent may go by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Autonomy {
    pub max_iterations: Option<u64>,
    pub max_tool_calls: Option<u64>,
    pub token_budget: Option<u64>,
    pub cost_budget: Option<Usd>,
}

/// The budgets of a workflow, or of one execution of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// Of the whole execution.
    pub execution: Budget,
    /// Of single agents.
    pub agents: std::collections::BTreeMap<String, Budget>,
    /// Milliseconds that the execution may take from its start. Beyond it ends, or whom its own budget names is told.
    pub wall_time_ms: Option<u64>,
}

/// A limit that was run into.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached {
    /// Its name, by which it is told once.
    pub name: String,
    /// The type of the event that tells it.
    pub event_type: &'static str,
    /// That event's payload, but for the node.
    pub payload: Value,
    /// Why, as an escalation says it: budget_exceeded, autonomy_limit or circuit_breaker.
    pub reason: &'static str,
}

impl Budget {
    /// The limits that `used` has run into.
    pub fn reached(&self, used: &Used) -> Vec<Reached> {
        let mut reached = self.exceeded(used);
        let agent = used.agent.as_deref().unwrap_or_default();
        let autonomy = &self.autonomy;
        let counts = [
            ("max_iterations", autonomy.max_iterations, used.iterations),
            ("max_tool_calls", autonomy.max_tool_calls, used.tool_calls),
            ("token_budget", autonomy.token_budget, used.total_tokens()),
        ];
        let mut autonomous = |limit_type: &str, limit: Value, actual: Value| {
            reached.push(Reached {
                name: limit_type.to_owned(),
                event_type: "autonomy_limit.reached",
                payload: json!({
                    "agent_ref": agent, "limit_type": limit_type, "limit_value": limit, "actual_value": actual,
                }),
                reason: "autonomy_limit",
            });
        };
        for (limit_type, limit, actual) in counts {
            if let Some(limit) = limit.filter(|limit| is_at_least(actual, *limit)) {
                autonomous(limit_type, json!(limit), json!(actual));
            }
        }
        if let Some(limit) = autonomy.cost_budget.filter(|limit| used.cost() >= *limit) {
            autonomous("cost_budget", json!(limit), json!(used.cost()));
        }
        if let Some(threshold) = self.consecutive_errors.filter(|limit| is_at_least(used.consecutive_errors, *limit)) {
            reached.push(Reached {
                name: "consecutive_errors".to_owned(),
                event_type: "circuit_breaker.tripped",
                payload: json!({
                    "agent_ref": agent, "consecutive_errors": used.consecutive_errors, "threshold": threshold,
                }),
                reason: "circuit_breaker",
            });
        }
        reached
    }

    fn exceeded(&self, used: &Used) -> Vec<Reached> {
        let counts = [
            ("input_tokens", "token_budget.exceeded", self.input_tokens, used.input_tokens),
            ("output_tokens", "token_budget.exceeded", self.output_tokens, used.output_tokens),
            ("total_tokens", "token_budget.exceeded", self.total_tokens, used.total_tokens()),
            ("tool_calls", "budget.exceeded", self.tool_calls, used.tool_calls),
            ("iterations", "budget.exceeded", self.iterations, used.iterations),
            // A part of a millisecond over the limit is over it.
            (WALL_TIME, "budget.exceeded", self.wall_time_ms, used.wall_time_ms()),
        ];
        let mut exceeded = Vec::new();
        let mut add = |kind: &str, event_type, payload| {
            let name = format!("budget.{kind}");
            exceeded.push(Reached { name, event_type, payload, reason: "budget_exceeded" });
        };
        for (kind, event_type, limit, current) in counts {
            if let Some(limit) = limit.filter(|limit| current > i64::try_from(*limit).unwrap_or(i64::MAX)) {
                add(kind, event_type, json!({"kind": kind, "limit": limit, "current": current}));
            }
        }
        if let Some(limit) = self.cost_usd.filter(|limit| used.cost() > *limit) {
            let payload = json!({"limit_usd": limit, "current_usd": used.cost()});
            add("cost", "cost_budget.exceeded", payload);
        }
        exceeded
    }
}

fn is_at_least(actual: i64, limit: u64) -> bool {
    actual >= i64::try_from(limit).unwrap_or(i64::MAX)
}
