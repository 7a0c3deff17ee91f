//! The workflow design's `WorkflowEvent`.
//!
//! It names no workflow: a start takes it from a member `workflow_type` or `workflow_id`, of the event or its payload.

use super::members::{Members, object, quoted};
use super::spelling::rfc3339;
use super::verdict::{Kind, foreign_type, verdict};
use super::{Dialect, Mapping, Reader, correlation, filled, payload, spelling};
use crate::event::{DEFAULT_PRIORITY, Event};
use crate::inbound::Refusal;
use crate::json::Json;

pub(super) const MAPPING: Mapping = Mapping {
    has_shape: |document| document.has("event_type") && document.has("workflow_instance_id"),
    shape: "event_type and workflow_instance_id",
    read,
    write,
};

fn read(document: &Members) -> Result<Event, Refusal> {
    let reader = Reader { dialect: Dialect::Workflow, at: "", members: document };
    let told = verdict(Dialect::Workflow, &reader.required("event_type")?);
    let priority = match document.get("priority") {
        None => DEFAULT_PRIORITY,
        Some(value) => spelling::integer(value).ok_or_else(|| reader.wrong("priority", "is no number"))?,
    };
    let payload = payload(document.get("payload"));
    Ok(Event {
        event_id: reader.text("event_id")?.unwrap_or_default(),
        execution_id: reader.text("workflow_instance_id")?.unwrap_or_default(),
        workflow_id: (told.kind == Kind::Start).then(|| workflow_of(document, payload.as_ref())).flatten(),
        channel: told.channel.map(|channel| channel.as_str().to_owned()).unwrap_or_default(),
        message_class: told.kind.class().as_str().to_owned(),
        occurred_at: reader.time("created_at")?,
        correlation_id: reader.text("correlation_id")?,
        payload,
        priority,
        ..Event::new(&told.event_type, 0)
    })
}

/// The workflow that a start names: beside its payload, or in it.
pub(super) fn workflow_of(document: &Members, payload: Option<&Json>) -> Option<String> {
    let named = |members: &Members| members.text("workflow_id").or_else(|| members.text("workflow_type"));
    named(document).or_else(|| payload.and_then(object).as_ref().and_then(named))
}

fn write(event: &Event) -> Members {
    let mut document = Members::default();
    document.push_text("event_id", filled(&event.event_id));
    document.push("event_type", quoted(&foreign_type(Dialect::Workflow, &event.event_type)));
    document.push_text("workflow_instance_id", filled(&event.execution_id));
    document.push("payload", event.payload.clone().unwrap_or_else(|| Json::trusted("null")));
    if event.occurred_at != 0 {
        document.push("created_at", rfc3339(event.occurred_at));
    }
    document
        .push("correlation_id", correlation(event, Dialect::Workflow).as_deref().map_or(Json::trusted("null"), quoted));
    document.push("priority", Json::trusted(event.priority.to_string()));
    document
}
