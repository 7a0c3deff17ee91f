//! What became of an execution.

use serde_json::Value;
use thalweg_core::apply::DeadLetter;
use thalweg_core::context::Context;
use thalweg_core::event::EventError;
use thalweg_core::{Event, WorkflowStatus};

/// What an execution has written so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    pub events: Vec<Event>,
    pub rejections: Vec<Event>,
    pub dead_letters: Vec<DeadLetter>,
    pub duplicates: usize,
}

/// An execution as its topics tell it.
#[derive(Clone, Debug)]
pub struct SeenExecution {
    pub(crate) written: Written,
    pub(crate) context: Option<Context>,
}

impl SeenExecution {
    /// Its status; none of one that was never started.
    pub fn status(&self) -> Option<WorkflowStatus> {
        self.context.as_ref().map(|context| context.status)
    }

    /// Its root record: waits, timers, children, what its tasks came to.
    pub fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// Its data; null of one that was never started.
    pub fn data(&self) -> Value {
        self.context.as_ref().map_or(Value::Null, |context| context.data.clone().into())
    }

    /// Its events in order.
    pub fn events(&self) -> &[Event] {
        &self.written.events
    }

    /// The types of its events in order.
    pub fn types(&self) -> Vec<&str> {
        self.written.events.iter().map(|event| event.event_type.as_str()).collect()
    }

    /// Its first event of this type.
    pub fn event(&self, event_type: &str) -> Option<&Event> {
        self.written.events.iter().find(|event| event.event_type == event_type)
    }

    /// Has it an event of this type?
    pub fn has(&self, event_type: &str) -> bool {
        self.event(event_type).is_some()
    }

    /// What it ended with: the payload of its last event, once it is closed.
    pub fn result(&self) -> Option<Value> {
        self.status().filter(|status| status.is_closed())?;
        self.written.events.last().map(Event::payload_value)
    }

    /// Why it ended, where it did not end well.
    pub fn error(&self) -> Option<&EventError> {
        self.status().filter(|status| status.is_closed())?;
        self.written.events.last()?.error.as_ref()
    }

    /// The answers to inputs that its state did not allow.
    pub fn rejections(&self) -> &[Event] {
        &self.written.rejections
    }

    /// The inputs that were refused, and what its tasks gave up on.
    pub fn dead_letters(&self) -> &[DeadLetter] {
        &self.written.dead_letters
    }

    /// Inputs that were dropped because they were handled before.
    pub fn duplicates(&self) -> usize {
        self.written.duplicates
    }

    /// Its events as a tree, as `thalweg history` draws it.
    pub fn history(&self) -> String {
        thalweg_history::text(&self.written.events)
    }
}
