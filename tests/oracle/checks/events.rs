//! Every event once, in its place, in its order, without gaps.

use std::collections::BTreeMap;

use thalweg_core::{Channel, partition_of};

use super::{View, execution_of};
use crate::oracle::anomaly::{Findings, Kind};
use crate::oracle::history::{History, REJECTED};
use crate::oracle::input::{Input, is_remembered};
use crate::oracle::observed::{EventRecord, Observed};

pub(super) fn check(view: &View, findings: &mut Findings) {
    for record in &view.observed.events {
        check_place(record, view.observed, findings);
    }
    check_context_places(view.observed, findings);
    check_order(view.observed, findings);
    check_ids(view, findings);
    for (execution, history) in &view.histories {
        check_sequence(execution, history, findings);
    }
}

/// Its key, its partition, the topic of its channel; a rejection is no part of the history.
fn check_place(record: &EventRecord, observed: &Observed, findings: &mut Findings) {
    let EventRecord { position, key, event, .. } = record;
    let mut misplaced = |detail: String| findings.add(Kind::Misplaced, position, detail);
    if key.as_deref() != Some(event.execution_id.as_bytes()) {
        misplaced(format!("its key is not its execution {:?}", event.execution_id));
    }
    let partition = partition_of(event.execution_id.as_bytes(), observed.names.partitions);
    if position.partition != partition {
        misplaced(format!("execution {:?} belongs to partition {partition}", event.execution_id));
    }
    match event.channel.parse::<Channel>().map(|channel| observed.names.channels.get(&channel)) {
        Ok(Some(topic)) if *topic == position.topic => {}
        _ => misplaced(format!("channel {:?} is carried elsewhere, or nowhere", event.channel)),
    }
    if event.event_type == REJECTED && (event.sequence != 0 || !event.effects.is_empty() || record.input.is_none()) {
        findings.add(Kind::SequenceBroken, position, "a rejection has sequence 0, no effects, and an input");
    }
}

fn check_context_places(observed: &Observed, findings: &mut Findings) {
    for (key, record) in &observed.contexts {
        let partition = partition_of(execution_of(key).as_bytes(), observed.names.partitions);
        if record.position.partition != partition {
            findings.add(Kind::Misplaced, &record.position, format!("{key:?} belongs to partition {partition}"));
        }
    }
}

/// In each partition the events of an execution lie in the order of their sequence.
fn check_order(observed: &Observed, findings: &mut Findings) {
    let mut newest: BTreeMap<(&str, i32, &str), &EventRecord> = BTreeMap::new();
    for record in observed.events.iter().filter(|record| record.event.event_type != REJECTED) {
        let position = &record.position;
        let place = (position.topic.as_str(), position.partition, record.event.execution_id.as_str());
        if let Some(before) = newest.insert(place, record)
            && before.event.sequence > record.event.sequence
        {
            findings.add(
                Kind::OutOfOrder,
                position,
                format!(
                    "event {} of execution {:?} lies behind event {}",
                    record.event.sequence, record.event.execution_id, before.event.sequence
                ),
            );
        }
    }
}

/// No event id twice. Outsiders may use one id in several executions, a redriven input keeps its id, and an id that has
/// left the window counts as new.
fn check_ids(view: &View, findings: &mut Findings) {
    let mut made: BTreeMap<&str, &EventRecord> = BTreeMap::new();
    let mut seen: BTreeMap<(&str, &str), Vec<&EventRecord>> = BTreeMap::new();
    for record in &view.observed.events {
        let event = &record.event;
        // What was made has an id of its own in the whole namespace.
        let elsewhere = if record.input.is_none() { made.insert(&event.event_id, record) } else { None };
        let here = seen.entry((&event.execution_id, &event.event_id)).or_default();
        if let Some(before) = here.iter().copied().find(|before| !may_share_id(view, before, record)).or(elsewhere) {
            findings.add(
                Kind::EventTwice,
                &event.execution_id,
                format!("event {:?} is at {} and at {}", event.event_id, before.position, record.position),
            );
        }
        here.push(record);
    }
}

