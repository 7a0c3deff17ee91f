//! A fan-out: branches to work on side by side, named one by one or made of items.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::channel::Channel;
use crate::join_policy::JoinPolicy;
use crate::message_class::MessageClass;
use crate::outcome::NewEvent;

/// Branches, and what follows when they are done, or when the policy does not wait for the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FanOut {
    /// Name for people; the scope's id is derived.
    pub name: String,
    /// What they must come to.
    #[serde(default)]
    pub policy: JoinPolicy,
    /// The branches; names are unique among them.
    #[serde(default)]
    pub branches: Vec<NewBranch>,
    /// A branch for each of these, in place of a list of branches.
    #[serde(default)]
    pub for_each: Option<ForEach>,
    /// Type of the event that is raised, in the parent scope, when the scope has joined.
    #[serde(default = "default_completed")]
    pub completed_event: String,
    /// Type of the event that is raised when it has failed; where no task handles it the parent fails.
    #[serde(default = "default_failed")]
    pub failed_event: String,
    /// After so many milliseconds it is decided with what is there: by best_effort it joins, by any other policy it
    /// fails; none: it takes as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

fn default_completed() -> String {
    "scope.completed".to_owned()
}

fn default_failed() -> String {
    "scope.failed".to_owned()
}

impl FanOut {
    /// A fan-out without branches yet.
    pub fn new(name: &str) -> FanOut {
        FanOut {
            name: name.to_owned(),
            policy: JoinPolicy::All,
            branches: Vec::new(),
            for_each: None,
            completed_event: default_completed(),
            failed_event: default_failed(),
            timeout_ms: None,
        }
    }

    /// It is decided after this time at the latest, rounded up to a millisecond.
    pub fn timeout(mut self, timeout: Duration) -> FanOut {
        self.timeout_ms = Some(u64::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
        self
    }

    /// Raises this type when joined.
    pub fn then(mut self, completed_event: &str) -> FanOut {
        self.completed_event = completed_event.to_owned();
        self
    }

    /// Raises this type when failed.
    pub fn or_else(mut self, failed_event: &str) -> FanOut {
        self.failed_event = failed_event.to_owned();
        self
    }

    /// A branch that begins with `event` and ends by a task's word or by running dry.
    pub fn branch(mut self, name: &str, event: NewEvent) -> FanOut {
        self.branches.push(NewBranch { name: name.to_owned(), event: Some(event), ends_on: None });
        self
    }

    /// A branch that begins with `event` and ends with an event of type `ends_on`, whose payload is its result.
    pub fn branch_until(mut self, name: &str, event: NewEvent, ends_on: &str) -> FanOut {
        self.branches.push(NewBranch { name: name.to_owned(), event: Some(event), ends_on: Some(ends_on.to_owned()) });
        self
    }

    /// Joins by this policy.
    pub fn policy(mut self, policy: JoinPolicy) -> FanOut {
        self.policy = policy;
        self
    }

    /// A branch for each of `items`, named by its index from 0.
    pub fn for_each(mut self, for_each: ForEach) -> FanOut {
        self.for_each = Some(for_each);
        self
    }

    /// A branch that is named but needs no work.
    pub fn not_required(mut self, name: &str) -> FanOut {
        self.branches.push(NewBranch { name: name.to_owned(), event: None, ends_on: None });
        self
    }
}

/// One branch of a fan-out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBranch {
    /// Its name.
    pub name: String,
    /// Its first event; none: it is not required.
    #[serde(default)]
    pub event: Option<NewEvent>,
    /// The event type that ends it, where it names one.
    #[serde(default)]
    pub ends_on: Option<String>,
}

/// A branch for each item: it begins with an event whose payload is `{"index": ..., "item": ...}`.
///
/// Branches begin by and by, so that there may be as many as [`BRANCHES_MAX`](crate::limits::BRANCHES_MAX).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForEach {
    /// The items.
    pub items: Items,
    /// Type of the first event of each branch.
    pub event_type: String,
    /// Its channel; none: by its class.
    #[serde(default)]
    pub channel: Option<Channel>,
    /// Its class; none: a command.
    #[serde(default)]
    pub message_class: Option<MessageClass>,
    /// The event type that ends a branch, where it names one.
    #[serde(default)]
    pub ends_on: Option<String>,
}

impl ForEach {
    /// A command of this type for each item.
    pub fn new(items: Items, event_type: &str) -> ForEach {
        ForEach { items, event_type: event_type.to_owned(), channel: None, message_class: None, ends_on: None }
    }

    /// A branch ends with an event of this type, whose payload is its result.
    pub fn until(mut self, ends_on: &str) -> ForEach {
        self.ends_on = Some(ends_on.to_owned());
        self
    }
}

/// What a for-each is for. In JSON an array, a number, or a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Items {
    /// These.
    List(Vec<Value>),
    /// So many: each item is its index.
    Count(u32),
    /// The array at this JSON pointer (RFC 6901) into `{"payload": of the event, "data": as the task left it}`.
    At(String),
}
