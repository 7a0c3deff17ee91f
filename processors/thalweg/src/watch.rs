//! Waits for what becomes of a record that was sent to the inbox.

use std::time::{Duration, Instant};

use rdkafka::message::{BorrowedMessage, Headers, Message};
use thalweg_core::event::EventError;
use thalweg_core::inbound::HEADER_INPUT;
use thalweg_core::{Channel, Event};
use thalweg_runtime::dead_letter::{HEADER_CODE, HEADER_MESSAGE};

use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::producer::Position;
use crate::reading::{Polled, Span};

/// One wait for news of the execution.
const SLICE: Duration = Duration::from_millis(100);

/// Where the life of an execution is told, and that an input of it was refused: from their ends on.
pub struct Watched {
    spans: Vec<Span>,
}

impl Watched {
    /// From now on. It is to be asked for before the record is sent.
    ///
    /// # Errors
    /// Where the topics are not there, or the brokers don't tell their ends.
    pub fn from_now(connection: &Connection, execution_id: &str) -> Result<Watched, CommandError> {
        let dead_letters = connection.topics().dead_letters();
        connection.partition_count(dead_letters)?;
        let system_events = connection.channel_partition(Channel::SystemEvents, execution_id)?;
        Ok(Watched { spans: connection.spans(&[system_events, (dead_letters, system_events.1)])? })
    }
}

/// What was heard.
pub enum Heard<T> {
    /// What was waited for.
    Found(T),
    /// The record is a dead letter.
    Refused(EventError),
    /// The state of its execution does not allow it: the rejection.
    Rejected(Box<Event>),
    /// Nothing in time.
    Nothing,
}

/// Waits for news of one execution.
pub struct Watch<'a> {
    /// Reads the channels.
    pub connection: &'a Connection,
    /// Reads their records.
    pub decoder: Decoder<'a>,
    /// The execution.
    pub execution_id: &'a str,
    /// Where the record lies that was sent, where one was.
    pub position: Option<Position>,
}

impl Watch<'_> {
    /// Waits until `wanted` finds something in an event about the life of the execution.
    ///
    /// # Errors
    /// Where the channels can't be read.
    pub fn wait<T>(
        &self,
        watched: &Watched,
        deadline: Option<Instant>,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> Result<Heard<T>, CommandError> {
        self.connection.start_at(watched.spans.iter().map(|span| (span.topic.as_str(), span.partition, span.end)))?;
        loop {
            if let Polled::Record(message) = self.connection.poll(SLICE)?
                && let Some(heard) = self.hear(&message, &mut wanted)?
            {
                return Ok(heard);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(Heard::Nothing);
            }
        }
    }

    fn hear<T>(
        &self,
        message: &BorrowedMessage,
        wanted: &mut impl FnMut(&Event) -> Option<T>,
    ) -> Result<Option<Heard<T>>, CommandError> {
        let is_about_it = header(message, HEADER_INPUT)
            .is_some_and(|input| self.position.as_ref().is_some_and(|position| input == position.to_string()));
        if message.topic() == self.connection.topics().dead_letters() {
            let refused = || EventError {
                code: header(message, HEADER_CODE),
                message: header(message, HEADER_MESSAGE).unwrap_or_default(),
                ..EventError::default()
            };
            return Ok(is_about_it.then(|| Heard::Refused(refused())));
        }
        if message.key() != Some(self.execution_id.as_bytes()) {
            return Ok(None);
        }
        let Some(value) = message.payload() else { return Ok(None) };
        let event = self.decoder.event(value)?;
        if is_about_it && event.event_type == "transition.rejected" {
            return Ok(Some(Heard::Rejected(Box::new(event))));
        }
        Ok(wanted(&event).map(Heard::Found))
    }
}

/// The newest header of this name as text.
fn header(message: &BorrowedMessage, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let value = headers.iter().filter(|header| header.key == name).last()?.value?;
    std::str::from_utf8(value).ok().map(str::to_owned)
}
