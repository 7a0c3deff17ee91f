//! Dream.OS's `BaseEvent`.
//!
//! Its types are members of an enumeration, written by their names or by the topics that the several versions of the
//! bus derive from them. Writers vary: `args` or `tool_args`, `error` or `error_message`; both are read.

use super::members::{Members, object, quoted};
use super::spelling::{boolean, python_time, status};
use super::verdict::{as_report, foreign_type, verdict};
use super::{Dialect, Mapping, Reader, correlation, filled, invalid, payload, status_of};
use crate::event::{Entity, Event, EventError};
use crate::inbound::Refusal;
use crate::json::Json;

pub(super) const MAPPING: Mapping = Mapping {
    has_shape: |document| document.has("event_type") && document.has("source_id"),
    shape: "event_type and source_id",
    read,
    write,
};

/// What a topic may have between its domain and its action.
const FILLERS: [&str; 3] = ["lifecycle", "execution", "status"];

fn read(document: &Members) -> Result<Event, Refusal> {
    let reader = Reader { dialect: Dialect::Dreamos, at: "", members: document };
    let foreign = reader.required("event_type")?;
    let told = verdict(Dialect::Dreamos, &name_of(&foreign));
    let data = payload(document.get("data"));
    let body = match &data {
        None => Members::default(),
        Some(data) => object(data).ok_or_else(|| invalid(Dialect::Dreamos, "field data: is no object"))?,
    };
    let mut event = Event {
        event_id: reader.text("event_id")?.unwrap_or_default(),
        channel: told.channel.map(|channel| channel.as_str().to_owned()).unwrap_or_default(),
        message_class: told.kind.class().as_str().to_owned(),
        occurred_at: reader.time("timestamp")?,
        source: reader.text("source_id")?,
        correlation_id: reader.text("correlation_id")?,
        payload: data,
        ..Event::new(&told.event_type, 0)
    };
    if told.kind == super::Kind::Start {
        event.workflow_id = super::workflow::workflow_of(document, event.payload.as_ref());
    }
    event.status = body.text("status").map(|text| status(&text)).or(status_of(&event.event_type).map(str::to_owned));
    event.error = error_of(&event.event_type, &body);
    event.duration_ms = body.get("duration_ms").and_then(super::spelling::number);
    for (kind, name) in ENTITIES {
        if let Some(id) = body.text(name) {
            event.entities.insert(kind.to_owned(), Entity { id: Some(id), ..Entity::default() });
        }
    }
    Ok(event)
}

/// Kinds of entities, and the member of `data` that has the id.
const ENTITIES: [(&str, &str); 3] = [("agent", "agent_id"), ("task", "task_id"), ("tool", "tool_name")];

/// An error may come without a message: what failed is told all the same.
fn error_of(event_type: &str, body: &Members) -> Option<EventError> {
    let message = body.text("error").or_else(|| body.text("error_message"));
    let failed = matches!(status_of(event_type), Some("FAILED" | "PERMANENTLY_FAILED"));
    if message.is_none() && !failed {
        return None;
    }
    Some(EventError {
        message: message.unwrap_or_default(),
        code: body.text("error_code"),
        details: body.get("details").filter(|details| details.as_str().starts_with('{')).cloned(),
        exception_type: body.text("exception_type"),
        traceback: body.text("traceback"),
        retryable: None,
        is_final: body.get("is_final").and_then(boolean),
    })
}

/// The name of a type, whichever way it is written; of a type that the table does not name a topic.
fn name_of(foreign: &str) -> String {
    let text = foreign.strip_prefix("EventType.").unwrap_or(foreign);
    let name = undotted(text.strip_prefix("dreamos.").unwrap_or(text));
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    match name.split_once('_') {
        Some((domain, action)) if name.chars().all(is_name) && !is_known(&name) => {
            format!("{domain}.{action}").to_ascii_lowercase()
        }
        _ => name,
    }
}

fn is_known(name: &str) -> bool {
    super::table().any(|(dialect, foreign, _)| dialect == Dialect::Dreamos && foreign == name)
}

fn undotted(topic: &str) -> String {
    if !topic.contains('.') {
        return topic.to_owned();
    }
    let parts: Vec<&str> = topic.split('.').collect();
    let joined = |parts: &[&str]| parts.join("_").to_ascii_uppercase();
    let without: Vec<&str> = parts.iter().copied().filter(|part| !FILLERS.contains(part)).collect();
    let name = match topic {
        "agent.status.updated" => "SYSTEM_AGENT_STATUS_CHANGE".to_owned(),
        "agent.registered" | "agent.unregistered" => format!("SYSTEM_{}", joined(&parts)),
        "task.status.update" => "TASK_STATUS_UPDATE".to_owned(),
        _ => joined(&without),
    };
    if is_known(&name) { name } else { topic.to_owned() }
}

fn write(event: &Event) -> Members {
    let mut document = Members::default();
    let native = as_report(&event.event_type).filter(|_| event.event_type != crate::inbound::STARTED);
    let foreign = foreign_type(Dialect::Dreamos, native.unwrap_or(&event.event_type));
    document.push("event_type", quoted(&foreign));
    document.push("source_id", quoted(event.source.as_deref().unwrap_or_default()));
    document.push("data", data(event));
    if event.occurred_at != 0 {
        document.push("timestamp", python_time(event.occurred_at));
    }
    document.push_text("event_id", filled(&event.event_id));
    document
        .push("correlation_id", correlation(event, Dialect::Dreamos).as_deref().map_or(Json::trusted("null"), quoted));
    document
}

/// The payload, with what a reader of Dream.OS looks for there and the event has in fields of its own.
fn data(event: &Event) -> Json {
    let Some(mut body) = event.payload.as_ref().map_or(Some(Members::default()), object) else {
        let mut wrapped = Members::default();
        wrapped.push("result", event.payload.clone().unwrap_or_else(|| Json::trusted("null")));
        return wrapped.to_json();
    };
    if Dialect::Dreamos.is_own(event) {
        return event.payload.clone().unwrap_or_else(|| Json::trusted("{}"));
    }
    for (kind, name) in ENTITIES {
        let id = event.entities.get(kind).and_then(|entity| entity.id.as_deref());
        if !body.has(name) {
            body.push_text(name, id);
        }
    }
    if !body.has("status") {
        body.push_text("status", event.status.as_deref());
    }
    if !body.has("error") && !body.has("error_message") {
        body.push_text("error", event.error.as_ref().map(|error| error.message.as_str()));
    }
    body.to_json()
}
