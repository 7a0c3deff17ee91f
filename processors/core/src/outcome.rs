//! What a task decides. The same shape is the JSON that a remote worker sends.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::approval::Interrupt;
use crate::artifact::Artifact;
use crate::budget::Usage;
use crate::channel::Channel;
use crate::child::NewChild;
use crate::event::{Event, Micros};
use crate::fan_out::FanOut;
use crate::message_class::MessageClass;

/// What a task decided about the event that it handled. Built up: `Outcome::new().emit(...).complete(...)`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outcome {
    /// Events for this execution, handled after this one in this order.
    pub emit: Vec<NewEvent>,
    /// Branches to work on side by side.
    pub fan_out: Option<Box<FanOut>>,
    /// Events from outside that the execution now waits for.
    pub wait_for: Vec<WaitFor>,
    /// Events of this execution for a later time.
    pub timer: Vec<NewTimer>,
    /// Names of timers that shall not fire: those of the branch in which the event was handled, or outside of any
    /// branch those of the execution as a whole.
    pub cancel_timer: Vec<String>,
    /// Executions that are started for this one, and whose ends it is told.
    pub start_child: Vec<NewChild>,
    /// Ends the execution: SUCCESS, with this result.
    pub complete: Option<Value>,
    /// Ends the branch, or outside of any branch the execution: FAILED.
    pub fail: Option<Failure>,
    /// Ends the branch in which the event was handled: SUCCESS, with this result.
    pub complete_branch: Option<Value>,
    /// What the handling came to; a branch that ends by running dry takes its last one as its result.
    pub result: Option<Value>,
    /// What the handling used up.
    pub usage: Option<Usage>,
    /// What people are asked before the execution goes on.
    pub interrupt: Option<Box<Interrupt>>,
    /// The execution goes on from its start, under its id, with its data and what it waits for: `workflow.continued` is
    /// handled by the tasks that handle `workflow.started`, after what was emitted before it.
    pub continue_as_new: bool,
}

impl Outcome {
    /// Nothing decided.
    pub fn new() -> Outcome {
        Outcome::default()
    }

    /// Emits `event`.
    pub fn emit(mut self, event: NewEvent) -> Outcome {
        self.emit.push(event);
        self
    }

    /// Fans out.
    pub fn fan_out(mut self, fan_out: FanOut) -> Outcome {
        self.fan_out = Some(Box::new(fan_out));
        self
    }

    /// Waits for an event of this type.
    pub fn wait_for(mut self, wait: WaitFor) -> Outcome {
        self.wait_for.push(wait);
        self
    }

    /// Sets a timer.
    pub fn timer(mut self, timer: NewTimer) -> Outcome {
        self.timer.push(timer);
        self
    }

    /// Cancels the timers of this name.
    pub fn cancel_timer(mut self, name: &str) -> Outcome {
        self.cancel_timer.push(name.to_owned());
        self
    }

    /// Starts a child.
    pub fn start_child(mut self, child: NewChild) -> Outcome {
        self.start_child.push(child);
        self
    }

    /// Completes the execution.
    pub fn complete(mut self, result: impl Into<Value>) -> Outcome {
        self.complete = Some(result.into());
        self
    }

    /// Fails the branch, or outside of any branch the execution.
    pub fn fail(mut self, code: &str, message: &str) -> Outcome {
        self.fail = Some(Failure { code: code.to_owned(), message: message.to_owned() });
        self
    }

    /// Completes the branch.
    pub fn complete_branch(mut self, result: Value) -> Outcome {
        self.complete_branch = Some(result);
        self
    }

    /// Asks people, and waits for their decision.
    pub fn interrupt(mut self, interrupt: Interrupt) -> Outcome {
        self.interrupt = Some(Box::new(interrupt));
        self
    }

    /// Continues as new.
    pub fn continue_as_new(mut self) -> Outcome {
        self.continue_as_new = true;
        self
    }

    /// Says what the handling used up.
    pub fn usage(mut self, usage: Usage) -> Outcome {
        self.usage = Some(usage);
        self
    }

    /// Says what the handling came to.
    pub fn result(mut self, result: Value) -> Outcome {
        self.result = Some(result);
        self
    }
}

