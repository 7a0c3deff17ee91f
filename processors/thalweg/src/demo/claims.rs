//! The claims of the demo, by their number.

use claims::{ExampleKind, WORKFLOW_ID, example};
use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;

/// Of the claims that wait for an answer every so-manieth is left waiting.
const UNANSWERED_EVERY: u64 = 10;
const PREFIX: &str = "claim-";

/// What a claim is; the kinds take turns.
pub fn kind(number: u64) -> ExampleKind {
    let kinds = ExampleKind::ALL;
    kinds[usize::try_from(number).unwrap_or(0) % kinds.len()]
}

/// How a kind is called.
pub fn kind_name(kind: ExampleKind) -> &'static str {
    match kind {
        ExampleKind::Car => "car",
        ExampleKind::Home => "home",
        ExampleKind::Incomplete => "incomplete",
    }
}

/// Its execution; the namespace is the demo's own.
pub fn execution_id(number: u64) -> String {
    format!("{PREFIX}{}", number + 1)
}

/// The number of an execution.
pub fn number(execution_id: &str) -> Option<u64> {
    execution_id.strip_prefix(PREFIX)?.parse::<u64>().ok()?.checked_sub(1)
}

/// The event that starts it.
pub fn start(number: u64) -> Value {
    json!({"event_type": STARTED, "workflow_id": WORKFLOW_ID, "payload": example(kind(number), number)})
}

/// Does someone answer when it waits?
pub fn is_answered(number: u64) -> bool {
    number / ExampleKind::ALL.len() as u64 % UNANSWERED_EVERY != UNANSWERED_EVERY - 1
}

/// The answer that it waits for.
pub fn answer(event_type: &str) -> Value {
    json!({"event_type": event_type, "payload": {"additional_info": {"amount": 1200}}})
}

/// The claim whose history is shown: one that waited, or else the first.
pub fn shown(count: u64) -> u64 {
    (0..count).find(|number| kind(*number) == ExampleKind::Incomplete && is_answered(*number)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ids_are_two_way() {
        assert_eq!(number(&execution_id(41)), Some(41));
        assert_eq!(number("other"), None);
        assert_eq!(number("claim-0"), None);
    }

    #[test]
    fn one_in_ten_of_the_incomplete_is_left_waiting() {
        let incomplete: Vec<u64> = (0..1000).filter(|n| kind(*n) == ExampleKind::Incomplete).collect();
        let left = incomplete.iter().filter(|number| !is_answered(**number)).count();
        assert_eq!((incomplete.len(), left), (333, 33));
        assert_eq!(shown(1000), 2);
    }
}
