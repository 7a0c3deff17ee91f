//! What is to be done about one partition.

use std::collections::BTreeMap;

use clap::ValueEnum;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use serde_json::{Value, json};
use thalweg_core::context::{Context, RecordKey};
use thalweg_core::inbound::{HEADER_ORIGIN, HEADER_REDRIVE, InboxRecord, Reading};
use thalweg_core::{Limits, Micros, identity};
use thalweg_runtime::inspection::Span;
use thalweg_runtime::{InboxPosition, inbox_name};

use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::output::count;
use crate::reading;

/// Microseconds that the clocks of a client and a router may be apart.
const CLOCKS_APART_MAX: Micros = 5 * 60 * 1_000_000;

/// A partition, and what is to be done about it.
pub struct Plan {
    pub partition: i32,
    pub position: InboxPosition,
    pub decision: Decision,
    /// What does not fit.
    why: Option<String>,
    /// How many contexts there are.
    context_count: usize,
    /// The contexts with an offset of the inbox, by execution, where they are to be written anew.
    pub contexts: BTreeMap<String, Vec<u8>>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Fits,
    /// It is the inbox that the contexts were made from: the group goes on from this offset.
    GoOn(i64),
    /// It is another inbox: the contexts forget their offsets, and the group begins with its first record.
    Another(i64),
    /// It may be either.
    Unclear,
}

/// Which inbox it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Inbox {
    /// The one that the contexts were made from; the group has lost its offsets
    Same,
    /// One that was created anew
    Another,
}

impl Plan {
    /// Looks at a partition.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn make(
        connection: &Connection,
        decoder: &Decoder,
        partition: i32,
        span: Span,
        committed: Option<i64>,
        told: Option<Inbox>,
    ) -> Result<Plan, CommandError> {
        let mut contexts = roots(connection, decoder, partition)?;
        let mut newest: Option<Context> = None;
        let context_count = contexts.len();
        for value in contexts.values() {
            let context = decoder.decode(|schemas| schemas.read_context(value))?;
            if newest.as_ref().is_none_or(|newest| newest.applied_offset < context.applied_offset) {
                newest = Some(context);
            }
        }
        let position = InboxPosition {
            begin: span.begin,
            end: span.end,
            committed,
            has_contexts: context_count > 0,
            newest_applied: newest.as_ref().map_or(-1, |newest| newest.applied_offset),
        };
        let why = position.next_offset().err();
        let decision = match (&why, newest) {
            (None, _) => Decision::Fits,
            (Some(_), newest) => decide(&position, || match &newest {
                Some(newest) => Ok(which(connection, decoder, partition, newest)?.or(told)),
                None => Ok(Some(Inbox::Same)),
            })?,
        };
        if !matches!(decision, Decision::Another(_)) {
            contexts.clear();
        }
        Ok(Plan { partition, position, decision, why, context_count, contexts })
    }

    /// Without the contexts to write.
    pub fn without_contexts(self) -> Plan {
        Plan { contexts: BTreeMap::new(), ..self }
    }

    /// What happens, for people.
    pub fn told(&self) -> String {
        let why = self.why.as_deref().unwrap_or_default();
        match self.decision {
            Decision::Fits => "nothing: it fits".to_owned(),
            Decision::GoOn(offset) => {
                let lost = self.position.committed.map_or(0, |committed| (offset - committed).max(0));
                let lost = match u64::try_from(lost) {
                    Ok(lost) if lost > 0 => format!("; {} that were never taken are gone", count(lost)),
                    _ => String::new(),
                };
                format!("{why}: the group goes on at {offset}, contexts stay{lost}")
            }
            Decision::Another(offset) => {
                let contexts = count(self.context_count as u64);
                format!("{why}: it is another inbox; the group begins at {offset}, {contexts} contexts forget theirs")
            }
            Decision::Unclear => format!(
                "{why}: it may be the same inbox or another one; say which, with --adopt same or --adopt another"
            ),
        }
    }

    /// The same for programs.
    pub fn document(&self) -> Value {
        let (decision, offset) = match self.decision {
            Decision::Fits => ("fits", None),
            Decision::GoOn(offset) => ("go_on", Some(offset)),
            Decision::Another(offset) => ("another_inbox", Some(offset)),
            Decision::Unclear => ("unclear", None),
        };
        json!({
            "partition": self.partition, "begin": self.position.begin, "end": self.position.end,
            "committed": self.position.committed, "contexts": self.context_count,
            "applied": Some(self.position.newest_applied).filter(|offset| *offset >= 0),
            "why": self.why, "decision": decision, "next_offset": offset,
        })
    }
}

/// Decides about a partition that does not fit. `which` looks at the newest record that a context has taken in, where the
/// inbox has one at its offset.
fn decide(
    position: &InboxPosition,
    which: impl FnOnce() -> Result<Option<Inbox>, CommandError>,
) -> Result<Decision, CommandError> {
    let InboxPosition { begin, end, committed, newest_applied, .. } = *position;
    if newest_applied >= end || committed.is_some_and(|committed| committed > end) {
        return Ok(Decision::Another(begin));
    }
    let which = if newest_applied < begin { Some(Inbox::Same) } else { which()? };
    Ok(match which {
        // A partition is taken in order, so everything up to the newest offset of a context was.
        Some(Inbox::Same) => Decision::GoOn(begin.max(newest_applied + 1)),
        Some(Inbox::Another) => Decision::Another(begin),
        None => Decision::Unclear,
    })
}

