//! What a batch sends on or buries.

use std::sync::Arc;

use thalweg_core::apply::DeadLetter;
use thalweg_core::inbound::{HEADER_EVENT_ID, HEADER_INPUT, HEADER_ORIGIN, HEADER_REDRIVE, Refusal};
use thalweg_core::original_record::OriginalRecord;

use super::{Batch, position};
use crate::dead_letter::{self, Reason};
use crate::kafka::{InboxMessage, Outgoing};
use crate::lane::LaneError;
use crate::lane::partition::Partition;
use crate::lane::tally::DeadLetterNote;

impl Batch<'_> {
    pub(super) fn forward(
        &mut self,
        position: &str,
        message: &InboxMessage,
        partition: i32,
        execution_id: &str,
        event_id: &str,
    ) {
        let origin = message.header(HEADER_ORIGIN).unwrap_or(position).to_owned();
        let stamped = [HEADER_INPUT, HEADER_ORIGIN, HEADER_EVENT_ID];
        let mut headers: Vec<_> =
            message.headers.iter().filter(|(name, _)| !stamped.contains(&name.as_str())).cloned().collect();
        for (name, text) in [(HEADER_INPUT, position), (HEADER_ORIGIN, &origin), (HEADER_EVENT_ID, event_id)] {
            headers.push((name.to_owned(), Some(text.as_bytes().to_vec())));
        }
        self.tally.forwarded += 1;
        self.forwards.push(Outgoing {
            topic: Arc::clone(&self.fixtures.inbox),
            partition,
            key: Some(execution_id.as_bytes().to_vec()),
            value: message.value.clone(),
            headers,
        });
    }

    pub(super) fn refuse(&mut self, position: String, message: &InboxMessage, refusal: &Refusal) {
        let reason = Reason {
            code: Some(refusal.code),
            message: &refusal.message,
            input: Some(&position),
            origin: Some(message.header(HEADER_ORIGIN).unwrap_or(&position)),
            redrive: message.header(HEADER_REDRIVE).and_then(|text| text.parse().ok()).unwrap_or(0),
            ..Reason::default()
        };
        self.dead_letters.push(dead_letter::of_record(&self.fixtures.dead_letters, message, &reason));
        self.tally.refused += 1;
        self.tally.dead_letters.push(DeadLetterNote { code: refusal.code, input: Some(position), task: None });
    }

    /// Buries an event: as the record that it came as, where that is at hand or was kept.
    pub(super) fn dead_letter(
        &mut self,
        partition: &Partition,
        letter: &DeadLetter,
        message: Option<&InboxMessage>,
    ) -> Result<(), LaneError> {
        let original = letter.original.as_ref().map(|original| kept(partition, original));
        // The record at hand may be another one, which only let the event be judged.
        let is_at_hand =
            |message: &&InboxMessage| letter.event_input.as_ref().is_none_or(|at| *at == position(partition, message));
        let record = original.as_ref().or(message.filter(is_at_hand));
        let origin = record.and_then(|record| record.header(HEADER_ORIGIN)).or(letter.event_input.as_deref());
        let reason = Reason {
            code: Some(letter.code),
            message: &letter.message,
            input: letter.input.as_deref(),
            origin,
            redrive: letter.redrive,
            execution_id: Some(&letter.event.execution_id),
            event_id: Some(&letter.event.event_id),
            task_id: letter.task_id.as_deref(),
            attempts: letter.attempts,
        };
        let topic = &self.fixtures.dead_letters;
        let outgoing = match record.filter(|_| letter.event_input.is_some()) {
            Some(record) => dead_letter::of_record(topic, record, &reason),
            _ => {
                let event = self.fixtures.schemas.write_event(&letter.event).map_err(LaneError::Record)?;
                dead_letter::of_event(topic, partition.number, &letter.event.execution_id, event, &reason)
            }
        };
        self.dead_letters.push(outgoing);
        self.tally.refused += u64::from(letter.input.is_some());
        let note = DeadLetterNote { code: letter.code, input: letter.input.clone(), task: letter.task_id.clone() };
        self.tally.dead_letters.push(note);
        Ok(())
    }
}

/// A record of the inbox that was kept.
fn kept(partition: &Partition, original: &OriginalRecord) -> InboxMessage {
    let headers = original.headers.iter().map(|header| (header.name.clone(), header.value.clone()));
    InboxMessage {
        partition: partition.number,
        offset: -1,
        timestamp: 0,
        key: original.key.clone(),
        value: Some(original.value.clone()),
        headers: headers.collect(),
    }
}
