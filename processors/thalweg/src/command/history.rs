//! `thalweg history`

use clap::Args;
use serde_json::Value;
use thalweg_core::codec::event_to_json;

use crate::connection::Connection;
use crate::error::CommandError;
use crate::history;
use crate::output::{self, Output, history_tree};
use crate::settings::Settings;

/// Show what happened in an execution, as a tree with times
#[derive(Args, Debug)]
pub struct History {
    /// The execution
    execution: String,
    #[command(flatten)]
    output: Output,
}

impl History {
    /// Runs the command.
    ///
    /// # Errors
    /// Where the execution is unknown, or can't be read.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let connection = Connection::open(&settings.load()?)?;
        let history = history::History::read(&connection, &self.execution)?;
        if self.output.is_json() {
            return output::print_json(&Value::Array(history.events.iter().map(event_to_json).collect()));
        }
        output::print(&history_tree::text(&history))
    }
}
