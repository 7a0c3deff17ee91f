//! A dead letter as it was read.

use rdkafka::message::{BorrowedMessage, Headers, Message};
use serde_json::{Map, Value, json};
use thalweg_core::effect::to_hex;
use thalweg_core::inbound::{HEADER_EVENT_ID, HEADER_INPUT, HEADER_ORIGIN, HEADER_REDRIVE};
use thalweg_core::timestamp::rfc3339;
use thalweg_core::{ErrorCode, Micros};
use thalweg_runtime::dead_letter::{
    HEADER_ATTEMPTS, HEADER_CODE, HEADER_EXECUTION_ID, HEADER_MESSAGE, HEADER_TASK, HEADER_TRUNCATED, VALUE_MAX_BYTES,
};

use super::place::Place;
use crate::producer::Position;

/// The headers that say what became of the original, in the order in which they are shown.
pub const OWN_HEADERS: [&str; 10] = [
    HEADER_CODE,
    HEADER_MESSAGE,
    HEADER_EXECUTION_ID,
    HEADER_EVENT_ID,
    HEADER_TASK,
    HEADER_ATTEMPTS,
    HEADER_INPUT,
    HEADER_ORIGIN,
    HEADER_REDRIVE,
    HEADER_TRUNCATED,
];

/// Those of them that are numbers.
const NUMBERS: [&str; 3] = [HEADER_ATTEMPTS, HEADER_REDRIVE, HEADER_TRUNCATED];

/// A dead letter.
pub struct Letter {
    /// Where it lies.
    pub place: Place,
    /// When it was written.
    pub written_at: Micros,
    /// The original's key.
    pub key: Option<Vec<u8>>,
    /// The original's value.
    pub value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Letter {
    /// Takes a record of the dead letters.
    pub fn of(message: &BorrowedMessage) -> Letter {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|h| (h.key.to_owned(), h.value.unwrap_or_default().to_vec())).collect()
        });
        Letter {
            place: Place { partition: message.partition(), offset: message.offset() },
            written_at: message.timestamp().to_millis().unwrap_or(0) * 1000,
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
        }
    }

    /// The newest header of this name, or nothing.
    pub fn header(&self, name: &str) -> String {
        let value = self.headers.iter().rev().find(|(key, _)| key == name);
        value.map_or_else(String::new, |(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// The error code.
    pub fn code(&self) -> String {
        self.header(HEADER_CODE)
    }

    /// The execution: as it says, else by its key, which may not be one.
    pub fn execution(&self) -> String {
        let named = self.header(HEADER_EXECUTION_ID);
        let key = self.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        if named.is_empty() { key.into_owned() } else { named }
    }

    /// The task that gave up, where it is not the record that was refused.
    pub fn task(&self) -> Option<String> {
        Some(self.header(HEADER_TASK)).filter(|task| !task.is_empty())
    }

    /// The number of its next redrive.
    pub fn next_redrive(&self) -> u32 {
        self.header(HEADER_REDRIVE).parse::<u32>().unwrap_or(0).saturating_add(1)
    }

    /// Where the original came from.
    pub fn origin(&self) -> Option<Position> {
        self.header(HEADER_ORIGIN).parse().ok()
    }

    /// Bytes of the original value, where the letter has no more than its beginning.
    pub fn truncated(&self) -> Option<usize> {
        let kept = self.value.as_ref().map_or(0, Vec::len);
        self.header(HEADER_TRUNCATED).parse().ok().filter(|bytes| kept == VALUE_MAX_BYTES && *bytes > kept)
    }

    /// The original's own headers.
    pub fn original_headers(&self) -> impl Iterator<Item = &(String, Vec<u8>)> {
        self.headers.iter().filter(|(name, _)| !OWN_HEADERS.contains(&name.as_str()))
    }

    /// What is known of it, without the original.
    pub fn document(&self) -> Map<String, Value> {
        let mut document = Map::new();
        document.insert("partition".to_owned(), Value::from(self.place.partition));
        document.insert("offset".to_owned(), Value::from(self.place.offset));
        document.insert("written_at".to_owned(), Value::from(rfc3339(self.written_at)));
        for name in OWN_HEADERS {
            let text = self.header(name);
            if text.is_empty() {
                continue;
            }
            let number = if NUMBERS.contains(&name) { text.parse::<i64>().ok() } else { None };
            document.insert(name.to_owned(), number.map_or_else(|| Value::from(text), Value::from));
        }
        document
    }
}

/// Bytes as JSON: `{"text": ...}` where they are UTF-8, else `{"hex": ...}`.
pub fn bytes_document(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => Value::Null,
        Some((Ok(text), _)) => json!({ "text": text }),
        Some((Err(_), bytes)) => json!({ "hex": to_hex(bytes) }),
    }
}

/// Reads an error code of the command line.
///
/// # Errors
/// The codes there are.
pub fn error_code(text: &str) -> Result<ErrorCode, String> {
    text.parse().map_err(|_| {
        let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        format!("the codes are {}", codes.join(", "))
    })
}
