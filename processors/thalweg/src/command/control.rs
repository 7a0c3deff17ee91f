//! `thalweg cancel`, `thalweg pause`, `thalweg resume`

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use thalweg_core::event::EventError;
use thalweg_core::{ErrorCode, Event, WorkflowCommand, identity};
use uuid::Uuid;

use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::inbox::Inbox;
use crate::output::{self, Output, Table};
use crate::settings::Settings;
use crate::watch::{Heard, Watch, Watched};

/// A command to an execution: it is sent, and waited for
#[derive(Args, Debug)]
pub struct Control {
    /// The execution
    execution: String,
    /// Why; it is told in the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Wait for so long at most
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    #[command(flatten)]
    output: Output,
}

impl Control {
    /// Runs the command.
    ///
    /// # Errors
    /// Where it was not carried out: there is no such execution, its state does not allow it, or nothing was heard in
    /// time.
    pub fn run(self, command: WorkflowCommand, settings: &Settings) -> Result<(), CommandError> {
        let config = settings.load()?;
        identity::check_execution_id(&self.execution).map_err(CommandError::Usage)?;
        let connection = Connection::open(&config)?;
        let inbox = Inbox::open(&connection)?;
        let watched = Watched::from_now(&connection, &self.execution)?;
        let deadline = Instant::now() + Duration::from_secs(self.timeout);
        let event_id = Uuid::new_v4().to_string();
        let position = inbox.send(Some(&self.execution), &self.event(command, &event_id))?;
        let decoder = Decoder::new(&connection)?;
        let watch = Watch { connection: &connection, decoder, execution_id: &self.execution, position: Some(position) };
        let done = |event: &Event| {
            let is_answer = event.event_type == command.done() && event.parent_event_id.as_ref() == Some(&event_id);
            is_answer.then(|| event.clone())
        };
        match watch.wait(&watched, Some(deadline), done)? {
            Heard::Found(event) => self.print(&event),
            Heard::Refused(error) => Err(refused(&error)),
            Heard::Rejected(event) => Err(rejected(*event)),
            Heard::Nothing => Err(CommandError::Failed(format!(
                "nothing was heard of execution {} in {} s\nthe command is in the inbox: see `thalweg history {0}`",
                self.execution, self.timeout
            ))),
        }
    }

    fn event(&self, command: WorkflowCommand, event_id: &str) -> Value {
        let mut event = json!({"event_type": command.as_str(), "event_id": event_id, "execution_id": self.execution});
        if let Some(reason) = &self.reason {
            event["payload"] = json!({ "reason": reason });
        }
        event
    }

    fn print(&self, event: &Event) -> Result<(), CommandError> {
        let status = event.status.as_deref().unwrap_or_default();
        if self.output.is_json() {
            return output::print_json(&json!({
                "execution_id": self.execution, "event_type": event.event_type, "event_id": event.event_id,
                "sequence": event.sequence, "status": status, "reason": self.reason,
            }));
        }
        let mut table = Table::without_headings();
        table.row(["EXECUTION", &self.execution]);
        table.row(["STATUS", status]);
        output::print(&table.to_string())
    }
}

/// What a rejection says, and what would be legal.
pub fn rejected(event: Event) -> CommandError {
    let payload = event.payload_value();
    let legal = payload["legal"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let legal: Vec<&str> = legal.collect();
    let legal = if legal.is_empty() { "nothing".to_owned() } else { legal.join(", ") };
    failed(&event.error.unwrap_or_default(), &format!("\nwhat it takes now: {legal}"))
}

/// Why the inbox did not take what was sent.
pub fn refused(error: &EventError) -> CommandError {
    if error.code.as_deref() == Some(ErrorCode::ExecutionUnknown.as_str()) {
        return CommandError::NotFound(format!("{}: {}", ErrorCode::ExecutionUnknown, error.message));
    }
    failed(error, "")
}

fn failed(error: &EventError, more: &str) -> CommandError {
    let code = error.code.as_ref().map_or_else(String::new, |code| format!("{code}: "));
    CommandError::Failed(format!("{code}{}{more}", error.message))
}
