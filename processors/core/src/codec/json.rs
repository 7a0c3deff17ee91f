//! The JSON form of an event: the schema's names, with payload as a JSON value and times as RFC 3339.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::dialect::{self, Headers};
use crate::error_code::ErrorCode;
use crate::event::Event;
use crate::inbound::Refusal;
use crate::json::Json;

/// An event with every field that the schema names.
static KNOWN_FIELDS: LazyLock<serde_json::Result<Value>> = LazyLock::new(|| serde_json::to_value(Event::default()));

/// Reads an event in the native form, else in the dialect that the document has the shape of.
///
/// A document that the native form describes whole costs nothing more: only what that does not know is looked at.
pub(super) fn read(text: &[u8], headers: Headers) -> Result<Event, Refusal> {
    match native(text) {
        Ok((event, Known::Whole)) => Ok(event),
        read => dialect::read_shaped(text, headers).unwrap_or_else(|| finished(read, text)),
    }
}

/// Reads an event in the native form, whatever it looks like.
pub fn read_native_json(text: &[u8]) -> Result<Event, Refusal> {
    finished(native(text), text)
}

/// Does the native form name every field?
#[derive(PartialEq)]
enum Known {
    Whole,
    Partly,
}

fn native(text: &[u8]) -> Result<(Event, Known), serde_json::Error> {
    let mut known = Known::Whole;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let event = serde_ignored::deserialize(&mut deserializer, |_| known = Known::Partly)?;
    deserializer.end()?;
    Ok((event, known))
}

fn finished(read: Result<(Event, Known), serde_json::Error>, text: &[u8]) -> Result<Event, Refusal> {
    match read {
        Ok((event, Known::Whole)) => Ok(event),
        Ok((event, Known::Partly)) => with_unknown_fields(event, text),
        Err(_) => Err(refusal(text)),
    }
}

/// Keeps in `ext` the fields that the schema does not name.
fn with_unknown_fields(mut event: Event, text: &[u8]) -> Result<Event, Refusal> {
    let known = KNOWN_FIELDS.as_ref().map_err(malformed)?;
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(text).map_err(|error| malformed(&error))?;
    for (name, value) in fields.into_iter().filter(|(name, _)| known.get(name).is_none()) {
        let value = Json::parse(value.get())
            .map_err(|what| Refusal::new(ErrorCode::EventInvalid, format!("field {name}: {what}")))?;
        event.ext.insert(name, value);
    }
    Ok(event)
}

fn malformed(error: &serde_json::Error) -> Refusal {
    Refusal::new(ErrorCode::DecodeFailed, format!("the value is not a JSON object: {error}"))
}

/// What is wrong with a text that is no event: read once more, for what the reader of events does not tell.
fn refusal(text: &[u8]) -> Refusal {
    if let Err(error) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(text) {
        return malformed(&error);
    }
    match serde_path_to_error::deserialize::<_, Event>(&mut serde_json::Deserializer::from_slice(text)) {
        Err(error) => Refusal::new(ErrorCode::EventInvalid, format!("field {}: {}", error.path(), error.inner())),
        Ok(_) => Refusal::new(ErrorCode::DecodeFailed, "the value is not a JSON object"),
    }
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
