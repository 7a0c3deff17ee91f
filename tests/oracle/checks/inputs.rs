//! Every inbox record came to exactly one thing, and that says what the record says.

use thalweg_core::inbound::{HEADER_EVENT_ID, HEADER_ORIGIN, HEADER_REDRIVE, Inbound, Reading};
use thalweg_core::{ErrorCode, identity};

use super::View;
use crate::oracle::anomaly::{Findings, Kind};
use crate::oracle::input::{Input, NO_TIME, Outcome, TakenInput, is_remembered};
use crate::oracle::observed::EventRecord;
use crate::oracle::record::Record;

pub(super) fn check(view: &View, findings: &mut Findings) {
    for input in view.inputs.values() {
        check_count(view, input, findings);
        for outcome in &input.outcomes {
            if let Err(detail) = check_content(input, outcome) {
                findings.add(Kind::OutputDiffers, &input.record.position, format!("{}: {detail}", outcome.name()));
            }
        }
    }
}

fn check_count(view: &View, input: &Input, findings: &mut Findings) {
    let position = &input.record.position;
    let is_forward = |outcome: &Outcome| matches!(outcome, Outcome::Forwarded(_));
    // A forward may have been sent more than once, and counts once.
    let forwarded = input.outcomes.iter().any(is_forward);
    let count = usize::from(forwarded) + input.outcomes.iter().filter(|outcome| !is_forward(outcome)).count();
    if count > 1 {
        let names: Vec<&str> = input.outcomes.iter().map(Outcome::name).collect();
        findings.add(Kind::InputTwice, position, names.join(", "));
    }
    let consumed = view.observed.committed.get(&position.partition).is_some_and(|next| position.offset < *next);
    if count == 0
        && consumed
        && let Err(detail) = explain_duplicate(view, input)
    {
        findings.add(Kind::InputLost, position, detail);
    }
}

/// A record that came to nothing is a duplicate, if its id came earlier.
fn explain_duplicate(view: &View, input: &Input) -> Result<(), String> {
    let inbound = match &input.reading {
        Ok(Reading::Event(inbound)) => inbound,
        Ok(Reading::Elsewhere { partition, .. }) => {
            return Err(format!("it belongs to partition {partition} and was not sent there"));
        }
        Err(refusal) => return Err(format!("it is refused ({refusal}) and no dead letter tells it")),
    };
    let execution_id = inbound.event.execution_id.as_str();
    let taken = view.taken.get(execution_id).map_or(&[][..], Vec::as_slice);
    let is_same = |earlier: &&TakenInput| earlier.offset < inbound.offset && Some(earlier.id) == input.id();
    match taken.iter().rfind(is_same) {
        Some(earlier) if earlier.is_start || is_remembered(taken, earlier.offset, inbound.offset) => Ok(()),
        Some(_) => Err(format!("the same id came to execution {execution_id:?} before, and had left the window")),
        None => Err(format!(
            "no earlier input of execution {execution_id:?} has its id {:?} and redrive number {}",
            inbound.event.event_id, input.redrive
        )),
    }
}

fn check_content(input: &Input, outcome: &Outcome) -> Result<(), String> {
    match outcome {
        Outcome::Applied(applied) => check_applied(input, applied),
        Outcome::Rejected(rejected) => check_rejected(input, rejected),
        Outcome::Forwarded(forward) => check_forward(input, forward),
        Outcome::Pending(root) => {
            let inbound = inbound(input)?;
            same("execution", &inbound.map_or(&root.execution_id, |i| &i.event.execution_id), &&root.execution_id)
        }
        // `dead_letters` compares them.
        Outcome::DeadLettered(_) => Ok(()),
    }
}

/// The event of the input; none where only a router that learned its schema can read it.
fn inbound<'a>(input: &'a Input) -> Result<Option<&'a Inbound>, String> {
    match &input.reading {
        Ok(Reading::Event(inbound)) => Ok(Some(inbound)),
        Ok(Reading::Elsewhere { partition, .. }) => Err(format!("the record belongs to partition {partition}")),
        Err(refusal) if refusal.code == ErrorCode::SchemaUnknown => Ok(None),
        Err(refusal) => Err(format!("the record is refused: {refusal}")),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, record: &T, output: &T) -> Result<(), String> {
    if record == output { Ok(()) } else { Err(format!("{what} is {record:?} in the record, {output:?} in the output")) }
}

fn check_applied(input: &Input, applied: &EventRecord) -> Result<(), String> {
    let Some(inbound) = inbound(input)? else { return Ok(()) };
    let (record, output) = (&inbound.event, &applied.event);
    same("event_id", &record.event_id, &output.event_id)?;
    same("execution_id", &record.execution_id, &output.execution_id)?;
    same("event_type", &record.event_type, &output.event_type)?;
    same("payload", &record.payload, &output.payload)?;
    let occurred_at = if record.occurred_at == NO_TIME { input.record.timestamp } else { record.occurred_at };
    same("occurred_at", &occurred_at, &output.occurred_at)
}

fn check_rejected(input: &Input, rejected: &EventRecord) -> Result<(), String> {
    let Some(inbound) = inbound(input)? else { return Ok(()) };
    let output = &rejected.event;
    same("execution_id", &inbound.event.execution_id, &output.execution_id)?;
    same("rejection", &identity::rejection_id_at(&input.record.position.to_string()), &output.event_id)?;
    same("event_id", &Some(inbound.event.event_id.as_str()), &output.payload_value()["event_id"].as_str())
}

