//! `thalweg approve`

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use thalweg_core::approval::DECIDED;
use thalweg_core::{Event, identity};
use uuid::Uuid;

use super::control::{refused, rejected};
use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::inbox::Inbox;
use crate::json_argument;
use crate::output::{self, Output, Table};
use crate::settings::Settings;
use crate::watch::{Heard, Watch, Watched};

/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Decide what a task of an execution asks people
#[derive(Args, Debug)]
pub struct Approve {
    /// The execution
    execution: String,
    /// The task that asks [default: the one that asked first]
    #[arg(long, value_name = "TASK")]
    node: Option<String>,
    /// Say no: the task has failed, for good
    #[arg(long)]
    reject: bool,
    /// Who decides
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// A merge patch of the workflow's data: an object
    #[arg(long, value_name = "JSON|@FILE|-", conflicts_with = "reject")]
    patch: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl Approve {
    /// Runs the command.
    ///
    /// # Errors
    /// Where nobody asks, there is no such execution, or nothing was heard in time.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let config = settings.load()?;
        identity::check_execution_id(&self.execution).map_err(CommandError::Usage)?;
        let patch = self.patch.as_ref().map(|patch| json_argument::read("--patch", patch)).transpose()?;
        let decision = if self.reject { "rejected" } else { "approved" };
        let event_id = Uuid::new_v4().to_string();
        let event = json!({
            "event_type": DECIDED, "event_id": event_id, "execution_id": self.execution,
            "payload": {"node_id": self.node, "decision": decision, "user_id": self.user, "comment": self.comment,
                "state_patch": patch},
        });
        let connection = Connection::open(&config)?;
        let inbox = Inbox::open(&connection)?;
        let watched = Watched::from_now(&connection, &self.execution)?;
        let position = inbox.send(Some(&self.execution), &event)?;
        let decoder = Decoder::new(&connection)?;
        let watch = Watch { connection: &connection, decoder, execution_id: &self.execution, position: Some(position) };
        let taken = |event: &Event| (event.event_id == event_id).then_some(event.sequence);
        match watch.wait(&watched, Some(Instant::now() + TIMEOUT), taken)? {
            Heard::Found(sequence) => self.print(decision, sequence),
            Heard::Refused(error) => Err(refused(&error)),
            Heard::Rejected(event) => Err(rejected(*event)),
            Heard::Nothing => Err(CommandError::Failed(format!(
                "nothing was heard of execution {} in time\nthe decision is in the inbox: see `thalweg history {0}`",
                self.execution
            ))),
        }
    }

    fn print(&self, decision: &str, sequence: i64) -> Result<(), CommandError> {
        if self.output.is_json() {
            return output::print_json(
                &json!({"execution_id": self.execution, "decision": decision, "sequence": sequence}),
            );
        }
        let mut table = Table::without_headings();
        table.row(["EXECUTION", &self.execution]);
        table.row(["DECISION", decision]);
        output::print(&table.to_string())
    }
}
