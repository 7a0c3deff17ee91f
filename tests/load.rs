//! A load that comes out the same whenever it is run: executions with given ids, of several workflows.

use serde_json::{Value, json};

/// The first half of the load: starts, and counts for every third execution.
pub fn first_half(executions: usize) -> Vec<(String, Value)> {
    (0..executions).flat_map(begin).collect()
}

/// The second half: what lets every execution end.
pub fn second_half(executions: usize) -> Vec<(String, Value)> {
    (0..executions).flat_map(end).collect()
}

/// How many executions end by the first half alone.
pub fn ended_by_first_half(executions: usize) -> usize {
    (0..executions).filter(|number| number % 3 == 0).count()
}

/// The id of an execution of the load.
pub fn id(number: usize) -> String {
    format!("execution-{number}")
}

/// The first half of one execution.
pub fn begin(number: usize) -> Vec<(String, Value)> {
    let start = |workflow: &str| {
        json!({
            "event_id": format!("start-{number}"), "event_type": "workflow.started", "workflow_id": workflow,
            "occurred_at": "2026-01-02T03:04:05Z", "payload": {"number": number},
        })
    };
    match number % 3 {
        0 => vec![(id(number), start("linear"))],
        1 => vec![(id(number), start("checks"))],
        _ => {
            let up = |n: usize| {
                json!({"event_id": format!("up-{number}-{n}"), "event_type": "count.up",
                "occurred_at": "2026-01-02T03:04:05Z"})
            };
            // Every event comes twice: the second is a duplicate.
            let ups = (0..3).flat_map(|n| [(id(number), up(n)), (id(number), up(n))]);
            std::iter::once((id(number), start("counter"))).chain(ups).collect()
        }
    }
}

/// The second half of one execution.
pub fn end(number: usize) -> Vec<(String, Value)> {
    let event = |event_type: &str| {
        json!({"event_id": format!("end-{number}"), "event_type": event_type, "payload": {"end": number},
            "occurred_at": "2026-01-02T03:04:05Z"})
    };
    match number % 3 {
        0 => Vec::new(),
        1 => vec![(id(number), event("approved"))],
        _ => vec![(id(number), event("count.stop"))],
    }
}

/// The same events with borrowed keys, as they are sent.
pub fn borrowed(events: &[(String, Value)]) -> Vec<(&str, Value)> {
    events.iter().map(|(key, event)| (key.as_str(), event.clone())).collect()
}
