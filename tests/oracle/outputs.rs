//! What two runs of the same inputs can be compared by: all outputs, without what may differ between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};
use thalweg_core::codec::event_to_json;
use thalweg_core::context::{Context, Pending, RecordKey};
use thalweg_core::effect::to_hex;
use thalweg_core::inbound::{HEADER_EVENT_ID, HEADER_INPUT, HEADER_ORIGIN};
use thalweg_core::{Event, WorkflowStatus, redrive};

use super::anomaly::Findings;
use super::checks::execution_of;
use super::history::{REJECTED, histories};
use super::input::{Inputs, NO_TIME, inputs};
use super::observed::{Observed, Stored};
use super::record::{Position, Record};

/// Whether positions in the inbox are part of what is compared, and with them the ids that derive from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// For two readings of one namespace.
    Kept,
    /// For two namespaces. The test gives every execution_id and event_id, since missing ones derive from positions.
    Left,
}

/// Differences that are shown.
const SHOWN: usize = 20;

/// Lines by execution: its events in order, its rejections, its records, its dead letters. What names no execution is
/// under the empty name.
///
/// Left out are the times that a router sets, how long tasks ran, who processed, and the scopes and branches of executions
/// that have succeeded: where transactions end decides whether there are records of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outputs(BTreeMap<String, Vec<String>>);

impl Outputs {
    /// The lines of one execution.
    pub fn of(&self, execution_id: &str) -> &[String] {
        self.0.get(execution_id).map_or(&[], Vec::as_slice)
    }

    /// What one has and the other has not, where they differ.
    pub fn difference(&self, other: &Outputs) -> Option<String> {
        if self == other {
            return None;
        }
        let executions: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let mut lines = Vec::new();
        for execution in executions {
            let (here, there) = (self.of(execution), other.of(execution));
            let missing = here.iter().filter(|line| !there.contains(line)).map(|line| format!("- {execution} {line}"));
            let added = there.iter().filter(|line| !here.contains(line)).map(|line| format!("+ {execution} {line}"));
            let before = lines.len();
            lines.extend(missing.chain(added));
            if lines.len() == before && here != there {
                lines.push(format!("  {execution}: the same lines in another order or number"));
            }
        }
        let more = lines.len().saturating_sub(SHOWN);
        lines.truncate(SHOWN);
        Some(format!("{}\n({more} more)", lines.join("\n")))
    }
}

impl fmt::Display for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (execution, lines) in &self.0 {
            writeln!(f, "{execution}")?;
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        Ok(())
    }
}

impl Observed {
    /// All outputs, for comparison with those of another run.
    pub fn outputs(&self, positions: Positions) -> Outputs {
        let mut ignored = Findings::default();
        let canon = Canon { observed: self, inputs: inputs(self, &mut ignored), positions };
        let mut outputs: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (execution, history) in histories(self, &mut ignored) {
            let lines = outputs.entry(execution.to_owned()).or_default();
            for entry in &history.entries {
                let event = canon.event(&entry.record.event, entry.record.input.as_ref());
                lines.push(format!("event {}: {event}", entry.record.event.sequence));
            }
            for record in history.rejections {
                lines.push(format!("rejection: {}", canon.event(&record.event, record.input.as_ref())));
            }
        }
        for (key, record) in self.contexts.iter().filter(|(key, _)| !self.may_be_left_out(key)) {
            let lines = outputs.entry(execution_of(key).to_owned()).or_default();
            lines.push(match &record.stored {
                Stored::Root(root) => format!("context: {}", canon.context(root)),
                Stored::Scope(scope) => format!("scope: {}", plain(scope)),
                Stored::Branch(branch) => format!("branch: {}", plain(branch)),
            });
        }
        let mut letters: Vec<(String, String)> = self.dead_letters.iter().map(|l| canon.dead_letter(l)).collect();
        letters.sort();
        for (execution, line) in letters {
            outputs.entry(execution).or_default().push(line);
        }
        Outputs(outputs)
    }
}

impl Observed {
    fn may_be_left_out(&self, key: &RecordKey) -> bool {
        let succeeded = |root: &Context| root.status == WorkflowStatus::Success;
        matches!(key, RecordKey::Inner(inner) if self.root(&inner.execution_id).is_some_and(succeeded))
    }
}

fn plain(record: &impl serde::Serialize) -> Value {
    serde_json::to_value(record).unwrap_or_default()
}

/// Brings outputs to the form in which two runs agree.
struct Canon<'a> {
    observed: &'a Observed,
    inputs: Inputs<'a>,
    positions: Positions,
}

