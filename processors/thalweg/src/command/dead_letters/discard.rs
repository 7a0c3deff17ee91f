//! `thalweg dead-letters discard`

use clap::Args;
use serde_json::{Value, json};
use thalweg_runtime::dead_letter::HEADER_MESSAGE;
use thalweg_runtime::wall_clock;

use super::letter::Letter;
use super::list;
use super::marks::{Marks, State};
use super::selection::{Selected, Selection};
use crate::connection::Connection;
use crate::error::CommandError;
use crate::output::{self, Output, Table};
use crate::producer::Position;
use crate::settings::Settings;

/// Put dead letters aside: nothing more is to be done about them
///
/// Without --execute it only says which. They are not deleted: `list --all` shows them, and `redrive` takes them by
/// their place.
#[derive(Args, Debug)]
pub struct Discard {
    #[command(flatten)]
    selection: Selection,
    /// Why, for those who look later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Put them aside
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    output: Output,
}

impl Discard {
    /// Runs the command.
    ///
    /// # Errors
    /// Where there are no such letters, or the mark is not acknowledged.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let config = settings.load()?;
        self.selection.check()?;
        let connection = Connection::open(&config)?;
        let mut marks = Marks::read(&connection)?;
        let Selected { letters, more } = self.selection.read(&connection, &marks)?;
        if self.execute {
            let aside: Vec<(&Letter, Option<Position>)> = letters.iter().map(|letter| (letter, None)).collect();
            marks.write(&connection, State::Discarded, self.reason.as_deref(), &aside)?;
            marks = Marks::read(&connection)?;
        }
        if self.output.is_json() {
            let letters: Vec<Value> = letters.iter().map(|letter| list::document(letter, marks.of(letter))).collect();
            return output::print_json(&json!({"executed": self.execute, "letters": letters, "more": more}));
        }
        let now = wall_clock();
        let mut table = Table::new(&["PLACE", "STATE", "CODE", "EXECUTION", "MESSAGE"]);
        for letter in &letters {
            let state = marks.of(letter).map_or_else(|| State::Open.to_string(), |mark| mark.told(now));
            let place = letter.place.to_string();
            table.row([&place, &state, &letter.code(), &letter.execution(), &letter.header(HEADER_MESSAGE)]);
        }
        let mut notes = Vec::new();
        if !self.execute {
            notes.push(format!("Nothing was changed. With --execute {} would be discarded.", letters.len()));
        }
        if more > 0 {
            notes.push(format!("{more} more are selected than one command takes: run it again for them."));
        }
        output::print(&format!("{table}\n\n{}", notes.join("\n")))
    }
}