/// Two events of one execution and id: is each right to be there?
fn may_share_id(view: &View, one: &EventRecord, other: &EventRecord) -> bool {
    let input = |record: &EventRecord| record.input.as_ref().and_then(|input| view.inputs.get(input));
    let (Some(one_input), Some(other_input)) = (input(one), input(other)) else { return false };
    let offset = |input: &Input| input.record.position.offset;
    let (earlier, later) = (offset(one_input).min(offset(other_input)), offset(one_input).max(offset(other_input)));
    let taken = view.taken.get(one.event.execution_id.as_str()).map_or(&[][..], Vec::as_slice);
    one_input.redrive != other_input.redrive || !is_remembered(taken, earlier, later)
}

fn check_sequence(execution: &str, history: &History, findings: &mut Findings) {
    if history.is_gapless() {
        return;
    }
    let sequences: Vec<String> = history.entries.iter().map(|entry| entry.record.event.sequence.to_string()).collect();
    findings.add(
        Kind::SequenceBroken,
        execution,
        format!("the sequences are not 1 to {}: {}", sequences.len(), sequences.join(" ")),
    );
}

#[cfg(test)]
mod tests {
    use crate::oracle::made;
    use crate::oracle::made::assert_found;
    use crate::oracle::{Kind, Position};

    #[test]
    fn an_event_in_another_partition() {
        let mut observed = made::observed();
        observed.events[0].position.partition ^= 1;
        assert_found(&observed, &[Kind::Misplaced]);
    }

    #[test]
    fn an_event_in_the_topic_of_another_channel() {
        let mut observed = made::observed();
        let place = made::event_index(&observed, "w-car", "risk.assessed");
        observed.events[place].event.channel = "billing-events".to_owned();
        assert_found(&observed, &[Kind::Misplaced]);
    }

    #[test]
    fn a_context_in_another_partition() {
        let mut observed = made::observed();
        let record = observed.contexts.values_mut().next().unwrap();
        record.position.partition ^= 1;
        assert_found(&observed, &[Kind::Misplaced]);
    }

    #[test]
    fn an_event_published_twice() {
        let mut observed = made::observed();
        let place = made::event_index(&observed, "w-car", "risk.assessed");
        let mut again = observed.events[place].clone();
        again.position.offset += 1000;
        observed.events.push(again);
        assert_found(&observed, &[Kind::EventTwice, Kind::SequenceBroken]);
    }

    #[test]
    fn an_input_applied_again_under_a_new_sequence() {
        let mut observed = made::observed();
        let place = made::event_index(&observed, "w-waiting", "note.taken");
        let mut again = observed.events[place].clone();
        again.position.offset += 1000;
        again.event.sequence = made::last_sequence(&observed, "w-waiting") + 1;
        again.input = Some(Position::new(&observed.names.inbox, 0, 999_999));
        observed.events.push(again);
        assert_found(&observed, &[Kind::EventTwice]);
    }

    #[test]
    fn a_rejection_published_twice() {
        let mut observed = made::observed();
        let place = made::event_index(&observed, "w-car", "transition.rejected");
        let mut again = observed.events[place].clone();
        again.position.offset += 1000;
        observed.events.push(again);
        assert_found(&observed, &[Kind::EventTwice, Kind::InputTwice]);
    }

    #[test]
    fn an_event_is_missing() {
        let mut observed = made::observed();
        let place = made::event_index(&observed, "w-car", "risk.assessed");
        observed.events.remove(place);
        assert_found(&observed, &[Kind::SequenceBroken]);
    }

    #[test]
    fn a_rejection_that_takes_a_number() {
        let mut observed = made::observed();
        let place = made::event_index(&observed, "w-car", "transition.rejected");
        observed.events[place].event.sequence = 99;
        assert_found(&observed, &[Kind::SequenceBroken]);
    }

    #[test]
    fn two_events_change_places() {
        let mut observed = made::observed();
        let first = made::event_index(&observed, "w-chain", "chain.link");
        let offset = observed.events[first].position.offset;
        observed.events[first].position.offset = observed.events[first + 1].position.offset;
        observed.events[first + 1].position.offset = offset;
        observed.events.swap(first, first + 1);
        assert_found(&observed, &[Kind::OutOfOrder]);
    }
}
