//! Every limit of the step, with its unit and its reason.

/// Bytes of an execution_id. It is a record key and part of every id that is derived.
pub const EXECUTION_ID_MAX_BYTES: usize = 256;
/// Bytes of any other name in an event: event_id, event_type, workflow_id, scope, branch, correlation_id.
pub const NAME_MAX_BYTES: usize = 256;
/// Bytes of an event without payload and effects, so that all three fit a record.
pub const ENVELOPE_MAX_BYTES: usize = 32 * 1024;
/// Bytes kept free in a record beside payload and effects: the envelope, Avro and Kafka framing.
pub const RECORD_MARGIN_BYTES: usize = 64 * 1024;
/// Nesting of any JSON document taken in or returned. serde_json itself reads 128 levels;
/// data is kept well below, so that what was written can always be read.
pub const JSON_MAX_DEPTH: usize = 64;
/// Nesting of a document of a dialect: what it keeps in `ext` is nested a few levels deeper than it came.
pub const DOCUMENT_MAX_DEPTH: usize = 128;
/// Input ids that a context remembers; deduplication by id is promised within this window.
pub const INPUT_IDS_MAX: usize = 256;
/// Newest handled events that a context lists.
pub const PROCESSED_MAX: usize = 16;
/// Events that one execution may have queued between transactions.
pub const PENDING_MAX: usize = 4096;
/// Waits that one execution may have open.
pub const WAITS_MAX: usize = 256;
/// Scopes that one execution may have open.
pub const SCOPES_MAX: usize = 1024;
/// Timers that one execution may have pending, those of retries and waits among them.
pub const TIMERS_MAX: usize = 1024;
/// Children that one execution may have at work.
pub const CHILDREN_MAX: usize = 1024;
/// Children of children, each started by the one before it: what goes deeper is taken for an endless recursion.
pub const CHILD_DEPTH_MAX: i32 = 16;
/// The longest time that a timer is set for, in milliseconds: ten years. What lies beyond is taken for a mistake.
pub const TIMER_DELAY_MAX_MS: u64 = 10 * 365 * 24 * 3600 * 1000;
/// Events that one execution may keep that came before their wait.
pub const EARLY_MAX: usize = 256;
/// Events that one execution may keep that came before its start.
pub const BEFORE_START_MAX: usize = 256;
/// Tasks of one tracked execution that are told apart.
pub const TRACKED_TASKS_MAX: usize = 1024;
/// Calls of tools that one execution may have reported without their results.
pub const TOOL_CALLS_MAX: usize = 256;
/// How often Dream.OS tries a task again: one more failure is permanent.
pub const TRACKED_RETRIES: i32 = 3;
/// References to artifacts in one event that a task emits: they fit its envelope.
pub const ARTIFACTS_MAX: usize = 16;
/// Bytes of the URI of an artifact.
pub const ARTIFACT_URI_MAX_BYTES: usize = 1024;
/// Agents of one execution whose usage is counted each by itself.
pub const AGENTS_MAX: usize = 64;
/// Branches of one scope. Those of a list begin at once and are pending together, so [`PENDING_MAX`] holds for them.
pub const BRANCHES_MAX: usize = 1_000_000;
/// Branches that a for-each begins at once: so many first events are pending at most.
pub const FOR_EACH_CHUNK: usize = 64;
/// Bytes of results that a scope's completion event carries; beyond it refers to the branch records.
pub const SCOPE_RESULTS_MAX_BYTES: usize = 128 * 1024;
/// Bytes of an error message: a task may give any, and a refusal may quote any input.
pub const ERROR_MESSAGE_MAX_BYTES: usize = 4096;
/// Bytes that one Avro read may allocate for a string or a collection: above every record limit.
pub const AVRO_ALLOCATION_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The text of an error message, cut to [`ERROR_MESSAGE_MAX_BYTES`].
pub(crate) fn cut_message(text: &str) -> String {
    let mut end = text.len().min(ERROR_MESSAGE_MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Are there control characters in a name? Most names are ASCII: of those many bytes are looked at at once.
pub(crate) fn has_control(name: &str) -> bool {
    if name.is_ascii() {
        name.bytes().fold(false, |found, byte| found | byte.is_ascii_control())
    } else {
        name.chars().any(char::is_control)
    }
}

/// The limits that the configuration can move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one event's payload.
    pub payload_max_bytes: usize,
    /// Bytes of one event's effects.
    pub effects_max_bytes: usize,
    /// Bytes of one execution's root record.
    pub context_max_bytes: usize,
    /// Events handled for one input before the rest waits as `pending`.
    pub step_max_events: u32,
    /// Milliseconds for which an event is kept that came before its wait.
    pub early_ttl_ms: u64,
    /// Milliseconds for which an event is kept that came before its execution started; 0: it is refused at once.
    pub early_start_ttl_ms: u64,
    /// Emissions in a row, each caused by the one before it, before the execution ends.
    pub chain_max_depth: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            payload_max_bytes: 512 * 1024,
            effects_max_bytes: 448 * 1024,
            context_max_bytes: 960 * 1024,
            step_max_events: 256,
            early_ttl_ms: 24 * 3600 * 1000,
            early_start_ttl_ms: 10_000,
            chain_max_depth: 1000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::has_control;

    #[test]
    fn control_characters_are_found_in_any_text() {
        for name in ["", "risk.assessed", "Schaden-Größe", "a b~", "\u{a0}"] {
            assert!(!has_control(name), "{name:?}");
        }
        for name in ["a\nb", "\0", "\u{7f}", "Größe\t", "\u{85}", "\u{9f}é"] {
            assert!(has_control(name), "{name:?}");
        }
    }
}
