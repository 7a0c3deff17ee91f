//! JamJet's `Event` with its kinds.
//!
//! The payload is the kind without its tag; of a start it is the initial input. Its `sequence` counts its own log and
//! is kept beside ours.

use super::members::{Members, object, quoted};
use super::spelling::{boolean, integer, number, rfc3339};
use super::verdict::{as_report, foreign_type, verdict};
use super::{Dialect, Mapping, Reader, filled, invalid, payload, status_of, workflow_id, workflow_version};
use crate::event::{Entity, Event, EventError};
use crate::inbound::Refusal;
use crate::json::Json;

pub(super) const MAPPING: Mapping = Mapping {
    has_shape: |document| !document.has("event_type") && document.object("kind").is_some_and(|kind| kind.has(TAG)),
    shape: "kind with a type",
    read,
    write,
};

const TAG: &str = "type";
/// The type of a start, read and written with its input as payload.
const REPORTED_START: &str = "report.workflow.started";
/// Members of that kind that fields of the event hold.
const START_MEMBERS: [&str; 3] = ["workflow_id", "workflow_version", "initial_input"];

fn read(document: &Members) -> Result<Event, Refusal> {
    let reader = Reader { dialect: Dialect::Jamjet, at: "", members: document };
    let kind = document.object("kind").ok_or_else(|| invalid(Dialect::Jamjet, "field kind: is no object"))?;
    let inner = Reader { dialect: Dialect::Jamjet, at: "kind.", members: &kind };
    let told = verdict(Dialect::Jamjet, &inner.required(TAG)?);
    let mut event = Event {
        event_id: reader.text("id")?.unwrap_or_default(),
        execution_id: reader.text("execution_id")?.unwrap_or_default(),
        channel: told.channel.map(|channel| channel.as_str().to_owned()).unwrap_or_default(),
        message_class: told.kind.class().as_str().to_owned(),
        occurred_at: reader.time("created_at")?,
        ..Event::new(&told.event_type, 0)
    };
    if event.event_type == REPORTED_START {
        event.workflow_id = inner.text("workflow_id")?;
        event.workflow_version = inner.text("workflow_version")?;
        event.payload = payload(kind.get("initial_input"));
    } else {
        let rest: Members = kind.iter().filter(|(name, _)| *name != TAG).map(owned).collect();
        event.payload = Some(rest.to_json());
    }
    derive(&mut event, &kind);
    Ok(event)
}

fn owned((name, value): (&str, &Json)) -> (String, Json) {
    (name.to_owned(), value.clone())
}

/// The fields that say once more what the kind says.
fn derive(event: &mut Event, kind: &Members) {
    event.status = status_of(&event.event_type).map(str::to_owned);
    event.duration_ms = kind.get("duration_ms").or_else(|| kind.get("latency_ms")).and_then(number);
    event.attempt = kind.get("attempt").and_then(integer).unwrap_or(1);
    event.correlation_id = kind.text("correlation_key");
    event.user_id = kind.text("user_id");
    let message = kind.text("error").or_else(|| kind.text("message"));
    event.error = message.map(|message| EventError {
        message,
        code: kind.text("failure_type"),
        retryable: kind.get("retryable").and_then(boolean),
        ..EventError::default()
    });
    let entities =
        [("task", "node_id"), ("tool", "tool_name"), ("tool", "tool"), ("agent", "agent_ref"), ("agent", "agent_uri")];
    for (entity, name) in entities {
        if let Some(id) = kind.text(name) {
            event.entities.insert(entity.to_owned(), Entity { id: Some(id), ..Entity::default() });
        }
    }
}

fn write(event: &Event) -> Members {
    let mut document = Members::default();
    document.push_text("id", filled(&event.event_id));
    document.push_text("execution_id", filled(&event.execution_id));
    if event.sequence != 0 {
        document.push("sequence", Json::trusted(event.sequence.to_string()));
    }
    document.push("kind", kind(event).to_json());
    if event.occurred_at != 0 {
        document.push("created_at", rfc3339(event.occurred_at));
    }
    document
}

fn kind(event: &Event) -> Members {
    let native = as_report(&event.event_type).unwrap_or(&event.event_type);
    let mut kind = Members::default();
    let is_report = native == event.event_type && native.starts_with(super::REPORT);
    if native == REPORTED_START {
        kind.push(TAG, quoted("workflow_started"));
        kind.push_text(START_MEMBERS[0], workflow_id(event, Dialect::Jamjet).as_deref());
        kind.push_text(START_MEMBERS[1], workflow_version(event, Dialect::Jamjet).as_deref());
        kind.push(START_MEMBERS[2], event.payload.clone().unwrap_or_else(|| Json::trusted("null")));
        return kind;
    }
    let body = event.payload.as_ref().and_then(object).filter(|body| !body.has(TAG));
    if let (true, Some(body)) = (is_report, body) {
        let foreign = foreign_type(Dialect::Jamjet, native);
        kind.push(TAG, quoted(foreign.strip_prefix(super::REPORT).unwrap_or(&foreign)));
        body.iter().for_each(|(name, value)| kind.push(name, value.clone()));
        return kind;
    }
    engines(event, native)
}

/// The kind that says what an event of Thalweg's own engine, or of a workflow, says.
fn engines(event: &Event, native: &str) -> Members {
    let mut kind = Members::default();
    let payload = || event.payload.clone().unwrap_or_else(|| Json::trusted("null"));
    let message = event.error.as_ref().map_or("", |error| error.message.as_str());
    let task = event.entities.get("task").and_then(|task| task.id.as_deref());
    match native {
        "report.workflow.success" => {
            kind.push(TAG, quoted("workflow_completed"));
            kind.push("final_state", payload());
        }
        "report.workflow.failed" => {
            kind.push(TAG, quoted("workflow_failed"));
            kind.push("error", quoted(message));
        }
        "report.workflow.canceled" => {
            kind.push(TAG, quoted("workflow_cancelled"));
            kind.push("reason", event.error.as_ref().map_or(Json::trusted("null"), |error| quoted(&error.message)));
        }
        "report.task.failed" | "report.task.permanently_failed" if task.is_some() => {
            kind.push(TAG, quoted("node_failed"));
            kind.push_text("node_id", task);
            kind.push("error", quoted(message));
            kind.push("attempt", Json::trusted(event.attempt.to_string()));
            let retryable = event.error.as_ref().and_then(|error| error.retryable).unwrap_or(false);
            kind.push("retryable", Json::trusted(retryable.to_string()));
        }
        _ => {
            kind.push(TAG, quoted("external_event_received"));
            kind.push("correlation_key", quoted(event.correlation_id.as_deref().unwrap_or_default()));
            kind.push("payload", payload());
        }
    }
    kind
}
