//! Redriving a task that gave up: the command that asks for it, and when an execution allows it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::channel::Channel;
use crate::context::Context;
use crate::error_code::ErrorCode;
use crate::event::{Event, Micros};
use crate::identity;
use crate::inbound::{self, Refusal};
use crate::json::Json;
use crate::limits::{ENVELOPE_MAX_BYTES, Limits};
use crate::message_class::MessageClass;
use crate::retry;
use crate::status::{TaskStatus, WorkflowStatus};

/// The event type that asks to run a task again that gave up.
pub const REQUESTED: &str = "task.redrive.requested";
/// The event type that tells that an event which a failure had left unhandled is handled after all.
pub const RESUMED: &str = "event.resumed";
/// The result of an event in the list of newest events, where a task gave up on it.
pub(crate) const GAVE_UP: &str = "FAILED";

/// Which task is to run again, and on what. The payload of the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The task.
    pub task_id: String,
    /// The event that it gave up on.
    pub event: Event,
}

impl Request {
    /// What a command asks for.
    ///
    /// # Errors
    /// PAYLOAD_INVALID or EVENT_INVALID.
    pub fn of(command: &Event) -> Result<Request, Refusal> {
        let invalid = |what: String| {
            let form = "{\"task_id\": ..., \"event\": ...}";
            Refusal::new(ErrorCode::PayloadInvalid, format!("the payload of {REQUESTED} must be {form}: {what}"))
        };
        let Some(payload) = &command.payload else { return Err(invalid("there is none".to_owned())) };
        let request: Request = serde_json::from_str(payload.as_str()).map_err(|error| invalid(error.to_string()))?;
        let event = &request.event;
        if request.task_id.is_empty() || event.event_id.is_empty() {
            return Err(invalid("task_id and event.event_id must be given".to_owned()));
        }
        if !event.execution_id.is_empty() && event.execution_id != command.execution_id {
            return Err(invalid(format!("the event is one of execution {:?}", event.execution_id)));
        }
        if let Some(payload) = &event.payload {
            payload.checked_value().map_err(|what| invalid(format!("the event's payload is not usable: {what}")))?;
        }
        inbound::check_names(event)?;
        inbound::check_documents(event)?;
        Ok(request)
    }

    /// The command, as an event for the inbox. The same task and event make the same id: with the header `redrive` it
    /// is what is deduplicated.
    ///
    /// # Errors
    /// Where the event can't be written as JSON, which its type rules out.
    pub fn command(&self, now: Micros) -> Result<Event, serde_json::Error> {
        // What the router adds to a record is not part of what was handled.
        let mut event = self.event.clone();
        event.effects.clear();
        let mut command = Event::new(REQUESTED, now);
        command.execution_id.clone_from(&event.execution_id);
        command.event_id = identity::derived_id(
            &event.execution_id,
            &event.event_id,
            0,
            &format!("{REQUESTED}/{}", self.task_id),
            1,
            0,
        );
        command.parent_event_id = Some(event.event_id.clone());
        command.correlation_id.clone_from(&event.correlation_id);
        let request = Request { task_id: self.task_id.clone(), event };
        command.payload = Some(Json::trusted(serde_json::to_string(&request)?));
        Ok(command)
    }
}

/// Checks a command of the inbox, and gives it its place.
pub(crate) fn check_content(command: &mut Event, limits: &Limits) -> Result<(), Refusal> {
    // The event within may have a payload of the full size: envelope and payload share their room.
    let bytes = command.envelope_bytes() + command.payload.as_ref().map_or(0, |payload| payload.as_str().len());
    let bytes_max = limits.payload_max_bytes.saturating_add(ENVELOPE_MAX_BYTES);
    if bytes > bytes_max {
        return Err(Refusal::new(
            ErrorCode::TooLarge,
            format!("the command with its event has {bytes} bytes, at most {bytes_max} are allowed"),
        ));
    }
    Request::of(command)?;
    inbound::check_documents(command)?;
    command.message_class = MessageClass::Command.as_str().to_owned();
    command.channel = Channel::TaskEvents.as_str().to_owned();
    // It is about the execution as a whole: the event within says which branch it belongs to.
    command.scope = None;
    command.branch = None;
    command.sequence = 0;
    command.recorded_at = None;
    command.effects.clear();
    Ok(())
}

/// May this task run again on this event?
///
/// # Errors
/// Why not, for people.
pub fn allows(context: &Context, task_id: &str, event_id: &str) -> Result<(), String> {
    let failed = context.status == WorkflowStatus::Failed;
    if context.status.is_closed() && !failed {
        return Err(closed(context.status));
    }
    match context.tasks.iter().find(|task| task.task_id == task_id) {
        None => return Err(format!("task {task_id} has not run in this execution")),
        Some(task) if task.status == TaskStatus::Success => return Err(format!("task {task_id} is {}", task.status)),
        Some(_) => {}
    }
    let ended_it = context.processed.last().is_some_and(|last| last.event_id == event_id && last.result == GAVE_UP);
    if failed && !ended_it {
        return Err("the execution is FAILED, and not because a task gave up on this event".to_owned());
    }
    Ok(())
}

/// Why nothing happens any more in an execution.
pub(crate) fn closed(status: WorkflowStatus) -> String {
    format!("the execution is closed ({status})")
}

/// The payload of the event that was handled, where `published` tells of its handling: its own, or that of the event
/// which was handled once more or after all.
pub(crate) fn handled_payload(published: &Event) -> Option<Json> {
    #[derive(Deserialize)]
    struct Resumed {
        payload: Option<Box<RawValue>>,
    }
    let json = published.payload.as_ref();
    match published.event_type.as_str() {
        REQUESTED => Request::of(published).ok()?.event.payload,
        RESUMED | retry::STARTED => {
            let resumed: Resumed = serde_json::from_str(json?.as_str()).ok()?;
            resumed.payload.map(|payload| Json::trusted(payload.get()))
        }
        _ => json.cloned(),
    }
}

/// The payload of [`RESUMED`], and of [`retry::STARTED`]: which event is handled, and its payload where that is a result.
pub(crate) fn resumed_payload(event: &Event, with_payload: bool) -> Option<Json> {
    #[derive(Serialize)]
    struct Resumed<'a> {
        event_id: &'a str,
        event_type: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<&'a Json>,
    }
    let payload = event.payload.as_ref().filter(|_| with_payload);
    let resumed = Resumed { event_id: &event.event_id, event_type: &event.event_type, payload };
    serde_json::to_string(&resumed).ok().map(Json::trusted)
}
