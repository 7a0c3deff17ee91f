//! What an outcome emits: events and scopes with their derived ids.

use std::sync::Arc;

use super::decision::{invalid, name, optional_name, returned, scope_event};
use super::timer::{self, Setting};
use super::{Current, Step};
use serde_json::Value;

use crate::artifact::{ARTIFACTS, Artifact};
use crate::channel::Channel;
use crate::context::{BranchOpening, Scope};
use crate::execution::Queued;
use crate::fan_out::FanOut;
use crate::identity;
use crate::inbound::is_reserved;
use crate::json::Json;
use crate::message_class::MessageClass;
use crate::outcome::{NewEvent, NewTimer, WaitFor};
use crate::status::ScopeStatus;
use crate::task::TaskFailure;
use crate::timer::{Purpose, Timer};

/// Makes what one outcome asks for; ids count up in the order of making.
pub(super) struct Emission<'a> {
    pub current: &'a Current,
    pub task_id: &'a str,
    pub step: &'a Step<'a>,
    pub ordinal: usize,
}

impl Emission<'_> {
    pub fn id(&mut self) -> String {
        let id = identity::derived_id(
            &self.current.event.execution_id,
            &self.current.event.event_id,
            self.current.attempt.redrive,
            self.task_id,
            self.current.attempt.number,
            self.ordinal,
        );
        self.ordinal += 1;
        id
    }

    pub fn event(&mut self, new: &NewEvent, branch: Option<(&str, &str)>) -> Result<Queued, TaskFailure> {
        if is_reserved(&new.event_type) {
            return Err(invalid(format!("event type {:?} is the engine's own and can't be emitted", new.event_type)));
        }
        // Filled in where it stays: it is some hundred bytes wide.
        let mut shared = Arc::new(self.current.event.follow_up(name("event_type", &new.event_type)?));
        let event = Arc::make_mut(&mut shared);
        let class = new.message_class.unwrap_or(MessageClass::Fact);
        event.event_id = self.id();
        event.occurred_at = self.step.now;
        event.source = Some(self.task_id.to_owned());
        event.message_class = class.as_str().to_owned();
        event.channel = new.channel.unwrap_or(Channel::default_for(class)).as_str().to_owned();
        event.payload = returned("payload", &new.payload, self.step)?;
        if !new.artifacts.is_empty() {
            Artifact::check(&new.artifacts).map_err(invalid)?;
            event.ext.insert(ARTIFACTS.to_owned(), Json::from(&serde_json::json!(new.artifacts)));
        }
        if branch != event.place() {
            (event.scope, event.branch) = branch.map(|(scope, name)| (scope.to_owned(), name.to_owned())).unzip();
        }
        Ok(Queued { event: shared, depth: self.current.depth + 1, input: None, opens: None, logged: false })
    }

    pub fn timer(&mut self, new: &NewTimer) -> Result<Setting, TaskFailure> {
        let due_at = timer::due_at(new, self.step.now)?;
        let timer_id = self.id();
        let kept = self.event(&new.event, self.current.event.place())?;
        let (scope, branch) = (self.current.event.scope.as_deref(), self.current.event.branch.as_deref());
        let timer = Timer {
            name: Some(name("timer.name", &new.name)?),
            event_id: Some(kept.event.event_id.clone()),
            ..Timer::new(timer_id, Purpose::Event, due_at).in_branch(scope, branch)
        };
        Ok(Setting { timer, event: Some(kept.event) })
    }

    /// The timer of a wait that has a time-out.
    pub fn wait_timer(&mut self, wait: &WaitFor, wait_id: &str) -> Result<Option<Setting>, TaskFailure> {
        let Some(timeout_ms) = wait.timeout_ms else {
            let lost = wait.on_timeout.is_some();
            return if lost { Err(invalid("wait_for.on_timeout without wait_for.timeout_ms")) } else { Ok(None) };
        };
        let due_at = timer::after(timeout_ms, self.step.now)?;
        let timer_id = self.id();
        let kept = wait.on_timeout.as_ref().map(|new| self.event(new, self.current.event.place())).transpose()?;
        let event = kept.map(|queued| queued.event);
        let (scope, branch) = (self.current.event.scope.as_deref(), self.current.event.branch.as_deref());
        let timer = Timer {
            reference: Some(wait_id.to_owned()),
            event_id: event.as_ref().map(|event| event.event_id.clone()),
            ..Timer::new(timer_id, Purpose::Wait, due_at).in_branch(scope, branch)
        };
        Ok(Some(Setting { timer, event }))
    }

    /// The timer of a scope that has a time-out.
    pub fn scope_timer(&mut self, fan_out: &FanOut, scope: &Scope) -> Result<Option<Timer>, TaskFailure> {
        let Some(timeout_ms) = fan_out.timeout_ms else { return Ok(None) };
        let due_at = timer::after(timeout_ms, self.step.now)?;
        let timer = Timer {
            reference: Some(scope.scope.clone()),
            ..Timer::new(self.id(), Purpose::Scope, due_at)
                .in_branch(scope.parent_scope.as_deref(), scope.parent_branch.as_deref())
        };
        Ok(Some(timer))
    }

    /// A scope with the first events of its branches; `after` is the data as the task left it.
    pub fn scope(&mut self, fan_out: &FanOut, after: &Value) -> Result<(Scope, Vec<Queued>), TaskFailure> {
        let id = self.id();
        let mut names = std::collections::BTreeSet::new();
        let mut not_required = Vec::new();
        let mut first_events = Vec::new();
        for (ordinal, branch) in fan_out.branches.iter().enumerate() {
            let branch_name = name("branch name", &branch.name)?;
            if !names.insert(branch_name.clone()) {
                return Err(invalid(format!("two branches are named {branch_name:?}")));
            }
            let Some(event) = &branch.event else {
                not_required.push(branch_name);
                continue;
            };
            let mut first = self.event(event, Some((&id, &branch_name)))?;
            let ends_on = optional_name("ends_on", branch.ends_on.as_deref())?;
            first.opens = Some(BranchOpening { ordinal: ordinal as i32, ends_on });
            first_events.push(first);
        }
        let mut total = first_events.len();
        let mut items = Vec::new();
        if let Some(for_each) = &fan_out.for_each {
            if !fan_out.branches.is_empty() {
                return Err(invalid("a fan-out has branches or a for_each, not both"));
            }
            let (first, all, rest) = self.for_each(for_each, &id, after)?;
            (first_events, total, items) = (first, all, rest);
        }
        let scope = Scope {
            execution_id: self.current.event.execution_id.clone(),
            scope: id,
            name: name("fan_out.name", &fan_out.name)?,
            parent_scope: self.current.event.scope.clone(),
            parent_branch: self.current.event.branch.clone(),
            policy: fan_out.policy,
            status: ScopeStatus::Open,
            total: total as i32,
            succeeded: 0,
            failed: 0,
            not_required,
            completed_event: scope_event("completed_event", &fan_out.completed_event)?,
            failed_event: scope_event("failed_event", &fan_out.failed_event)?,
            correlation_id: self.current.event.correlation_id.clone(),
            opened_by: self.current.event.event_id.clone(),
            canceled: false,
            to_begin: (total - first_events.len()) as i32,
            items,
        };
        Ok((scope, first_events))
    }
}
