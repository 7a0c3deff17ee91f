//! The JSON form of an event: the schema's names, with payload as a JSON value and times as RFC 3339.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error_code::ErrorCode;
use crate::event::Event;
use crate::inbound::Refusal;
use crate::json::Json;

/// Names of the schema's fields.
const FIELDS: [&str; 36] = [
    "event_id",
    "event_type",
    "execution_id",
    "workflow_id",
    "workflow_version",
    "channel",
    "message_class",
    "sequence",
    "occurred_at",
    "recorded_at",
    "source",
    "payload",
    "status",
    "error",
    "duration_ms",
    "attempt",
    "priority",
    "correlation_id",
    "request_id",
    "trace_id",
    "parent_event_id",
    "scope",
    "branch",
    "reply",
    "payload_schema_name",
    "entities",
    "tenant_id",
    "user_id",
    "platform_tenant_id",
    "session_id",
    "goal_id",
    "plan_id",
    "subject",
    "created_by",
    "ext",
    "effects",
];

pub(super) fn read(text: &[u8]) -> Result<Event, Refusal> {
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(text)
        .map_err(|error| Refusal::new(ErrorCode::DecodeFailed, format!("the value is not a JSON object: {error}")))?;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let mut event: Event = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| Refusal::new(ErrorCode::EventInvalid, format!("field {}: {}", error.path(), error.inner())))?;
    for (name, value) in fields {
        if !FIELDS.contains(&name.as_str()) {
            let value = Json::parse(value.get())
                .map_err(|what| Refusal::new(ErrorCode::EventInvalid, format!("field {name}: {what}")))?;
            event.ext.insert(name, value);
        }
    }
    Ok(event)
}

/// The JSON form of an event: what is empty is left out.
pub fn event_to_json(event: &Event) -> Value {
    let Ok(Value::Object(fields)) = serde_json::to_value(event) else { return Value::Null };
    let filled: Map<String, Value> = fields.into_iter().filter(|(_, value)| !is_empty(value)).collect();
    Value::Object(filled)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
