//! What of a dead letter is sent back, and how a router will read it.

use rdkafka::message::Message;
use thalweg_core::inbound::{
    HEADER_EVENT_ID, HEADER_INPUT, HEADER_ORIGIN, HEADER_REDRIVE, Inbound, InboxRecord, Reading, Refusal,
};
use thalweg_core::redrive::Request;
use thalweg_core::{Event, Limits};
use thalweg_runtime::{Config, inbox_name, is_inbox, wall_clock};

use super::letter::Letter;
use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::producer::{Outgoing, Position};

/// What is sent for one letter.
pub enum Sendable {
    /// The record that was refused, as it came.
    Record {
        /// To the inbox.
        outgoing: Outgoing,
        /// What a router will read in it.
        reading: Box<Result<Inbound, Refusal>>,
    },
    /// The command to run a task again.
    Command {
        /// To the inbox.
        outgoing: Outgoing,
        /// The task and its event.
        request: Box<Request>,
        /// The command.
        command: Box<Event>,
    },
    /// It can't be redriven, and why.
    Nothing(String),
}

/// Makes of letters what is sent.
pub struct Sender<'a> {
    pub connection: &'a Connection,
    pub decoder: &'a Decoder<'a>,
}

impl Sender<'_> {
    /// What is sent for `letter`.
    ///
    /// # Errors
    /// Where Kafka can't be asked for what the letter has no longer.
    pub fn sendable(&self, letter: &Letter) -> Result<Sendable, CommandError> {
        let Some(value) = self.original(letter)? else {
            return Ok(Sendable::Nothing(
                "only its beginning is left: the inbox keeps the original no longer".to_owned(),
            ));
        };
        match letter.task() {
            Some(task_id) => self.command(letter, task_id, value.as_deref().unwrap_or_default()),
            None => self.record(letter, value),
        }
    }

    /// The original value; none where no more than its beginning is left.
    fn original(&self, letter: &Letter) -> Result<Option<Option<Vec<u8>>>, CommandError> {
        let Some(bytes) = letter.truncated() else { return Ok(Some(letter.value.clone())) };
        let inbox = self.connection.topics().inbox();
        for place in [HEADER_INPUT, HEADER_ORIGIN] {
            let Ok(mut position) = letter.header(place).parse::<Position>() else { continue };
            // In an inbox that was replaced since, another record lies there.
            let replaced = self.decoder.registry()?.replaced(position.partition);
            if position.topic != inbox_name(inbox, replaced) {
                continue;
            }
            inbox.clone_into(&mut position.topic);
            if let Some(value) = self.fetch(&position)?
                && value.len() == bytes
            {
                return Ok(Some(Some(value)));
            }
        }
        Ok(None)
    }

    fn fetch(&self, position: &Position) -> Result<Option<Vec<u8>>, CommandError> {
        if position.partition >= self.connection.partition_count(&position.topic)? {
            return Ok(None);
        }
        let mut spans = self.connection.spans(&[(&position.topic, position.partition)])?;
        spans.retain(|span| (span.begin..span.end).contains(&position.offset));
        for span in &mut spans {
            (span.begin, span.end) = (position.offset, position.offset + 1);
        }
        let mut found = None;
        self.connection.read_to_end(&spans, |message| {
            if message.offset() == position.offset {
                found = message.payload().map(<[u8]>::to_vec);
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn record(&self, letter: &Letter, value: Option<Vec<u8>>) -> Result<Sendable, CommandError> {
        let inbox = self.connection.topics().inbox();
        let Some(origin) = letter.origin() else {
            return Ok(Sendable::Nothing("it does not say where it came from".to_owned()));
        };
        if !is_inbox(&origin.topic, inbox) || origin.partition >= self.connection.partition_count(inbox)? {
            return Ok(Sendable::Nothing(format!("it came from {origin}, and the inbox is {inbox}")));
        }
        let redrive = letter.next_redrive();
        let mut headers: Vec<(String, Vec<u8>)> = letter.original_headers().cloned().collect();
        headers.push((HEADER_ORIGIN.to_owned(), origin.to_string().into_bytes()));
        headers.push((HEADER_REDRIVE.to_owned(), redrive.to_string().into_bytes()));
        let outgoing = Outgoing {
            topic: inbox.to_owned(),
            partition: Some(origin.partition),
            key: letter.key.clone(),
            value,
            headers,
        };
        let reading = Box::new(self.read(&outgoing, &origin, redrive)?);
        Ok(Sendable::Record { outgoing, reading })
    }

    /// What a router reads in it, in its partition or in the one that it is forwarded to.
    fn read(
        &self,
        outgoing: &Outgoing,
        origin: &Position,
        redrive: u32,
    ) -> Result<Result<Inbound, Refusal>, CommandError> {
        let partitions = self.connection.partition_count(&outgoing.topic)?;
        let limits = limits(self.connection.config());
        let origin_text = origin.to_string();
        let headers = valued(&outgoing.headers);
        let mut record = InboxRecord {
            topic: &outgoing.topic,
            partition: origin.partition,
            // It lies behind everything that was read so far.
            offset: i64::MAX,
            timestamp: wall_clock(),
            key: outgoing.key.as_deref(),
            value: outgoing.value.as_deref(),
            origin: Some(&origin_text),
            redrive,
            headers: &headers,
        };
        let forwarded = match self.decoder.inbound(&record, partitions, &limits)? {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(Reading::Event(inbound)) => return Ok(Ok(*inbound)),
            Ok(Reading::Elsewhere { partition, execution_id, .. }) => (partition, execution_id),
        };
        record.partition = forwarded.0;
        record.key = Some(forwarded.1.as_bytes());
        match self.decoder.inbound(&record, partitions, &limits)? {
            Ok(Reading::Event(inbound)) => Ok(Ok(*inbound)),
            Err(refusal) => Ok(Err(refusal)),
            Ok(Reading::Elsewhere { partition, .. }) => {
                Err(CommandError::Failed(format!("an event belongs to partition {partition} and to another one")))
            }
        }
    }

    fn command(&self, letter: &Letter, task_id: String, value: &[u8]) -> Result<Sendable, CommandError> {
        let headers: Vec<_> = letter.original_headers().cloned().collect();
        let mut event = match self.decoder.inbox_event(value, &valued(&headers))? {
            Ok(event) => event,
            Err(refusal) => return Ok(Sendable::Nothing(format!("its event can't be read: {refusal}"))),
        };
        event.event_id = letter.header(HEADER_EVENT_ID);
        event.execution_id = letter.execution();
        if event.occurred_at == 0 {
            event.occurred_at = letter.written_at;
        }
        let request = Request { task_id, event };
        let unwritable = |error| CommandError::Failed(format!("the command can't be written: {error}"));
        let command = request.command(wall_clock()).map_err(unwritable)?;
        let value = serde_json::to_vec(&command).map_err(unwritable)?;
        let execution_id = &request.event.execution_id;
        let mut headers = vec![(HEADER_REDRIVE.to_owned(), letter.next_redrive().to_string().into_bytes())];
        headers.extend(letter.origin().map(|origin| (HEADER_ORIGIN.to_owned(), origin.to_string().into_bytes())));
        let outgoing = Outgoing {
            topic: self.connection.topics().inbox().to_owned(),
            partition: Some(self.connection.partition_of(execution_id)?),
            key: Some(execution_id.as_bytes().to_vec()),
            value: Some(value),
            headers,
        };
        Ok(Sendable::Command { outgoing, request: Box::new(request), command: Box::new(command) })
    }
}

/// Headers as a router is given them.
fn valued(headers: &[(String, Vec<u8>)]) -> Vec<(String, Option<Vec<u8>>)> {
    headers.iter().map(|(name, value)| (name.clone(), Some(value.clone()))).collect()
}

/// The limits of routers with this configuration.
fn limits(config: &Config) -> Limits {
    Limits { payload_max_bytes: config.payload_max_bytes, ..Limits::default() }
}
