//! How an execution ended, for `start --wait` and `wait`.

use std::time::Duration;

use serde_json::{Value, json};
use thalweg_core::Event;
use thalweg_core::event::EventError;

use crate::error::CommandError;
use crate::history::status_after;
use crate::output::{self, Output, Table, seconds};

/// How an execution ended.
pub struct Ending {
    /// Its status, or that its start was refused.
    pub status: String,
    /// Its result.
    pub result: Option<Value>,
    /// Why it did not succeed.
    pub error: Option<EventError>,
}

impl Ending {
    /// The end that an event tells, where it tells one.
    pub fn of(event: &Event) -> Option<Ending> {
        status_after(event).filter(|status| status.is_closed()).map(|status| Ending {
            status: event.status.clone().unwrap_or_else(|| status.as_str().to_owned()),
            result: event.payload.as_ref().map(|payload| payload.value()),
            error: event.error.clone(),
        })
    }

    /// Prints it.
    ///
    /// # Errors
    /// Where the execution did not succeed.
    pub fn print(&self, to: &Output, id: &str, took: Option<Duration>) -> Result<(), CommandError> {
        let took = took.map(|took| took.as_secs_f64());
        let error = self.error.as_ref();
        if to.is_json() {
            output::print_json(&json!({
                "execution_id": id, "status": self.status, "result": self.result,
                "error": error.map(|error| json!({"code": error.code, "message": error.message})),
                "seconds": took,
            }))?;
        } else {
            let mut table = Table::without_headings();
            table.row(["EXECUTION", id]);
            table.row(["STATUS", &self.status]);
            if let Some(took) = took {
                table.row(["DURATION", &seconds(took)]);
            }
            if let Some(result) = &self.result {
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

/// It goes on after the wait.
pub fn not_in_time(id: &str) -> CommandError {
    CommandError::Failed(format!(
        "execution {id} has not ended in time\nit goes on: see `thalweg get {id}` and `thalweg history {id}`"
    ))
}
