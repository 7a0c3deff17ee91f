//! Every dead letter holds the original and says why; every task that gave up has one.

use std::collections::BTreeMap;

use thalweg_core::effect::Effect;
use thalweg_core::inbound::{HEADER_EVENT_ID, HEADER_INPUT, HEADER_ORIGIN, HEADER_REDRIVE};
use thalweg_core::{ErrorCode, TaskStatus};

use super::View;
use crate::oracle::anomaly::{Findings, Kind};
use crate::oracle::input::{Input, Outcome};
use crate::oracle::record::Record;

/// Headers of a dead letter; those of the original keep their names otherwise.
const CODE: &str = "code";
const TASK: &str = "task";
const EXECUTION_ID: &str = "execution_id";
const OWN: [&str; 9] =
    [HEADER_INPUT, HEADER_ORIGIN, HEADER_REDRIVE, HEADER_EVENT_ID, CODE, TASK, EXECUTION_ID, "message", "attempts"];
/// Bytes of the original value, where it was too large to be kept whole.
const TRUNCATED: &str = "truncated";

pub(super) fn check(view: &View, findings: &mut Findings) {
    for letter in &view.observed.dead_letters {
        if letter.header(CODE).is_none_or(|code| code.parse::<ErrorCode>().is_err()) {
            let code = letter.header(CODE);
            findings.add(Kind::DeadLetterDiffers, &letter.position, format!("its code is {code:?}"));
        }
    }
    for input in view.inputs.values() {
        for outcome in &input.outcomes {
            if let Outcome::DeadLettered(letter) = outcome
                && let Err(detail) = check_original(input, letter)
            {
                findings.add(Kind::DeadLetterDiffers, &letter.position, detail);
            }
        }
    }
    check_tasks(view, findings);
}

fn check_original(input: &Input, letter: &Record) -> Result<(), String> {
    let original = input.record;
    if letter.key != original.key {
        return Err("its key is not the original's".to_owned());
    }
    let bytes = original.value.as_deref();
    match letter.header(TRUNCATED) {
        None if letter.value.as_deref() == bytes => {}
        Some(length) if is_beginning(letter.value.as_deref(), bytes, length) => {}
        _ => return Err("its value is not the original's".to_owned()),
    }
    let kept = |header: &&(String, Option<Vec<u8>>)| !OWN.contains(&header.0.as_str());
    if let Some((name, _)) = original.headers.iter().filter(kept).find(|header| !letter.headers.contains(header)) {
        return Err(format!("the original's header {name:?} is not kept"));
    }
    if letter.header(HEADER_ORIGIN) != Some(&input.origin()) {
        return Err(format!("its origin is {:?}, the original's {}", letter.header(HEADER_ORIGIN), input.origin()));
    }
    match &input.reading {
        // What the schemas are that a router has learned is not in the topics that are read.
        Err(refusal) if refusal.code != ErrorCode::SchemaUnknown => {
            let code = refusal.code.as_str();
            if letter.header(CODE) == Some(code) { Ok(()) } else { Err(format!("its code should be {code}")) }
        }
        _ => Ok(()),
    }
}

fn is_beginning(kept: Option<&[u8]>, original: Option<&[u8]>, length: &str) -> bool {
    let (Some(kept), Some(original)) = (kept, original) else { return false };
    length.parse() == Ok(original.len()) && original.starts_with(kept)
}

/// A task that gave up: the execution, the event, the task.
type GaveUp<'a> = (&'a str, &'a str, &'a str);

/// Each task that gave up, as the effects tell it, has one dead letter, and no other has.
fn check_tasks(view: &View, findings: &mut Findings) {
    let mut told: BTreeMap<GaveUp, (usize, Vec<&Record>)> = BTreeMap::new();
    for (execution, history, entry) in
        view.histories.iter().flat_map(|(id, history)| history.entries.iter().map(move |e| (id, history, e)))
    {
        for effect in &entry.effects {
            if let Effect::Task(task) = effect
                && task.status != TaskStatus::Success
                && !entry.rejects()
            {
                told.entry((execution, &history.handled(entry).event_id, &task.task_id)).or_default().0 += 1;
            }
        }
    }
    for letter in view.observed.dead_letters.iter().filter(|letter| letter.header(HEADER_INPUT).is_none()) {
        let (Some(execution), Some(event), Some(task)) =
            (letter.header(EXECUTION_ID), letter.header(HEADER_EVENT_ID), letter.header(TASK))
        else {
            findings.add(Kind::DeadLetterDiffers, &letter.position, "it names neither its input nor a task's event");
            continue;
        };
        told.entry((execution, event, task)).or_default().1.push(letter);
    }
    for ((execution, event, task), (failures, letters)) in told {
        if failures != letters.len() {
            findings.add(
                Kind::DeadLetterMissing,
                execution,
                format!("task {task} gave up {failures} times on event {event:?}, {} dead letters", letters.len()),
            );
        }
        for letter in letters.into_iter().filter(|letter| !holds_event(view, letter, execution, event)) {
            findings.add(Kind::DeadLetterDiffers, &letter.position, format!("it does not hold event {event:?}"));
        }
    }
}

