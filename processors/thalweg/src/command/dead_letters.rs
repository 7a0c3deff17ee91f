//! `thalweg dead-letters`

mod letter;
mod list;
mod show;

use clap::{Args, Subcommand};

use crate::error::CommandError;
use crate::settings::Settings;

/// Look at what could not be handled
#[derive(Args, Debug)]
pub struct DeadLetters {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    List(list::List),
    Show(show::Show),
}

impl DeadLetters {
    /// Runs the command.
    ///
    /// # Errors
    /// Why it failed.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        match self.command {
            Command::List(list) => list.run(settings),
            Command::Show(show) => show.run(settings),
        }
    }
}
