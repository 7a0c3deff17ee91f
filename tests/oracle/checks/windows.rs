//! What a context remembers beside the fold: the newest inputs taken in, the newest events handled.

use thalweg_core::context::{Context, ProcessedEvent};
use thalweg_core::effect::{Effect, to_hex};
use thalweg_core::inbound::{self, STARTED};
use thalweg_core::limits::{INPUT_IDS_MAX, PROCESSED_MAX};
use thalweg_core::{Event, TaskStatus};

use super::View;
use crate::oracle::anomaly::{Findings, Kind};
use crate::oracle::history::{Entry, History};
use crate::oracle::input::TakenInput;

pub(super) fn check(view: &View, findings: &mut Findings) {
    for (execution, history) in &view.histories {
        let Some(root) = view.observed.root(execution) else { continue };
        check_inputs(root, view.taken.get(execution).map_or(&[][..], Vec::as_slice), findings);
        check_start(root, history, view, findings);
        check_processed(root, history, findings);
    }
}

/// `applied_offset` is that of the newest input taken in, and the window ends with its id.
fn check_inputs(root: &Context, taken: &[TakenInput], findings: &mut Findings) {
    let mut differs = |detail: String| findings.add(Kind::WindowDiffers, &root.execution_id, detail);
    let newest = taken.last().map(|input| input.offset);
    if newest != Some(root.applied_offset) {
        differs(format!("applied_offset is {}, the newest input taken in is {newest:?}", root.applied_offset));
    }
    let window = &taken[taken.len().saturating_sub(INPUT_IDS_MAX)..];
    let expected: Vec<u8> = window.iter().flat_map(|input| input.id).collect();
    if expected != root.input_ids {
        differs(format!("the window is {}, the inputs taken in make it {}", ids(&root.input_ids), ids(&expected)));
    }
}

fn ids(window: &[u8]) -> String {
    let ids: Vec<String> = window.chunks(16).map(|id| to_hex(&id[..id.len().min(4)])).collect();
    ids.join(" ")
}

/// The start is remembered for the life of the execution.
fn check_start(root: &Context, history: &History, view: &View, findings: &mut Findings) {
    let Some(start) = history.entries.iter().find(|entry| entry.record.event.event_type == STARTED) else { return };
    let input = start.record.input.as_ref().and_then(|input| view.inputs.get(input));
    let redrive = input.map_or(0, |input| input.redrive);
    if root.start_id != inbound::input_id_of(&start.record.event, redrive) {
        let event_id = &start.record.event.event_id;
        findings.add(Kind::WindowDiffers, &root.execution_id, format!("start_id is not that of {event_id:?}"));
    }
}

/// The list holds the newest events that were handled: all but the engine's remarks, and what was emitted and left
/// unhandled when the execution closed.
fn check_processed(root: &Context, history: &History, findings: &mut Findings) {
    let mut differs = |detail: String| findings.add(Kind::ProcessedDiffers, &root.execution_id, detail);
    let left_to_redrive = history.left();
    let routed: Vec<&Entry> = history
        .entries
        .iter()
        .filter(|entry| !entry.is_unrouted())
        .filter(|entry| !left_to_redrive.contains(&entry.record.event.sequence))
        .collect();
    let newest = root.processed.last().map(|processed| processed.event_id.as_str());
    let handled = routed.iter().rposition(|entry| Some(history.handled(entry).event_id.as_str()) == newest);
    let (handled, left) = routed.split_at(handled.map_or(0, |newest| newest + 1));
    let was_left = |entry: &&Entry| root.status.is_closed() && entry.effects.is_empty() && entry.record.input.is_none();
    if !left.iter().all(was_left) {
        differs(format!("its newest event is {newest:?}, {} more were handled", left.len()));
    }
    let listed = &handled[handled.len().saturating_sub(PROCESSED_MAX)..];
    if listed.len() != root.processed.len() {
        differs(format!("{} events are listed, {} should be", root.processed.len(), listed.len()));
    }
    for (entry, processed) in listed.iter().zip(&root.processed) {
        let expected = processed_by(entry, history.handled(entry), processed);
        if *processed != expected {
            differs(format!("listed {processed:?}, handled {expected:?}"));
        }
    }
}

/// What the list should say of an event. The time is the router's own.
fn processed_by(entry: &Entry, event: &Event, listed: &ProcessedEvent) -> ProcessedEvent {
    let mut tasks = Vec::new();
    let mut failed = false;
    for effect in &entry.effects {
        if let Effect::Task(task) = effect
            && !entry.rejects()
        {
            tasks.push(task.task_id.as_str());
            failed |= task.status != TaskStatus::Success;
        }
    }
    ProcessedEvent {
        event_id: event.event_id.clone(),
        event_type: event.event_type.clone(),
        processed_at: listed.processed_at,
        processed_by: tasks.join(","),
        result: if failed { "FAILED" } else { "SUCCESS" }.into(),
        scope: event.scope.clone(),
        branch: event.branch.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::oracle::made::assert_found;
    use crate::oracle::{Kind, made};

    #[test]
    fn an_applied_offset_that_lags_or_leads() {
        for wrong in [-1, 1] {
            let mut observed = made::observed();
            made::root(&mut observed, "w-waiting").applied_offset += wrong;
            assert_found(&observed, &[Kind::WindowDiffers]);
        }
    }

    #[test]
    fn an_input_that_was_not_remembered() {
        let mut observed = made::observed();
        let root = made::root(&mut observed, "w-waiting");
        root.input_ids.truncate(root.input_ids.len() - 16);
        assert_found(&observed, &[Kind::WindowDiffers]);
    }

    #[test]
    fn an_input_remembered_that_was_not_taken() {
        let mut observed = made::observed();
        made::root(&mut observed, "w-waiting").input_ids.extend([7; 16]);
        assert_found(&observed, &[Kind::WindowDiffers]);
    }

    #[test]
    fn another_start() {
        let mut observed = made::observed();
        made::root(&mut observed, "w-waiting").start_id = vec![7; 16];
        assert_found(&observed, &[Kind::WindowDiffers]);
    }

    #[test]
    fn a_list_without_the_newest_event() {
        let mut observed = made::observed();
        made::root(&mut observed, "w-waiting").processed.pop();
        assert_found(&observed, &[Kind::ProcessedDiffers]);
    }

    #[test]
    fn a_list_without_an_older_event() {
        let mut observed = made::observed();
        made::root(&mut observed, "w-chain").processed.remove(1);
        assert_found(&observed, &[Kind::ProcessedDiffers]);
    }

    #[test]
    fn a_list_with_the_wrong_task() {
        let mut observed = made::observed();
        made::root(&mut observed, "w-waiting").processed[0].processed_by = "nobody".to_owned();
        assert_found(&observed, &[Kind::ProcessedDiffers]);
    }
}