/// The inbox record that the event came with, or the event itself.
fn holds_event(view: &View, letter: &Record, execution: &str, event: &str) -> bool {
    let value = letter.value.as_deref().unwrap_or_default();
    if view.observed.schemas.read_event(value).is_ok_and(|held| held.event_id == event) {
        return true;
    }
    let entries = view.histories.get(execution).map_or(&[][..], |history| &history.entries);
    entries.iter().filter(|entry| entry.record.event.event_id == event).any(|entry| {
        let input = entry.record.input.as_ref().and_then(|input| view.inputs.get(input));
        input.is_some_and(|input| input.record.value.as_deref() == Some(value) && input.record.key == letter.key)
    })
}

#[cfg(test)]
mod tests {
    use crate::oracle::made::assert_found;
    use crate::oracle::{Kind, Observed, made};

    fn refused(observed: &mut Observed) -> &mut made::Record {
        observed.dead_letters.iter_mut().find(|letter| letter.header("input").is_some()).unwrap()
    }

    fn of_task(observed: &mut Observed) -> &mut made::Record {
        observed.dead_letters.iter_mut().find(|letter| letter.header("task").is_some()).unwrap()
    }

    #[test]
    fn a_dead_letter_that_is_not_the_original() {
        for spoil in [
            |letter: &mut made::Record| letter.key = Some(b"other".to_vec()),
            |letter: &mut made::Record| letter.value = Some(b"other".to_vec()),
            |letter: &mut made::Record| letter.headers.retain(|(name, _)| name != "trace"),
            |letter: &mut made::Record| letter.headers.retain(|(name, _)| name != "origin"),
            |letter: &mut made::Record| letter.headers.retain(|(name, _)| name != "code"),
            |letter: &mut made::Record| letter.headers.push(("code".to_owned(), Some(b"TOO_LARGE".to_vec()))),
        ] {
            let mut observed = made::observed();
            spoil(refused(&mut observed));
            assert_found(&observed, &[Kind::DeadLetterDiffers]);
        }
    }

    #[test]
    fn a_value_cut_short_is_told() {
        let mut observed = made::observed();
        let letter = refused(&mut observed);
        let length = letter.value.as_ref().unwrap().len();
        letter.value.as_mut().unwrap().clear();
        assert_found(&observed, &[Kind::DeadLetterDiffers]);
        refused(&mut observed).headers.push(("truncated".to_owned(), Some(length.to_string().into_bytes())));
        assert_eq!(made::kinds(observed.check(crate::oracle::StillOpen::Any)), []);
    }

    #[test]
    fn a_task_gave_up_silently() {
        let mut observed = made::observed();
        observed.dead_letters.retain(|letter| letter.header("task").is_none());
        assert_found(&observed, &[Kind::DeadLetterMissing]);
    }

    #[test]
    fn a_task_gave_up_twice() {
        let mut observed = made::observed();
        let again = of_task(&mut observed).clone();
        observed.dead_letters.push(again);
        assert_found(&observed, &[Kind::DeadLetterMissing]);
    }

    #[test]
    fn a_dead_letter_of_a_task_without_its_event() {
        let mut observed = made::observed();
        of_task(&mut observed).value = Some(b"{}".to_vec());
        assert_found(&observed, &[Kind::DeadLetterDiffers]);
    }

    #[test]
    fn a_dead_letter_of_nothing() {
        let mut observed = made::observed();
        of_task(&mut observed).headers.retain(|(name, _)| name != "task");
        assert_found(&observed, &[Kind::DeadLetterDiffers, Kind::DeadLetterMissing]);
    }
}
