//! Texts with a meaning of their own: patterns, times, ids, and the names of closed sets.
//!
//! The first byte chooses which.

#![no_main]

use std::str::FromStr;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use thalweg_core::codec::Schemas;
use thalweg_core::identity::check_execution_id;
use thalweg_core::timestamp::rfc3339;
use thalweg_core::{
    BranchStatus, Channel, MessageClass, Pattern, ScopeStatus, TaskStatus, WorkflowStatus, partition_of,
};

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| Schemas::new().unwrap());

fuzz_target!(|data: &[u8]| {
    let Some((&which, rest)) = data.split_first() else { return };
    if which % 4 == 0 {
        return a_time_is_shown_and_read_again(rest);
    }
    let Ok(text) = std::str::from_utf8(rest) else { return };
    match which % 4 {
        1 => a_pattern_matches_what_it_says(text),
        2 => a_time_that_is_read_is_shown_and_read_again(text),
        _ => names_are_their_own(text),
    }
});

fn a_pattern_matches_what_it_says(text: &str) {
    let (pattern, event_type) = text.split_once('\n').unwrap_or((text, "a.b.c"));
    let says = match pattern {
        "*" => true,
        _ if pattern.ends_with(".*") => {
            let prefix = &pattern[..pattern.len() - 1];
            event_type.starts_with(prefix) && event_type != prefix
        }
        _ => pattern == event_type,
    };
    assert_eq!(Pattern::new(pattern).matches(event_type), says, "{pattern:?} {event_type:?}");
}

fn read_time(time: &str) -> Option<i64> {
    let event = json!({"event_type": "x", "occurred_at": time}).to_string();
    SCHEMAS.read_inbox(event.as_bytes()).ok().map(|event| event.occurred_at)
}

fn a_time_is_shown_and_read_again(bytes: &[u8]) {
    let Some(bytes) = bytes.first_chunk() else { return };
    let micros = i64::from_le_bytes(*bytes);
    assert_eq!(read_time(&rfc3339(micros)), Some(micros), "{micros} is shown as {}", rfc3339(micros));
}

fn a_time_that_is_read_is_shown_and_read_again(text: &str) {
    if let Some(micros) = read_time(text) {
        assert_eq!(read_time(&rfc3339(micros)), Some(micros), "{text:?} is shown as {}", rfc3339(micros));
    }
}

fn names_are_their_own(text: &str) {
    fn name<T: FromStr>(text: &str, as_str: fn(T) -> &'static str) {
        if let Ok(name) = text.parse() {
            assert_eq!(as_str(name), text);
        }
    }
    name(text, |channel: Channel| channel.as_str());
    name(text, |class: MessageClass| class.as_str());
    name(text, |status: WorkflowStatus| status.as_str());
    name(text, |status: TaskStatus| status.as_str());
    name(text, |status: ScopeStatus| status.as_str());
    name(text, |status: BranchStatus| status.as_str());
    let _ = check_execution_id(text);
    assert!((0..12).contains(&partition_of(text.as_bytes(), 12)));
}
