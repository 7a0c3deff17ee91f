//! What became of dead letters, as people decided: marks in the registry.
//!
//! A mark names letters by their places and times: in a topic that was created anew others lie in the same places.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::message::Message;
use serde::{Deserialize, Serialize};
use thalweg_core::Micros;
use thalweg_runtime::wall_clock;
use uuid::Uuid;

use super::letter::Letter;
use super::place::Place;
use crate::connection::Connection;
use crate::error::CommandError;
use crate::output::age;
use crate::producer::{Outgoing, Position, Producer};

/// Letters of one record: some 80 bytes each, well below what a topic takes.
const MARKED_MAX: usize = 1_000;
/// Bytes of a record.
const RECORD_MAX_BYTES: usize = 1_000_000;
/// What the keys begin with.
const PREFIX: &str = "dead-letters/";

/// Is this key of the registry one of a mark?
pub fn is_mark(key: &str) -> bool {
    key.starts_with(PREFIX)
}

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    Open,
    /// It was sent back.
    Redriven,
    /// It was put aside.
    Discarded,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Open => "OPEN",
            State::Redriven => "REDRIVEN",
            State::Discarded => "DISCARDED",
        })
    }
}

/// The mark of one letter.
#[derive(Clone, Debug)]
pub struct Mark {
    /// What it says.
    pub state: State,
    /// When, in microseconds since the epoch.
    pub at: Micros,
    /// Who.
    pub by: String,
    /// Why, where they said so.
    pub reason: Option<String>,
    /// Where a redriven one was sent.
    pub sent: Option<String>,
    written_at: Micros,
}

impl Mark {
    /// State and age: `REDRIVEN 3 min ago`.
    pub fn told(&self, now: Micros) -> String {
        format!("{} {}", self.state, age(self.at, now))
    }
}

/// A record of the registry.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    at: Micros,
    by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    letters: Vec<Marked>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Marked {
    place: String,
    written_at: Micros,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<String>,
}

/// All marks.
#[derive(Default)]
pub struct Marks {
    by_place: BTreeMap<Place, Mark>,
    /// The places that each record names.
    records: BTreeMap<String, Vec<Place>>,
}

impl Marks {
    /// Reads them.
    ///
    /// # Errors
    /// Where the registry can't be read.
    pub fn read(connection: &Connection) -> Result<Marks, CommandError> {
        let registry = connection.topics().registry();
        let mut newest: BTreeMap<String, Option<Record>> = BTreeMap::new();
        connection.read_to_end(&connection.spans(&connection.all_partitions([registry])?)?, |message| {
            let key = message.key().map(String::from_utf8_lossy).unwrap_or_default();
            if is_mark(&key) {
                // What can't be read is another version's.
                newest.insert(key.into_owned(), message.payload().and_then(|v| serde_json::from_slice(v).ok()));
            }
            Ok(())
        })?;
        let mut marks = Marks::default();
        for (key, record) in newest {
            if let (Some(state), Some(record)) = (state_in(&key), record) {
                marks.take(key, state, record);
            }
        }
        Ok(marks)
    }

    fn take(&mut self, key: String, state: State, record: Record) {
        let Record { at, by, reason, letters } = record;
        let places = self.records.entry(key).or_default();
        for Marked { place, written_at, sent } in letters {
            let Ok(place) = place.parse::<Place>() else { continue };
            places.push(place);
            let mark = Mark { state, at, by: by.clone(), reason: reason.clone(), sent, written_at };
            // The newest decision stands; those of a topic that is gone give way.
            let newer = |known: &Mark| (known.written_at, known.at) <= (written_at, at);
            if self.by_place.get(&place).is_none_or(newer) {
                self.by_place.insert(place, mark);
            }
        }
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    /// The mark of a letter.
    pub fn of(&self, letter: &Letter) -> Option<&Mark> {
        self.by_place.get(&letter.place).filter(|mark| mark.written_at == letter.written_at)
    }

    /// What became of a letter.
    pub fn state(&self, letter: &Letter) -> State {
        self.of(letter).map_or(State::Open, |mark| mark.state)
    }

    /// Marks letters, those that were sent with the position, and forgets the marks of letters that are gone.
    ///
    /// # Errors
    /// Where a record is not acknowledged.
    pub fn write(
        &self,
        connection: &Connection,
        state: State,
        reason: Option<&str>,
        letters: &[(&Letter, Option<Position>)],
    ) -> Result<(), CommandError> {
        let producer = Producer::open(connection, RECORD_MAX_BYTES)?;
        let registry = connection.topics().registry();
        let outgoing = |key: String, value: Option<Vec<u8>>| Outgoing {
            topic: registry.to_owned(),
            partition: Some(0),
            key: Some(key.into_bytes()),
            value,
            ..Outgoing::default()
        };
        for letters in letters.chunks(MARKED_MAX) {
            let marked = |(letter, sent): &(&Letter, Option<Position>)| Marked {
                place: letter.place.to_string(),
                written_at: letter.written_at,
                sent: sent.as_ref().map(Position::to_string),
            };
            let record = Record {
                at: wall_clock(),
                by: std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned()),
                reason: reason.map(str::to_owned),
                letters: letters.iter().map(marked).collect(),
            };
            let value = serde_json::to_vec(&record)
                .map_err(|error| CommandError::Failed(format!("a mark can't be written: {error}")))?;
            let key = format!("{PREFIX}{}/{}", state.to_string().to_lowercase(), Uuid::new_v4());
            producer.send(&outgoing(key, Some(value)))?;
        }
        for key in self.outlived(connection)? {
            producer.send(&outgoing(key.to_owned(), None))?;
        }
        Ok(())
    }

    /// The records all of whose letters the topic keeps no longer.
    fn outlived(&self, connection: &Connection) -> Result<Vec<&str>, CommandError> {
        let topic = connection.topics().dead_letters();
        let spans = connection.spans(&connection.all_partitions([topic])?)?;
        let begins: BTreeMap<i32, i64> = spans.into_iter().map(|span| (span.partition, span.begin)).collect();
        let is_gone = |place: &Place| begins.get(&place.partition).is_none_or(|begin| place.offset < *begin);
        let outlived = self.records.iter().filter(|(_, places)| places.iter().all(is_gone));
        Ok(outlived.map(|(key, _)| key.as_str()).collect())
    }
}

fn state_in(key: &str) -> Option<State> {
    let (state, _) = key.strip_prefix(PREFIX)?.split_once('/')?;
    [State::Redriven, State::Discarded].into_iter().find(|known| known.to_string().eq_ignore_ascii_case(state))
}
