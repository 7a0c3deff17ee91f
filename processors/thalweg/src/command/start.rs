//! `thalweg start`

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value, json};
use thalweg_core::identity;
use thalweg_core::inbound::STARTED;
use uuid::Uuid;

use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::ending::{self, Ending};
use crate::error::CommandError;
use crate::inbox::Inbox;
use crate::json_argument;
use crate::output::{self, Output};
use crate::producer::Position;
use crate::settings::Settings;
use crate::watch::{Heard, Watch, Watched};

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
        let watched = if self.wait { Some(Watched::from_now(&connection, &id)?) } else { None };
        let began = Instant::now();
        let position = inbox.send(Some(&id), &event)?;
        let Some(watched) = watched else { return self.print_started(&id, &position) };
        let decoder = Decoder::new(&connection)?;
        let watch = Watch { connection: &connection, decoder, execution_id: &id, position: Some(position) };
        let deadline = self.timeout.map(|seconds| began + Duration::from_secs(seconds));
        let ending = match watch.wait(&watched, deadline, Ending::of)? {
            Heard::Found(ending) => ending,
            Heard::Refused(error) => Ending { status: "REFUSED".to_owned(), result: None, error: Some(error) },
            Heard::Rejected(event) => Ending { status: "REJECTED".to_owned(), result: None, error: event.error },
            Heard::Nothing => return Err(ending::not_in_time(&id)),
        };
        ending.print(&self.output, &id, Some(began.elapsed()))
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
}
