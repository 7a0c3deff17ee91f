//! `thalweg wait`

use std::time::{Duration, Instant};

use clap::Args;

use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::ending::{self, Ending};
use crate::error::CommandError;
use crate::history::History;
use crate::output::Output;
use crate::settings::Settings;
use crate::watch::{Heard, Watch, Watched};

/// Wait for the end of an execution and print the result; the exit code is 1 unless it succeeds
///
/// One that has ended is told of at once, for as long as the channels are kept.
#[derive(Args, Debug)]
pub struct Wait {
    /// The execution
    execution: String,
    /// Wait for so long at most
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    #[command(flatten)]
    output: Output,
}

impl Wait {
    /// Runs the command.
    ///
    /// # Errors
    /// Where the execution is unknown, has not ended in time, or did not succeed.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let deadline = self.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let connection = Connection::open(&settings.load()?)?;
        // What comes while the history is read is heard after it.
        let watched = Watched::from_now(&connection, &self.execution)?;
        let history = History::read(&connection, &self.execution)?;
        let ended = history.status().filter(|status| status.is_closed());
        let ending = match ended.and_then(|_| history.events.iter().rev().find_map(Ending::of)) {
            Some(ending) => ending,
            None => {
                let decoder = Decoder::new(&connection)?;
                let watch = Watch { connection: &connection, decoder, execution_id: &self.execution, position: None };
                match watch.wait(&watched, deadline, Ending::of)? {
                    Heard::Found(ending) => ending,
                    // Of no record of ours.
                    Heard::Refused(_) | Heard::Rejected(_) | Heard::Nothing => {
                        return Err(ending::not_in_time(&self.execution));
                    }
                }
            }
        };
        ending.print(&self.output, &self.execution, None)
    }
}
