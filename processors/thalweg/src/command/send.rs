//! `thalweg send`

use clap::{ArgGroup, Args};
use serde_json::{Map, Value, json};
use thalweg_core::identity;
use thalweg_core::inbound::STARTED;

use crate::connection::Connection;
use crate::error::CommandError;
use crate::inbox::Inbox;
use crate::json_argument;
use crate::output::{self, Output, Table};
use crate::settings::Settings;

/// Send an event to an execution
///
/// It is in the inbox when the command ends; what became of it is in `thalweg history`, or, where it could not be
/// handled, in `thalweg dead-letters list`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").required(true).args(["event_type", "event"]))]
pub struct Send {
    /// Type of the event, such as user.input.provided
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// The execution that it belongs to
    #[arg(long, value_name = "EXECUTION")]
    id: Option<String>,
    /// Its payload
    #[arg(long, value_name = "JSON|@FILE|-", conflicts_with = "event")]
    data: Option<String>,
    /// The whole event, in place of --type and --data
    #[arg(long, value_name = "JSON|@FILE|-")]
    event: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl Send {
    /// Runs the command.
    ///
    /// # Errors
    /// Where the event can't be made of the flags, or is not acknowledged.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let config = settings.load()?;
        let event = self.event()?;
        let key = event.get("execution_id").and_then(Value::as_str).map(str::to_owned);
        let connection = Connection::open(&config)?;
        let position = Inbox::open(&connection)?.send(key.as_deref(), &Value::Object(event))?;
        if self.output.is_json() {
            return output::print_json(&json!({
                "execution_id": key, "topic": position.topic, "partition": position.partition,
                "offset": position.offset,
            }));
        }
        let mut table = Table::without_headings();
        if let Some(execution_id) = &key {
            table.row(["EXECUTION", execution_id]);
        }
        table.row(["POSITION", &position.to_string()]);
        output::print(&table.to_string())
    }

    /// The event that the flags describe.
    fn event(&self) -> Result<Map<String, Value>, CommandError> {
        let usage = |message: &str| Err(CommandError::Usage(message.to_owned()));
        let mut event = match &self.event {
            Some(argument) => match json_argument::read("--event", argument)? {
                Value::Object(event) => event,
                _ => return usage("--event must be a JSON object"),
            },
            None => Map::new(),
        };
        if let Some(event_type) = &self.event_type {
            event.insert("event_type".to_owned(), Value::from(event_type.as_str()));
        }
        if let Some(argument) = &self.data {
            event.insert("payload".to_owned(), json_argument::read("--data", argument)?);
        }
        if let Some(id) = &self.id {
            event.insert("execution_id".to_owned(), Value::from(id.as_str()));
        }
        match event.get("execution_id").map(Value::as_str) {
            Some(Some(id)) => identity::check_execution_id(id).map_err(CommandError::Usage)?,
            Some(None) => return usage("execution_id must be a text"),
            None if event.get("event_type").and_then(Value::as_str) == Some(STARTED) => {}
            None => return usage("give --id: only workflow.started can do without an execution"),
        }
        Ok(event)
    }
}