/// The newest root records of a partition of the contexts.
fn roots(
    connection: &Connection,
    decoder: &Decoder,
    partition: i32,
) -> Result<BTreeMap<String, Vec<u8>>, CommandError> {
    let contexts = connection.topics().contexts();
    let mut roots = BTreeMap::new();
    connection.read_to_end(&connection.spans(&[(contexts, partition)])?, |message| {
        let key = message.key().unwrap_or_default();
        if let RecordKey::Root(id) = decoder.decode(|schemas| schemas.read_key(key))? {
            match message.payload() {
                Some(value) => roots.insert(id, value.to_vec()),
                None => roots.remove(&id),
            };
        }
        Ok(())
    })?;
    Ok(roots)
}

/// Looks at the record at the offset that this context has taken in last.
///
/// With other ids it is another inbox. With the same ids it may be another one all the same: where a record gives none
/// they derive from its position, and a record may have been sent again. Its time tells, unless the clocks may be wrong
/// by as much.
fn which(
    connection: &Connection,
    decoder: &Decoder,
    partition: i32,
    context: &Context,
) -> Result<Option<Inbox>, CommandError> {
    let inbox = connection.topics().inbox();
    let offset = context.applied_offset;
    let span = reading::Span { topic: inbox.to_owned(), partition, begin: offset, end: offset + 1 };
    let name = inbox_name(inbox, decoder.registry()?.replaced(partition));
    let partitions = connection.partition_count(inbox)?;
    let limits = Limits { payload_max_bytes: connection.config().payload_max_bytes, ..Limits::default() };
    let mut which = Some(Inbox::Another);
    connection.read_to_end(&[span], |message| {
        if message.offset() != offset {
            return Ok(());
        }
        let header = |name: &str| {
            let found = message.headers()?.iter().filter(|header| header.key == name).last()?;
            std::str::from_utf8(found.value?).ok().map(str::to_owned)
        };
        let origin = header(HEADER_ORIGIN);
        let headers = owned_headers(message);
        let record = InboxRecord {
            topic: &name,
            partition,
            offset,
            timestamp: message.timestamp().to_millis().unwrap_or(0) * 1000,
            key: message.key(),
            value: message.payload(),
            headers: &headers,
            origin: origin.as_deref(),
            redrive: header(HEADER_REDRIVE).and_then(|text| text.parse().ok()).unwrap_or(0),
        };
        if let Ok(Reading::Event(inbound)) = decoder.inbound(&record, partitions, &limits)? {
            let id = identity::input_id(&inbound.event.event_id, inbound.input.redrive);
            if inbound.event.execution_id == context.execution_id && context.has_input(&id) {
                which = by_time(record.timestamp, context.updated_at);
            }
        }
        Ok(())
    })?;
    Ok(which)
}

fn owned_headers(message: &BorrowedMessage) -> Vec<(String, Option<Vec<u8>>)> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
}

/// A record that was taken in is older than what was made of it.
fn by_time(written: Micros, taken: Micros) -> Option<Inbox> {
    match written - taken {
        ..=0 => Some(Inbox::Same),
        later if later > CLOCKS_APART_MAX => Some(Inbox::Another),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: InboxPosition =
        InboxPosition { begin: 3, end: 9, committed: None, has_contexts: true, newest_applied: 6 };

    #[test]
    fn a_replaced_inbox_is_told_from_one_whose_offsets_are_gone() {
        let (same, another) = (Some(Inbox::Same), Some(Inbox::Another));
        let decided = |position: InboxPosition, which| decide(&position, || Ok(which)).unwrap();
        assert_eq!(decided(POSITION, same), Decision::GoOn(7));
        assert_eq!(decided(POSITION, another), Decision::Another(3));
        assert_eq!(decided(POSITION, None), Decision::Unclear);
        // Nothing lies where it was.
        assert_eq!(decided(InboxPosition { newest_applied: 9, ..POSITION }, same), Decision::Another(3));
        assert_eq!(decided(InboxPosition { committed: Some(10), ..POSITION }, same), Decision::Another(3));
        // All that was taken is gone from the inbox, and some more.
        let expired = InboxPosition { newest_applied: 1, committed: Some(2), ..POSITION };
        assert_eq!(decided(expired, another), Decision::GoOn(3));
    }

    #[test]
    fn a_record_that_was_written_after_it_was_taken_is_another() {
        assert_eq!(by_time(7, 7), Some(Inbox::Same));
        assert_eq!(by_time(8, 7), None, "a clock may be wrong");
        assert_eq!(by_time(8 + CLOCKS_APART_MAX, 7), Some(Inbox::Another));
    }
}