impl Canon<'_> {
    fn event(&self, event: &Event, input: Option<&Position>) -> Value {
        let mut value = event_to_json(event);
        let Value::Object(fields) = &mut value else { return value };
        fields.remove("recorded_at");
        fields.remove("duration_ms");
        if !input.is_some_and(|input| self.gives_time(input)) {
            fields.remove("occurred_at");
        }
        if event.event_type == redrive::REQUESTED {
            // The command has its own time, and speaks of an event with the times that a router gave it.
            fields.remove("occurred_at");
            if let Some(Value::Object(handled)) = fields.get_mut("payload").and_then(|p| p.get_mut("event")) {
                handled.retain(|name, _| !["occurred_at", "recorded_at", "duration_ms"].contains(&name.as_str()));
            }
        }
        match self.positions {
            Positions::Kept => {
                fields.insert(HEADER_INPUT.to_owned(), json!(input.map(Position::to_string)));
            }
            // The id of a rejection derives from the position.
            Positions::Left if event.event_type == REJECTED => {
                fields.remove("event_id");
            }
            Positions::Left => {}
        }
        value
    }

    /// Does the inbox record itself say when it happened? Otherwise the time is that of its arrival.
    fn gives_time(&self, input: &Position) -> bool {
        let inbound = self.inputs.get(input).and_then(|input| input.inbound());
        inbound.is_some_and(|inbound| inbound.event.occurred_at != NO_TIME)
    }

    fn context(&self, root: &Context) -> Value {
        let mut value = plain(root);
        let Value::Object(fields) = &mut value else { return value };
        for time in ["created_at", "updated_at", "completed_at"] {
            fields.remove(time);
        }
        if self.positions == Positions::Left {
            fields.remove("applied_offset");
        }
        fields.insert("start_id".to_owned(), json!(to_hex(&root.start_id)));
        fields.insert("input_ids".to_owned(), json!(root.input_ids.chunks(16).map(to_hex).collect::<Vec<_>>()));
        if let Some(Value::Array(processed)) = fields.get_mut("processed") {
            for entry in processed.iter_mut().filter_map(Value::as_object_mut) {
                entry.remove("processed_at");
                entry.remove("processed_by");
            }
        }
        fields.insert("pending".to_owned(), root.pending.iter().map(|pending| self.pending(pending)).collect());
        value
    }

    fn pending(&self, pending: &Pending) -> Value {
        let input: Option<Position> = pending.input.as_ref().and_then(|input| input.parse().ok());
        let event = match self.observed.schemas.read_event(&pending.event) {
            Ok(event) => self.event(&event, input.as_ref()),
            Err(error) => json!(error.to_string()),
        };
        json!({
            "event": event, "depth": pending.depth, "redrive": pending.redrive, "opens": pending.opens,
            "from_inbox": input.is_some(),
        })
    }

    /// The execution that it names, and its line.
    fn dead_letter(&self, letter: &Record) -> (String, String) {
        let mut headers: Map<String, Value> = letter
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), json!(value.as_deref().map(String::from_utf8_lossy))))
            .collect();
        if self.positions == Positions::Left {
            headers.remove(HEADER_INPUT);
            headers.remove(HEADER_ORIGIN);
        }
        let value = letter.value.as_deref().unwrap_or_default();
        let value = match self.observed.schemas.read_event(value) {
            Ok(event) if letter.header(HEADER_EVENT_ID) == Some(&event.event_id) => self.event(&event, None),
            _ => json!(letter.value.as_deref().map(String::from_utf8_lossy)),
        };
        let key = letter.key.as_deref().map(String::from_utf8_lossy);
        let line = format!("dead letter: {}", json!({"key": key, "headers": headers, "value": value}));
        (letter.header("execution_id").unwrap_or_default().to_owned(), line)
    }
}

#[cfg(test)]
mod tests {
    use super::Positions;
    use crate::oracle::made;

    #[test]
    fn two_runs_of_the_same_inputs_agree() {
        let (run, later) = (made::run("one", 0), made::run("two", 1_000_000));
        let (left, kept) = (Positions::Left, Positions::Kept);
        assert_eq!(run.outputs(left).difference(&later.outputs(left)), None);
        assert!(run.outputs(kept).difference(&later.outputs(kept)).is_some(), "the namespaces differ");
        assert_eq!(run.outputs(kept).difference(&made::run("one", 1_000_000).outputs(kept)), None);
    }

    #[test]
    fn every_output_counts() {
        let run = made::observed();
        let outputs = run.outputs(Positions::Left);
        let without = |change: fn(&mut super::Observed)| {
            let mut changed = run.clone();
            change(&mut changed);
            let difference = changed.outputs(Positions::Left).difference(&outputs);
            assert!(difference.is_some());
        };
        without(|run| drop(run.events.pop()));
        without(|run| drop(run.contexts.pop_last()));
        without(|run| drop(run.dead_letters.pop()));
        without(|run| made::root(run, "w-waiting").data["note"] = "another".into());
        without(|run| made::root(run, "w-pending").pending[0].depth += 1);
        without(|run| made::root(run, "w-waiting").input_ids.extend([1; 16]));
        without(|run| made::event_with_effect(run, "created").payload = None);
        without(|run| made::event_with_effect(run, "created").effects.clear());
    }

    #[test]
    fn a_given_time_counts_and_that_of_arrival_does_not() {
        let run = made::observed();
        let lines = run.outputs(Positions::Left);
        let note = lines.of("w-waiting").iter().find(|line| line.contains("note.taken")).unwrap();
        assert!(note.contains("2026-01-02T03:04:05"), "{note}");
        let start = lines.of("w-waiting").iter().find(|line| line.contains("workflow.started")).unwrap();
        assert!(!start.contains("occurred_at"), "{start}");
    }
}