fn check_forward(input: &Input, forward: &Record) -> Result<(), String> {
    let Ok(Reading::Elsewhere { partition, execution_id, event_id }) = &input.reading else {
        return Err("the record does not belong elsewhere".to_owned());
    };
    same("partition", partition, &forward.position.partition)?;
    same("key", &Some(execution_id.as_bytes()), &forward.key.as_deref())?;
    same("value", &input.record.value, &forward.value)?;
    same(HEADER_ORIGIN, &Some(input.origin().as_str()), &forward.header(HEADER_ORIGIN))?;
    same(HEADER_EVENT_ID, &Some(event_id.as_str()), &forward.header(HEADER_EVENT_ID))?;
    same(HEADER_REDRIVE, &input.record.header(HEADER_REDRIVE), &forward.header(HEADER_REDRIVE))
}

#[cfg(test)]
mod tests {
    use crate::oracle::made::assert_found;
    use crate::oracle::{Kind, Observed, Position, StillOpen, made};

    /// The forwarded record comes once more, last in its partition, and is consumed: where it was, and where it is.
    fn forward_again(observed: &mut Observed) -> (Position, Position) {
        let forward = observed.inbox.values().find(|record| record.header("input").is_some()).unwrap();
        let (before, mut again) = (forward.position.clone(), forward.clone());
        let end = observed.inbox_ends.get_mut(&before.partition).unwrap();
        again.position.offset = *end;
        *end += 1;
        observed.committed.insert(before.partition, *end);
        let at = again.position.clone();
        observed.inbox.insert(at.clone(), again);
        (before, at)
    }

    #[test]
    fn an_input_without_any_outcome() {
        let mut observed = made::observed();
        let place = made::event_index(&observed, "w-car", "transition.rejected");
        observed.events.remove(place);
        assert_found(&observed, &[Kind::InputLost]);
    }

    #[test]
    fn a_refused_input_without_a_dead_letter() {
        let mut observed = made::observed();
        observed.dead_letters.retain(|letter| letter.header("code") != Some("DECODE_FAILED"));
        assert_found(&observed, &[Kind::InputLost]);
    }

    #[test]
    fn an_input_that_was_not_sent_on() {
        let mut observed = made::observed();
        observed.inbox.retain(|_, record| record.header("input").is_none());
        assert_found(&observed, &[Kind::InputLost]);
    }

    #[test]
    fn an_input_dropped_though_its_id_is_new() {
        let mut observed = made::observed();
        let duplicate = made::inbox_record(&mut observed, |text| text.contains("\"note-1\"") && text.contains("again"));
        let text = String::from_utf8(duplicate.value.clone().unwrap()).unwrap();
        duplicate.value = Some(text.replace("note-1", "note-never-seen").into_bytes());
        assert_found(&observed, &[Kind::InputLost]);
    }

    #[test]
    fn an_input_applied_and_dead_lettered() {
        let mut observed = made::observed();
        let applied = made::event_index(&observed, "w-waiting", "note.taken");
        let input = observed.events[applied].input.clone().unwrap().to_string();
        let letter = observed.dead_letters.iter_mut().find(|letter| letter.header("input").is_some()).unwrap();
        letter.headers.push(("input".to_owned(), Some(input.into_bytes())));
        assert_found(&observed, &[Kind::InputTwice, Kind::InputLost]);
    }

    #[test]
    fn an_output_for_a_record_that_is_not_there() {
        let mut observed = made::observed();
        let applied = made::event_index(&observed, "w-waiting", "note.taken");
        observed.events[applied].input.as_mut().unwrap().offset = 999_999;
        assert_found(&observed, &[Kind::OutputWithoutInput, Kind::InputLost]);
    }

    #[test]
    fn an_event_that_says_something_else() {
        let mut observed = made::observed();
        let applied = made::event_index(&observed, "w-waiting", "note.taken");
        observed.events[applied].event.payload = None;
        assert_found(&observed, &[Kind::OutputDiffers]);
    }

    #[test]
    fn a_forward_that_is_none() {
        for spoil in [
            |record: &mut made::Record| record.key = None,
            |record: &mut made::Record| record.value = None,
            |record: &mut made::Record| record.headers.retain(|(name, _)| name != "origin"),
        ] {
            let mut observed = made::observed();
            let forward = observed.inbox.values_mut().find(|record| record.header("input").is_some()).unwrap();
            spoil(forward);
            assert_found(&observed, &[Kind::OutputDiffers]);
        }
    }

    #[test]
    fn a_forward_that_was_sent_twice_and_handled_once() {
        let mut observed = made::observed();
        forward_again(&mut observed);
        assert_eq!(made::kinds(observed.check(StillOpen::Any)), []);
    }

    #[test]
    fn a_forward_that_was_sent_twice_and_handled_twice() {
        let mut observed = made::observed();
        let (before, again) = forward_again(&mut observed);
        let handled = observed.events.iter().find(|record| record.input.as_ref() == Some(&before)).unwrap();
        let mut twice = handled.clone();
        twice.position.offset += 1000;
        twice.input = Some(again);
        twice.event.sequence = made::last_sequence(&observed, "w-resumed") + 1;
        observed.events.push(twice);
        assert_found(&observed, &[Kind::EventTwice]);
    }

    #[test]
    fn an_input_counted_as_taken_in_the_wrong_execution() {
        let mut observed = made::observed();
        let pending = made::root(&mut observed, "w-pending").pending.clone();
        let input = pending.into_iter().find(|pending| pending.input.is_some()).unwrap();
        made::root(&mut observed, "w-waiting").pending.push(input);
        assert_found(&observed, &[Kind::InputTwice, Kind::OutputDiffers]);
    }
}
