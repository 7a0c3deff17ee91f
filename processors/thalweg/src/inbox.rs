//! Writes events to the inbox, as any client may.

use serde_json::Value;

use crate::connection::Connection;
use crate::error::CommandError;
use crate::producer::{Outgoing, Position, Producer};

/// A producer to the inbox.
pub struct Inbox<'a> {
    topic: &'a str,
    producer: Producer<'a>,
}

impl<'a> Inbox<'a> {
    /// A producer that writes an event once, and hears of it.
    ///
    /// # Errors
    /// Where there is no inbox, or librdkafka does not take a setting.
    pub fn open(connection: &'a Connection) -> Result<Inbox<'a>, CommandError> {
        let topic = connection.topics().inbox();
        connection.partition_count(topic)?;
        // The router says what is too large, and keeps it among the dead letters.
        let producer = Producer::open(connection, thalweg_runtime::INBOX_RECORD_MAX_BYTES)?;
        Ok(Inbox { topic, producer })
    }

    /// Writes an event and waits until it is acknowledged.
    ///
    /// # Errors
    /// Where it is not, or not in time.
    pub fn send(&self, key: Option<&str>, event: &Value) -> Result<Position, CommandError> {
        self.producer.send(&self.record(key, event))
    }

    /// Begins to write an event.
    ///
    /// # Errors
    /// Where librdkafka does not take it.
    pub fn begin(&self, key: Option<&str>, event: &Value) -> Result<(), CommandError> {
        self.producer.begin(&self.record(key, event))
    }

    /// The oldest acknowledgement that was not taken yet.
    ///
    /// # Errors
    /// Where that record was not written.
    pub fn acknowledged(&self) -> Result<Option<Position>, CommandError> {
        self.producer.acknowledged()
    }

    fn record(&self, key: Option<&str>, event: &Value) -> Outgoing {
        Outgoing {
            topic: self.topic.to_owned(),
            key: key.map(|key| key.as_bytes().to_vec()),
            value: Some(event.to_string().into_bytes()),
            ..Outgoing::default()
        }
    }
}