/// An event that a task emits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    /// Its type; not one of the engine's.
    pub event_type: String,
    /// Its payload.
    #[serde(default)]
    pub payload: Value,
    /// Its channel; none: by its class.
    #[serde(default)]
    pub channel: Option<Channel>,
    /// Its class; none: a fact.
    #[serde(default)]
    pub message_class: Option<MessageClass>,
    /// Values that it refers to, kept elsewhere: its field `artifacts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
}

impl NewEvent {
    /// A fact of this type.
    pub fn new(event_type: &str, payload: Value) -> NewEvent {
        NewEvent {
            event_type: event_type.to_owned(),
            payload,
            channel: None,
            message_class: None,
            artifacts: Vec::new(),
        }
    }

    /// A command of this type.
    pub fn command(event_type: &str, payload: Value) -> NewEvent {
        NewEvent { message_class: Some(MessageClass::Command), ..NewEvent::new(event_type, payload) }
    }

    /// The answer to a command.
    pub fn answer(event_type: &str, payload: Value) -> NewEvent {
        NewEvent { message_class: Some(MessageClass::Result), ..NewEvent::new(event_type, payload) }
    }

    /// The answer that a request asks for by its `reply`: of the type that it names, on the channel that it names, else
    /// on action-results. None where it asks for no answer.
    ///
    /// It has the request's correlation and trace, and the request as its parent, as all that a task emits has.
    pub fn reply_to(request: &Event, payload: Value) -> Option<NewEvent> {
        let reply = request.reply.as_ref()?;
        let channel = reply.response_topic.as_ref().and_then(|topic| topic.parse().ok());
        let answer = NewEvent::answer(reply.response_event.as_ref()?, payload);
        Some(answer.on(channel.unwrap_or(Channel::ActionResults)))
    }

    /// The same with a reference to a value that is kept elsewhere.
    pub fn artifact(mut self, artifact: Artifact) -> NewEvent {
        self.artifacts.push(artifact);
        self
    }

    /// The same on another channel.
    pub fn on(mut self, channel: Channel) -> NewEvent {
        self.channel = Some(channel);
        self
    }
}

/// An event for a later time. It is durable: it fires once, not before its time, wherever the execution is then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTimer {
    /// Name by which it can be cancelled; several may have the same.
    pub name: String,
    /// Milliseconds from now on. Either this or `at` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// The time, as microseconds since the epoch, in JSON also RFC 3339; what is past is due at once.
    #[serde(default, with = "crate::timestamp::optional", skip_serializing_if = "Option::is_none")]
    pub at: Option<Micros>,
    /// What is emitted then, in the branch in which the timer was set.
    pub event: NewEvent,
}

impl NewTimer {
    /// Emits `event` after `delay`, in whole milliseconds.
    pub fn after(name: &str, delay: Duration, event: NewEvent) -> NewTimer {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        NewTimer { name: name.to_owned(), delay_ms: Some(delay_ms), at: None, event }
    }

    /// Emits `event` at `at`, in microseconds since the epoch.
    pub fn at(name: &str, at: Micros, event: NewEvent) -> NewTimer {
        NewTimer { name: name.to_owned(), delay_ms: None, at: Some(at), event }
    }
}

/// An event to wait for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitFor {
    /// Its type.
    pub event_type: String,
    /// Where given, its correlation_id must be this.
    #[serde(default)]
    pub correlation_key: Option<String>,
    /// Milliseconds after which it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// What is emitted then, in the branch that waited. Without it the branch fails, or outside of any branch the
    /// execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<NewEvent>,
}

impl WaitFor {
    /// Waits for any event of this type.
    pub fn event(event_type: &str) -> WaitFor {
        WaitFor { event_type: event_type.to_owned(), correlation_key: None, timeout_ms: None, on_timeout: None }
    }

    /// Waits for one with this correlation_id.
    pub fn key(mut self, correlation_key: &str) -> WaitFor {
        self.correlation_key = Some(correlation_key.to_owned());
        self
    }

    /// Waits no longer than this, in whole milliseconds.
    pub fn timeout(mut self, timeout: Duration) -> WaitFor {
        self.timeout_ms = Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Emits `event` where the answer did not come in time.
    pub fn on_timeout(mut self, event: NewEvent) -> WaitFor {
        self.on_timeout = Some(event);
        self
    }
}

/// A failure that a task decided on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The task's own code.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}
