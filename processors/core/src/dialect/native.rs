//! Thalweg's own JSON form, with every number as it was spelled; and what of an event another form does not tell.

use super::members::{Members, object};
use crate::error_code::ErrorCode;
use crate::event::{DEFAULT_PRIORITY, Event};
use crate::inbound::Refusal;
use crate::json::Json;

/// The members of an event's JSON form that say something: none that is empty or as it is where nothing is said.
pub fn members(event: &Event) -> Members {
    let text = serde_json::to_string(event).unwrap_or_default();
    let all = Members::parse(text.as_bytes()).unwrap_or_default();
    all.into_iter().filter(|(name, value)| !says_nothing(name, value.as_str(), event)).collect()
}

fn says_nothing(name: &str, value: &str, event: &Event) -> bool {
    match name {
        "sequence" => event.sequence == 0,
        "attempt" => event.attempt == 1,
        "priority" => event.priority == DEFAULT_PRIORITY,
        "occurred_at" => event.occurred_at == 0,
        "event_id" | "event_type" | "execution_id" | "channel" | "message_class" => value == "\"\"",
        "entities" | "ext" | "effects" => matches!(value, "{}" | "[]"),
        _ => value == "null",
    }
}

/// Names the entries of `ext` that a document alone would give and the event has not.
const EXT_ABSENT: &str = "ext.absent";

/// What `event` says that `told` does not: its members, null where it has none, and of `ext` the entries.
pub fn beyond(event: &Event, told: &Event) -> Members {
    let (mut said, mut known) = (members(event), members(told));
    let entries = |ext: Option<Json>| ext.and_then(|ext| object(&ext)).unwrap_or_default();
    let (ext, known_ext) = (entries(said.remove("ext")), entries(known.remove("ext")));
    let less = known.iter().filter(|(name, _)| !said.has(name));
    let less = less.map(|(name, _)| (name.to_owned(), Json::trusted("null")));
    let mut beyond: Members = more(&said, &known).into_iter().chain(less).collect();
    let absent: Vec<&str> = known_ext.iter().map(|(name, _)| name).filter(|name| !ext.has(name)).collect();
    let ext = more(&ext, &known_ext);
    if !ext.is_empty() {
        beyond.push("ext", ext.to_json());
    }
    if !absent.is_empty() {
        beyond.push(EXT_ABSENT, Json::from(&serde_json::Value::from(absent)));
    }
    beyond
}

/// The members of `said` that `known` has not, or otherwise.
fn more(said: &Members, known: &Members) -> Members {
    let differing = said.iter().filter(|(name, value)| known.get(name) != Some(value));
    differing.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

/// The event that `told` is once what [`beyond`] gave is laid over it.
///
/// # Errors
/// EVENT_INVALID where a member is none of an event's, or is of another type.
pub fn laid_over(told: &Event, beyond: Members) -> Result<Event, Refusal> {
    let mut event = members(told);
    let mut ext = event.object("ext").unwrap_or_default();
    let known = Members::parse(serde_json::to_string(&Event::default()).unwrap_or_default().as_bytes());
    let known = known.unwrap_or_default();
    for (name, value) in beyond {
        if name == EXT_ABSENT {
            let absent: Vec<String> = serde_json::from_str(value.as_str()).unwrap_or_default();
            absent.iter().for_each(|name| drop(ext.remove(name)));
            continue;
        }
        if !known.has(&name) {
            return Err(invalid(&format!("{name} is no field of an event")));
        }
        match (name.as_str(), value.as_str()) {
            ("ext", _) => {
                object(&value).unwrap_or_default().into_iter().for_each(|(name, value)| ext.set(&name, value))
            }
            (_, "null") => drop(event.remove(&name)),
            _ => event.set(&name, value),
        }
    }
    event.set("ext", ext.to_json());
    let text = event.to_json();
    let mut deserializer = serde_json::Deserializer::from_str(text.as_str());
    serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| invalid(&format!("{}: {}", error.path(), error.inner())))
}

fn invalid(what: &str) -> Refusal {
    Refusal::new(ErrorCode::EventInvalid, format!("field {}.{what}", super::OURS))
}

/// An id for an event that has none, in a form that must have one: the same for the same event.
pub fn id_of(event: &Event) -> String {
    crate::identity::event_id_at(members(event).to_json().as_str())
}
