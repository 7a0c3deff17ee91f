//! `thalweg dead-letters`

mod discard;
mod executions;
mod letter;
mod list;
mod marks;
mod moment;
mod place;
mod prospect;
mod redrive;
mod selection;
mod sendable;
mod show;

use clap::{Args, Subcommand};

pub use marks::is_mark;

use crate::error::CommandError;
use crate::settings::Settings;

/// Look at what could not be handled, send it back, or put it aside
#[derive(Args, Debug)]
pub struct DeadLetters {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    List(list::List),
    Show(show::Show),
    Redrive(redrive::Redrive),
    Discard(discard::Discard),
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
            Command::Redrive(redrive) => redrive.run(settings),
            Command::Discard(discard) => discard.run(settings),
        }
    }
}
