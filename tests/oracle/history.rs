//! The events of each execution, in the order of their sequence.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_core::apply::CONTINUED;
use thalweg_core::approval::{Approval, DECIDED, Decision};
use thalweg_core::effect::Effect;
use thalweg_core::{Event, WorkflowCommand, redrive, retry, timer};

use super::anomaly::{Findings, Kind};
use super::observed::{EventRecord, Observed};

/// Type of the answer to an input that the execution's state does not allow.
pub const REJECTED: &str = "transition.rejected";
/// Types of the events that tell the end of an execution.
pub const ENDS: [&str; 4] = ["workflow.completed", "workflow.failed", "workflow.limit_exceeded", "workflow.canceled"];
/// Types of the engine's remarks: published about an event, handled by nobody.
const REMARKS: [&str; 11] = [
    "plan.progressed",
    "workflow.acknowledged",
    "workflow.stalled",
    "workflow.paused",
    "workflow.resumed",
    "task.failed",
    "system.error",
    "event.unhandled",
    timer::FIRED,
    retry::SCHEDULED,
    retry::PERMANENTLY_FAILED,
];
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

    /// Is it the engine's remark, or a command to it? Neither is routed to tasks.
    pub fn is_unrouted(&self) -> bool {
        let event = &self.record.event;
        let event_type = event.event_type.as_str();
        // What answers a request has the type that the request names; the ends of scopes and children have such, too.
        let answers = event.source.as_deref() == Some(ENGINE)
            && ![
                redrive::RESUMED,
                retry::STARTED,
                timer::WAITING_TIMED_OUT,
                timer::SCOPE_TIMED_OUT,
                "escalation.required",
                CONTINUED,
            ]
            .contains(&event_type)
            && event.payload_value().get("counts").is_none()
            && !event.ext.contains_key("child");
        answers
            || ENDS.contains(&event_type)
            || REMARKS.contains(&event_type)
            || event_type.parse::<WorkflowCommand>().is_ok()
    }

    /// Do people not let the task go on that asked them? It fails by that, and has not given up.
    pub fn rejects(&self) -> bool {
        let event = &self.record.event;
        event.event_type == DECIDED && Approval::of(event).is_ok_and(|a| a.decision == Decision::Rejected)
    }

    /// Does a task run again with it?
    pub fn redrives(&self) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::Redriven(_)))
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
    /// Has it ended, and was not redriven since?
    pub fn ended(&self) -> bool {
        self.entries.iter().rev().find_map(|entry| (entry.ends() || entry.redrives()).then(|| entry.ends()))
            == Some(true)
    }

    /// The event that was handled: the entry's own, or the one that was handled again or after all under its number.
    pub fn handled<'a>(&'a self, entry: &'a Entry) -> &'a Event {
        let published = &entry.record.event;
        let payload = published.payload_value();
        let id = match published.event_type.as_str() {
            redrive::REQUESTED => &payload["event"]["event_id"],
            redrive::RESUMED | retry::STARTED => &payload["event_id"],
            _ => return published,
        };
        let events = self.entries.iter().map(|entry| &entry.record.event);
        events.rev().find(|event| id.as_str() == Some(&event.event_id)).unwrap_or(published)
    }

    /// The sequences of what was published unhandled: when a task gave up, for the time after a redrive, or during a
    /// pause.
    pub fn left(&self) -> BTreeSet<i64> {
        let mut sequences: BTreeMap<&str, i64> = BTreeMap::new();
        let (mut pending, mut left) = (BTreeSet::new(), BTreeSet::new());
        for entry in &self.entries {
            sequences.insert(&entry.record.event.event_id, entry.record.event.sequence);
            for effect in &entry.effects {
                match effect {
                    Effect::PendingAdded(added) => {
                        pending.extend(added.iter().map(|p| p.event_id.as_str()));
                        left.extend(added.iter().filter_map(|p| sequences.get(p.event_id.as_str())));
                    }
                    Effect::PendingTaken(taken) => {
                        pending.remove(taken.event_id.as_str());
                    }
                    Effect::Closed(closed) if closed.resumable => {
                        left.extend(pending.iter().filter_map(|id| sequences.get(id)));
                    }
                    _ => {}
                }
            }
        }
        left
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
