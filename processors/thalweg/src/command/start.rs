//! `thalweg start`

use std::time::{Duration, Instant};

use clap::Args;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use serde_json::{Map, Value, json};
use thalweg_core::event::EventError;
use thalweg_core::inbound::{HEADER_INPUT, STARTED};
use thalweg_core::{Channel, Event, identity};
use thalweg_runtime::dead_letter::{HEADER_CODE, HEADER_MESSAGE};
use uuid::Uuid;

use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::history::status_after;
use crate::inbox::Inbox;
use crate::json_argument;
use crate::output::{self, Output, Table, seconds};
use crate::producer::Position;
use crate::reading::{Polled, Span};
use crate::settings::Settings;

/// One wait for news of the execution.
const SLICE: Duration = Duration::from_millis(100);

/// Start an execution
#[derive(Args, Debug)]
pub struct Start {
    /// The workflow
    #[arg(long)]
    workflow: String,
    /// Id of the execution [default: a random one]
    #[arg(long)]
    id: Option<String>,
    /// The workflow's data: an object
    #[arg(long, value_name = "JSON|@FILE|-")]
    data: Option<String>,
    /// Correlation id of its events [default: its id]
    #[arg(long, value_name = "ID")]
    correlation_id: Option<String>,
    /// Wait for its end and print the result; the exit code is 1 unless it succeeds
    #[arg(long)]
    wait: bool,
    /// Wait for so long at most
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    #[command(flatten)]
    output: Output,
}

impl Start {
    /// Runs the command.
    ///
    /// # Errors
    /// Where the start is not acknowledged, or the execution was waited for and did not succeed.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let config = settings.load()?;
        let id = self.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
        identity::check_execution_id(&id).map_err(CommandError::Usage)?;
        let event = self.event(&id)?;
        let connection = Connection::open(&config)?;
        let inbox = Inbox::open(&connection)?;
        let from = if self.wait { watched(&connection, &id)? } else { Vec::new() };
        let began = Instant::now();
        let position = inbox.send(Some(&id), &event)?;
        if !self.wait {
            return self.print_started(&id, &position);
        }
        let watch = Watch { connection: &connection, decoder: Decoder::new(&connection)?, id: &id, position };
        let deadline = self.timeout.map(|seconds| began + Duration::from_secs(seconds));
        let ending = watch.ending(&from, deadline)?;
        self.print_ending(&id, &ending, began.elapsed())
    }

    fn event(&self, id: &str) -> Result<Value, CommandError> {
        let mut event = Map::new();
        event.insert("event_type".to_owned(), Value::from(STARTED));
        event.insert("execution_id".to_owned(), Value::from(id));
        event.insert("workflow_id".to_owned(), Value::from(self.workflow.as_str()));
        if let Some(correlation_id) = &self.correlation_id {
            event.insert("correlation_id".to_owned(), Value::from(correlation_id.as_str()));
        }
        if let Some(argument) = &self.data {
            event.insert("payload".to_owned(), json_argument::read("--data", argument)?);
        }
        Ok(Value::Object(event))
    }

    fn print_started(&self, id: &str, position: &Position) -> Result<(), CommandError> {
        if self.output.is_json() {
            return output::print_json(&json!({
                "execution_id": id, "topic": position.topic, "partition": position.partition,
                "offset": position.offset,
            }));
        }
        // The id alone, so that a shell can take it.
        output::print(id)
    }

    fn print_ending(&self, id: &str, ending: &Ending, took: Duration) -> Result<(), CommandError> {
        let took = took.as_secs_f64();
        let error = ending.error.as_ref();
        if self.output.is_json() {
            output::print_json(&json!({
                "execution_id": id, "status": ending.status, "result": ending.result,
                "error": error.map(|error| json!({"code": error.code, "message": error.message})),
                "seconds": took,
            }))?;
        } else {
            let mut table = Table::without_headings();
            table.row(["EXECUTION", id]);
            table.row(["STATUS", &ending.status]);
            table.row(["DURATION", &seconds(took)]);
            if let Some(result) = &ending.result {
                table.row(["RESULT", &result.to_string()]);
            }
            output::print(&table.to_string())?;
        }
        match error {
            None => Ok(()),
            Some(error) => {
                let code = error.code.as_ref().map_or_else(String::new, |code| format!("{code}: "));
                Err(CommandError::Failed(format!("{code}{}", error.message)))
            }
        }
    }
}

/// Where the end of an execution is told, and that its start was refused.
fn watched(connection: &Connection, id: &str) -> Result<Vec<Span>, CommandError> {
    let dead_letters = connection.topics().dead_letters();
    connection.partition_count(dead_letters)?;
    let system_events = connection.channel_partition(Channel::SystemEvents, id)?;
    connection.spans(&[system_events, (dead_letters, system_events.1)])
}

/// How an execution ended.
struct Ending {
    status: String,
    result: Option<Value>,
    error: Option<EventError>,
}

/// Waits for one execution.
struct Watch<'a> {
    connection: &'a Connection,
    decoder: Decoder<'a>,
    id: &'a str,
    /// Where its start lies.
    position: Position,
}

impl Watch<'_> {
    /// Reads from the ends that `from` had before the start was sent.
    fn ending(&self, from: &[Span], deadline: Option<Instant>) -> Result<Ending, CommandError> {
        self.connection.start_at(from.iter().map(|span| (span.topic.as_str(), span.partition, span.end)))?;
        loop {
            if let Polled::Record(message) = self.connection.poll(SLICE)?
                && let Some(ending) = self.ending_in(&message)?
            {
                return Ok(ending);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(CommandError::Failed(format!(
                    "execution {} has not ended in time\nit goes on: see `thalweg get {0}` and `thalweg history {0}`",
                    self.id
                )));
            }
        }
    }

    fn ending_in(&self, message: &BorrowedMessage) -> Result<Option<Ending>, CommandError> {
        let is_about_start = header(message, HEADER_INPUT).is_some_and(|input| input == self.position.to_string());
        if message.topic() == self.connection.topics().dead_letters() {
            let refused = || Ending {
                status: "REFUSED".to_owned(),
                result: None,
                error: Some(EventError {
                    code: header(message, HEADER_CODE),
                    message: header(message, HEADER_MESSAGE).unwrap_or_default(),
                    ..EventError::default()
                }),
            };
            return Ok(is_about_start.then(refused));
        }
        if message.key() != Some(self.id.as_bytes()) {
            return Ok(None);
        }
        let Some(value) = message.payload() else { return Ok(None) };
        let event = self.decoder.event(value)?;
        if is_about_start && event.event_type == "transition.rejected" {
            return Ok(Some(Ending { status: "REJECTED".to_owned(), result: None, error: event.error }));
        }
        let closed = status_after(&event).is_some_and(|status| status.is_closed());
        Ok(closed.then(|| ending_of(&event)))
    }
}

fn ending_of(event: &Event) -> Ending {
    Ending {
        status: event.status.clone().unwrap_or_default(),
        result: event.payload.as_ref().map(|payload| payload.value()),
        error: event.error.clone(),
    }
}

/// The newest header of this name as text.
fn header(message: &BorrowedMessage, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let value = headers.iter().filter(|header| header.key == name).last()?.value?;
    std::str::from_utf8(value).ok().map(str::to_owned)
}
