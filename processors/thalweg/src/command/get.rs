//! `thalweg get`

use std::collections::BTreeMap;

use clap::Args;
use rdkafka::message::Message;
use serde_json::{Value, json};
use thalweg_core::codec::event_to_json;
use thalweg_core::context::{Branch, Context, ContextKey, RecordKey, Scope};
use thalweg_core::effect::to_hex;
use thalweg_core::{BranchStatus, ScopeStatus};
use thalweg_runtime::wall_clock;

use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::output::{self, Output, Table, age, clock, date, shortened, span};
use crate::settings::Settings;

/// Characters of a branch's result in its table.
const RESULT_MAX: usize = 48;
/// How a branch is shown that its scope was decided without, and a scope that was given up with its branch.
const CANCELED: &str = "CANCELED";

/// Show an execution's context: its status, data, tasks, scopes and waits
#[derive(Args, Debug)]
pub struct Get {
    /// The execution
    execution: String,
    #[command(flatten)]
    output: Output,
}

impl Get {
    /// Runs the command.
    ///
    /// # Errors
    /// Where the execution is unknown, or can't be read.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let connection = Connection::open(&settings.load()?)?;
        let decoder = Decoder::new(&connection)?;
        let records = Records::read(&connection, &decoder, &self.execution)?;
        if self.output.is_json() {
            return output::print_json(&records.document(&decoder)?);
        }
        output::print(&records.text(&decoder)?)
    }
}

/// What the contexts topic keeps of one execution.
struct Records {
    context: Context,
    scopes: BTreeMap<String, Scope>,
    branches: BTreeMap<(String, String), Branch>,
}

impl Records {
    fn read(connection: &Connection, decoder: &Decoder, execution_id: &str) -> Result<Records, CommandError> {
        let contexts = connection.topics().contexts();
        connection.partition_count(contexts)?;
        let partition = connection.partition_of(execution_id)?;
        let mut newest: BTreeMap<RecordKey, Option<Vec<u8>>> = BTreeMap::new();
        connection.read_to_end(&connection.spans(&[(contexts, partition)])?, |message| {
            let key = message.key().unwrap_or_default();
            let key = decoder.decode(|schemas| schemas.read_key(key))?;
            let of = match &key {
                RecordKey::Root(id) => id,
                RecordKey::Inner(inner) => &inner.execution_id,
            };
            if of == execution_id {
                newest.insert(key, message.payload().map(<[u8]>::to_vec));
            }
            Ok(())
        })?;
        let (mut context, mut scopes, mut branches) = (None, BTreeMap::new(), BTreeMap::new());
        for (key, value) in newest {
            let Some(value) = value else { continue };
            match key {
                RecordKey::Root(_) => context = Some(decoder.decode(|schemas| schemas.read_context(&value))?),
                RecordKey::Inner(ContextKey { scope, branch: None, .. }) => {
                    scopes.insert(scope, decoder.decode(|schemas| schemas.read_scope(&value))?);
                }
                RecordKey::Inner(ContextKey { scope, branch: Some(branch), .. }) => {
                    branches.insert((scope, branch), decoder.decode(|schemas| schemas.read_branch(&value))?);
                }
            }
        }
        match context {
            Some(context) => Ok(Records { context, scopes, branches }),
            None => Err(CommandError::ExecutionUnknown {
                execution_id: execution_id.to_owned(),
                searched: format!("{contexts}, partition {partition}"),
            }),
        }
    }

    /// A scope's branches in the order of the fan-out.
    fn branches_of(&self, scope: &str) -> Vec<&Branch> {
        let mut branches: Vec<&Branch> = self.branches.values().filter(|branch| branch.scope == scope).collect();
        branches.sort_by_key(|branch| branch.ordinal);
        branches
    }

    /// The records as JSON. Ids that are bytes are written in hexadecimal, events that are pending as such.
    fn document(&self, decoder: &Decoder) -> Result<Value, CommandError> {
        let unprintable = |error: serde_json::Error| CommandError::Failed(format!("the context is no JSON: {error}"));
        let mut context = serde_json::to_value(&self.context).map_err(unprintable)?;
        context["start_id"] = Value::from(to_hex(&self.context.start_id));
        context["input_ids"] = self.context.input_ids.chunks(16).map(to_hex).collect();
        let mut pending = Vec::new();
        for event in &self.context.pending {
            let mut document = serde_json::to_value(event).map_err(unprintable)?;
            document["event"] = event_to_json(&decoder.event(&event.event)?);
            pending.push(document);
        }
        context["pending"] = Value::Array(pending);
        context["plans"] = serde_json::to_value(self.context.plans()).map_err(unprintable)?;
        let mut scopes = Vec::new();
        for scope in self.scopes.values() {
            let mut document = serde_json::to_value(scope).map_err(unprintable)?;
            document["branches"] = serde_json::to_value(self.branches_of(&scope.scope)).map_err(unprintable)?;
            scopes.push(document);
        }
        Ok(json!({"context": context, "scopes": scopes}))
    }

    fn text(&self, decoder: &Decoder) -> Result<String, CommandError> {
        let mut blocks = vec![
            self.head(),
            self.tasks(),
            self.scopes(),
            self.plans(),
            self.children(),
            self.pending(decoder)?,
            self.processed(),
        ];
        blocks.retain(|block| !block.is_empty());
        blocks.push(format!("DATA\n{:#}", *self.context.data));
        Ok(blocks.join("\n\n"))
    }

