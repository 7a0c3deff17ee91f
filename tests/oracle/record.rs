//! A Kafka record as it was read.

use std::fmt;
use std::str::FromStr;

use thalweg_core::Micros;

/// Where a record lies. Written as the header `input` writes it: `topic/partition/offset`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

impl Position {
    /// The position `topic/partition/offset`.
    pub fn new(topic: &str, partition: i32, offset: i64) -> Position {
        Position { topic: topic.to_owned(), partition, offset }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Position, String> {
        let mut parts = text.rsplitn(3, '/');
        let offset = parts.next().and_then(|part| part.parse().ok());
        let partition = parts.next().and_then(|part| part.parse().ok());
        match (parts.next(), partition, offset) {
            (Some(topic), Some(partition), Some(offset)) => Ok(Position::new(topic, partition, offset)),
            _ => Err(format!("{text:?} is no topic/partition/offset")),
        }
    }
}

/// A record, undecoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub position: Position,
    pub timestamp: Micros,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// The newest header of this name as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().rev().find(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }
}
