//! A JSON document that keeps its own spelling.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::limits::JSON_MAX_DEPTH;

/// A well-formed JSON document as text: numbers keep their spelling, and what nobody reads is not parsed twice.
///
/// In Avro it is a string, in JSON the document itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Json(String);

impl Json {
    /// Takes `text` as it is.
    ///
    /// # Errors
    /// Where it is no JSON document, or nested deeper than [`JSON_MAX_DEPTH`].
    pub fn parse(text: impl Into<String>) -> Result<Json, String> {
        let text = text.into();
        let value: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        check_depth(&value)?;
        Ok(Json(text))
    }

    /// Takes what serde_json wrote.
    pub(crate) fn trusted(text: impl Into<String>) -> Json {
        Json(text.into())
    }

    /// What serde_json writes of `value`, whose keys are texts.
    pub(crate) fn of(value: &impl Serialize) -> Json {
        Json(serde_json::to_string(value).unwrap_or_default())
    }

    /// The document as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is it an object, or null? A look at its first character tells: it is well-formed.
    pub fn is_object_or_null(&self) -> bool {
        self.0.trim_ascii_start().starts_with(['{', 'n'])
    }

    /// The document as a value. A document that was checked when it was made does parse;
    /// one read back from a record that someone else wrote reads as null where it does not.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// The document as a value, or why it is none.
    ///
    /// # Errors
    /// As [`Json::parse`].
    pub fn checked_value(&self) -> Result<Value, String> {
        let value: Value = serde_json::from_str(&self.0).map_err(|e| e.to_string())?;
        check_depth(&value)?;
        Ok(value)
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        // Not by its `Display`, which takes twice the time.
        Json::of(value)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
            raw.serialize(serializer)
        } else {
            serializer.serialize_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let raw = Box::<RawValue>::deserialize(deserializer)?;
            Ok(Json(raw.get().into()))
        } else {
            Ok(Json(String::deserialize(deserializer)?))
        }
    }
}

/// Bytes of a value as text.
pub(crate) fn length(value: &Value) -> usize {
    /// Counts what is written and keeps nothing of it.
    struct Count(usize);

    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    // Nothing can go wrong with a value in memory and a writer that takes all.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// Refuses a document nested deeper than [`JSON_MAX_DEPTH`].
///
/// # Errors
/// A sentence with the limit.
pub fn check_depth(value: &Value) -> Result<(), String> {
    if depth_within(value, JSON_MAX_DEPTH) {
        Ok(())
    } else {
        Err(format!("JSON nested deeper than {JSON_MAX_DEPTH} levels"))
    }
}

fn depth_within(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(items) => left > 0 && items.iter().all(|v| depth_within(v, left - 1)),
        Value::Object(map) => left > 0 && map.values().all(|v| depth_within(v, left - 1)),
        _ => true,
    }
}
