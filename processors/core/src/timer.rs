//! Durable timers: what is to happen in an execution at a time. They are part of its root record.

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::event::Micros;
use crate::string_enum::string_enum;

/// The event type that tells that a timer fired.
pub const FIRED: &str = "timer.fired";
/// The event type that tells that what was waited for did not come in time.
pub const WAITING_TIMED_OUT: &str = "task.waiting.timed_out";

/// The event type that tells that a fan-out was not decided in time.
pub const SCOPE_TIMED_OUT: &str = "scope.timed_out";

string_enum! {
    /// What a timer is for. A record may name others, set by a later version: this one leaves them alone.
    Purpose {
        /// Emits the event that is kept with it.
        Event = "event",
        /// Runs a task again on the event that is kept with it; the reference is the task.
        Retry = "retry",
        /// Ends a wait; the reference is the wait.
        Wait = "wait",
        /// Decides a scope; the reference is the scope.
        Scope = "scope",
        /// The execution has used up its time.
        WallTime = "wall_time",
    }
}

/// A pending timer (`schemas/context.avsc`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct Timer {
    pub timer_id: String,
    pub purpose: String,
    #[serde(with = "crate::timestamp")]
    pub due_at: Micros,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub reference: Option<String>,
    #[serde(default)]
    pub event_id: Option<String>,
    #[serde(default)]
    pub scope: Option<String>,
    #[serde(default)]
    pub branch: Option<String>,
    #[serde(default)]
    pub attempt: i32,
    #[serde(default)]
    pub redrive: i32,
    #[serde(default, with = "crate::timestamp::optional")]
    pub since: Option<Micros>,
}

impl Timer {
    /// A timer of the execution as a whole that refers to nothing.
    pub fn new(timer_id: String, purpose: Purpose, due_at: Micros) -> Timer {
        Timer {
            timer_id,
            purpose: purpose.as_str().to_owned(),
            due_at,
            name: None,
            reference: None,
            event_id: None,
            scope: None,
            branch: None,
            attempt: 0,
            redrive: 0,
            since: None,
        }
    }

    /// The same in a branch.
    pub fn in_branch(mut self, scope: Option<&str>, branch: Option<&str>) -> Timer {
        self.scope = scope.map(str::to_owned);
        self.branch = branch.map(str::to_owned);
        self
    }

    /// Its purpose, where this version knows it.
    pub fn known_purpose(&self) -> Option<Purpose> {
        self.purpose.parse().ok()
    }

    /// Is it for this, and about that?
    pub fn is_about(&self, purpose: Purpose, reference: &str) -> bool {
        self.purpose == purpose.as_str() && self.reference.as_deref() == Some(reference)
    }

    /// Does it belong to this branch?
    pub fn is_of(&self, scope: &str, branch: &str) -> bool {
        self.scope.as_deref() == Some(scope) && self.branch.as_deref() == Some(branch)
    }

    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.timer_id.len()
            + self.purpose.len()
            + optional(&self.name)
            + optional(&self.reference)
            + optional(&self.event_id)
            + optional(&self.scope)
            + optional(&self.branch)
    }
}

/// The content of an event that a timer keeps; the effects name its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct TimerEvent {
    pub timer_id: String,
    #[serde(with = "serde_bytes")]
    pub event: Vec<u8>,
}

impl Context {
    /// The timer that is to fire first, where there is one that may: none of an execution that is closed, for what a
    /// failure has left waits for a redrive; nor of one that is paused, for what comes due meanwhile acts at the resume.
    pub fn next_timer(&self) -> Option<&Timer> {
        if self.timers.is_empty() || self.status.is_closed() || self.is_paused() {
            return None;
        }
        self.timers.iter().filter(|timer| timer.known_purpose().is_some()).min_by_key(|timer| timer.due_at)
    }

    /// When [`Context::next_timer`] is due, or the first of the events that came before their wait is handled without.
    pub fn next_due(&self) -> Option<Micros> {
        let early = self.early.iter().map(|early| early.until).min();
        let early = early.filter(|_| !self.status.is_closed() && !self.is_paused());
        self.next_timer().map(|timer| timer.due_at).into_iter().chain(early).min()
    }
}
