//! Dead letters: the original bytes, and in headers why and from where.

use std::sync::Arc;

use thalweg_core::ErrorCode;
use thalweg_core::inbound::{HEADER_EVENT_ID, HEADER_INPUT, HEADER_ORIGIN, HEADER_REDRIVE};

use crate::kafka::{InboxMessage, Outgoing};

/// Header: the error code.
pub const HEADER_CODE: &str = "code";
/// Header: what is wrong, for people.
pub const HEADER_MESSAGE: &str = "message";
/// Header: the task that gave up.
pub const HEADER_TASK: &str = "task";
/// Header: how often it was tried.
pub const HEADER_ATTEMPTS: &str = "attempts";
/// Header: the execution.
pub const HEADER_EXECUTION_ID: &str = "execution_id";
/// Header: bytes of the original value, where it was too large to keep whole; the origin still has it.
pub const HEADER_TRUNCATED: &str = "truncated";

/// Bytes of an original value that are kept: the inbox's record limit as `topics` sets it. A record can be larger
/// than that only unpacked from a compressed batch.
pub const VALUE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Headers that this module writes; the same names on the original record are left out.
const OWN: [&str; 9] = [
    HEADER_INPUT,
    HEADER_ORIGIN,
    HEADER_REDRIVE,
    HEADER_EVENT_ID,
    HEADER_CODE,
    HEADER_MESSAGE,
    HEADER_TASK,
    HEADER_ATTEMPTS,
    HEADER_EXECUTION_ID,
];

/// What a dead letter tells beside the original.
#[derive(Debug, Default)]
pub struct Reason<'a> {
    /// The code.
    pub code: Option<ErrorCode>,
    /// What is wrong.
    pub message: &'a str,
    /// The inbox record, where that itself is refused.
    pub input: Option<&'a str>,
    /// Where the original came from.
    pub origin: Option<&'a str>,
    /// How often it was redriven before.
    pub redrive: u32,
    /// The execution.
    pub execution_id: Option<&'a str>,
    /// The event.
    pub event_id: Option<&'a str>,
    /// The task that gave up.
    pub task_id: Option<&'a str>,
    /// How often it was tried.
    pub attempts: i32,
}

/// The dead letter of an inbox record: key, value and headers as they came.
pub fn of_record(topic: &Arc<str>, original: &InboxMessage, reason: &Reason) -> Outgoing {
    let mut headers: Vec<_> =
        original.headers.iter().filter(|(name, _)| !OWN.contains(&name.as_str())).cloned().collect();
    let mut value = original.value.clone();
    if let Some(bytes) = &mut value
        && bytes.len() > VALUE_MAX_BYTES
    {
        push(&mut headers, HEADER_TRUNCATED, &bytes.len().to_string());
        bytes.truncate(VALUE_MAX_BYTES);
    }
    add_reason(&mut headers, reason);
    Outgoing { topic: Arc::clone(topic), partition: original.partition, key: original.key.clone(), value, headers }
}

/// The dead letter of an event that never was an inbox record of its own: the event in Avro.
pub fn of_event(topic: &Arc<str>, partition: i32, key: &str, event: Vec<u8>, reason: &Reason) -> Outgoing {
    let mut headers = Vec::new();
    add_reason(&mut headers, reason);
    Outgoing { topic: Arc::clone(topic), partition, key: Some(key.as_bytes().to_vec()), value: Some(event), headers }
}

fn add_reason(headers: &mut Vec<(String, Option<Vec<u8>>)>, reason: &Reason) {
    let texts = [
        (HEADER_CODE, reason.code.map(|code| code.as_str())),
        (HEADER_MESSAGE, Some(reason.message)),
        (HEADER_INPUT, reason.input),
        (HEADER_ORIGIN, reason.origin),
        (HEADER_EXECUTION_ID, reason.execution_id),
        (HEADER_EVENT_ID, reason.event_id),
        (HEADER_TASK, reason.task_id),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            push(headers, name, text);
        }
    }
    push(headers, HEADER_ATTEMPTS, &reason.attempts.to_string());
    if reason.redrive > 0 {
        push(headers, HEADER_REDRIVE, &reason.redrive.to_string());
    }
}

fn push(headers: &mut Vec<(String, Option<Vec<u8>>)>, name: &str, text: &str) {
    headers.push((name.to_owned(), Some(text.as_bytes().to_vec())));
}