    fn head(&self) -> String {
        let (context, now) = (&self.context, wall_clock());
        let mut head = Table::without_headings();
        head.row(["EXECUTION", &context.execution_id]);
        let version = context.workflow_version.as_ref().map_or_else(String::new, |v| format!(", version {v}"));
        let kept = context.early.len();
        let more = match (context.is_unstarted(), context.stalled) {
            (true, _) => format!(", not started: {kept} events are kept for it"),
            (_, true) => ", stalled: nothing is left to do, and nothing is waited for".to_owned(),
            (false, false) => String::new(),
        };
        if !context.is_unstarted() {
            head.row(["WORKFLOW", &format!("{}{version}", context.workflow_id)]);
        }
        head.row(["STATUS", &format!("{}{more}", context.status)]);
        if context.segment > 0 {
            head.row(["SEGMENT", &format!("{}, continued as new", context.segment)]);
        }
        // What a failure has left is waited for only once the task that gave up was redriven.
        for wait in context.waits.iter().filter(|_| !context.status.is_closed()) {
            let key = wait.correlation_key.as_ref().map_or_else(String::new, |k| format!(" with correlation id {k}"));
            head.row(["WAITS FOR", &format!("{}{key}, asked by {}", wait.event_type, wait.task_id)]);
        }
        if let Some(parent) = &context.parent {
            head.row(["PARENT", &parent.execution_id]);
        }
        head.row(["CORRELATION", &context.correlation_id]);
        head.row(["STARTED", &format!("{}, {}", date(context.created_at), age(context.created_at, now))]);
        match context.completed_at {
            Some(at) => {
                let took = at - context.created_at;
                // An execution that ends in its first step has begun and ended at the same time.
                let after = if took > 0 { format!(", after {}", span(took as f64)) } else { String::new() };
                head.row(["ENDED", &format!("{}{after}", date(at))]);
            }
            None => head.row(["UPDATED", &format!("{}, {}", date(context.updated_at), age(context.updated_at, now))]),
        }
        head.row(["EVENTS", &format!("{}, inbox offset {}", context.sequence, context.applied_offset)]);
        head.to_string()
    }

    fn tasks(&self) -> String {
        let mut table = Table::new(&["TASK", "STATUS", "ATTEMPT", "FAILURES"]).right(&[2, 3]);
        for task in &self.context.tasks {
            table.row([&task.task_id, task.status.as_str(), &task.attempt.to_string(), &task.failures.to_string()]);
        }
        if table.is_empty() { String::new() } else { table.to_string() }
    }

    fn scopes(&self) -> String {
        let mut table = Table::new(&["SCOPE", "STATUS", "BRANCH", "STATUS", "RESULT"]);
        for scope in self.scopes.values() {
            let closed = scope.status != ScopeStatus::Open;
            let status = if scope.canceled { CANCELED } else { scope.status.as_str() };
            let (mut name, mut status) = (scope.name.as_str(), status);
            for branch in self.branches_of(&scope.scope) {
                let result = branch.result.as_ref().map_or("", |result| result.as_str());
                let lost = closed && branch.status == BranchStatus::Open;
                let branch_status = if lost { CANCELED } else { branch.status.as_str() };
                table.row([name, status, &branch.branch, branch_status, &shortened(result, RESULT_MAX)]);
                (name, status) = ("", "");
            }
            for branch in &scope.not_required {
                table.row([name, status, branch, "not required", ""]);
                (name, status) = ("", "");
            }
        }
        if table.is_empty() { String::new() } else { table.to_string() }
    }

    fn pending(&self, decoder: &Decoder) -> Result<String, CommandError> {
        let mut table = Table::new(&["PENDING", "DEPTH"]).right(&[1]);
        for pending in &self.context.pending {
            table.row([&decoder.event(&pending.event)?.event_type, &pending.depth.to_string()]);
        }
        Ok(if table.is_empty() { String::new() } else { table.to_string() })
    }

    fn plans(&self) -> String {
        let mut table = Table::new(&["PLAN", "TASKS", "DONE", "FAILED", "OPEN"]).right(&[1, 2, 3, 4]);
        for plan in self.context.plans() {
            let counts = [plan.total, plan.done, plan.failed, plan.open].map(|count| count.to_string());
            table.row([&*plan.plan_id, &counts[0], &counts[1], &counts[2], &counts[3]]);
        }
        if table.is_empty() { String::new() } else { table.to_string() }
    }

    fn children(&self) -> String {
        let mut table = Table::new(&["CHILDREN", "WORKFLOW", "WHEN THIS ENDS", "BRANCH"]);
        for child in &self.context.children {
            let branch = child.branch.as_deref().unwrap_or("");
            table.row([&*child.execution_id, &child.workflow_id, child.parent_close.as_str(), branch]);
        }
        if table.is_empty() { String::new() } else { table.to_string() }
    }

    fn processed(&self) -> String {
        let mut table = Table::new(&["NEWEST EVENTS", "AT (UTC)", "TASK", "RESULT", "BRANCH"]);
        for event in &self.context.processed {
            let branch = event.branch.as_deref().unwrap_or("");
            table.row([&*event.event_type, &clock(event.processed_at), &event.processed_by, &event.result, branch]);
        }
        if table.is_empty() { String::new() } else { table.to_string() }
    }
}
