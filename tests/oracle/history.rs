//! The events of each execution, in the order of their sequence.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_core::effect::Effect;

use super::anomaly::{Findings, Kind};
use super::observed::{EventRecord, Observed};

/// Type of the answer to an input that the execution's state does not allow.
pub const REJECTED: &str = "transition.rejected";
/// Types of the events that tell the end of an execution.
pub const ENDS: [&str; 3] = ["workflow.completed", "workflow.failed", "workflow.limit_exceeded"];
/// Types of the engine's remarks: published about an event, handled by nobody.
pub const REMARKS: [&str; 6] = [ENDS[0], ENDS[1], ENDS[2], "workflow.stalled", "task.failed", "event.unhandled"];
/// Source of the events that the engine makes.
pub const ENGINE: &str = "thalweg";

/// An event of a history, its effects read.
pub struct Entry<'a> {
    pub record: &'a EventRecord,
    pub effects: Vec<Effect>,
}

impl Entry<'_> {
    /// Does it end its execution?
    pub fn ends(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::Closed(_)))
    }
}

/// What the channels tell of one execution.
#[derive(Default)]
pub struct History<'a> {
    /// The events with a sequence, in its order.
    pub entries: Vec<Entry<'a>>,
    /// The rejections, which have none.
    pub rejections: Vec<&'a EventRecord>,
}

impl History<'_> {
    /// Has it ended?
    pub fn ended(&self) -> bool {
        self.entries.iter().any(Entry::ends)
    }

    /// Are the sequences 1, 2, 3, ...?
    pub fn is_gapless(&self) -> bool {
        self.entries.iter().zip(1..).all(|(entry, expected)| entry.record.event.sequence == expected)
    }
}

/// The histories, by execution id. An execution that has a context and no event is among them, empty.
pub type Histories<'a> = BTreeMap<&'a str, History<'a>>;

/// Sorts the events by execution and sequence.
pub fn histories<'a>(observed: &'a Observed, findings: &mut Findings) -> Histories<'a> {
    let mut histories = Histories::new();
    for record in &observed.events {
        let history: &mut History = histories.entry(&record.event.execution_id).or_default();
        if record.event.event_type == REJECTED {
            history.rejections.push(record);
        } else {
            history.entries.push(Entry { record, effects: effects(record, findings) });
        }
    }
    let executions: BTreeSet<&str> = observed.contexts.keys().map(super::checks::execution_of).collect();
    for execution in executions {
        histories.entry(execution).or_default();
    }
    for history in histories.values_mut() {
        history.entries.sort_by_key(|entry| entry.record.event.sequence);
    }
    histories
}

fn effects(record: &EventRecord, findings: &mut Findings) -> Vec<Effect> {
    let mut effects = Vec::new();
    for recorded in &record.event.effects {
        match Effect::read(recorded) {
            Ok(Some(effect)) => effects.push(effect),
            Ok(None) => findings.add(Kind::Unreadable, &record.position, format!("effect {:?}", recorded.kind)),
            Err(error) => {
                findings.add(Kind::Unreadable, &record.position, format!("effect {}: {error}", recorded.kind));
            }
        }
    }
    effects
}
