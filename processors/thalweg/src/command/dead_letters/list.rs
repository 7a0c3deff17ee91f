//! `thalweg dead-letters list`

use clap::Args;
use serde_json::Value;
use thalweg_core::ErrorCode;
use thalweg_core::timestamp::rfc3339;
use thalweg_runtime::dead_letter::HEADER_MESSAGE;
use thalweg_runtime::wall_clock;

use super::letter::{Letter, error_code};
use super::marks::{Mark, Marks, State};
use crate::connection::Connection;
use crate::error::CommandError;
use crate::output::{self, Output, Table, age};
use crate::settings::Settings;

/// Dead letters that are listed where nobody says how many.
const MAX_DEFAULT: usize = 100;

/// List the newest dead letters that are open, oldest first
#[derive(Args, Debug)]
pub struct List {
    /// Only those with this error code
    #[arg(long, value_parser = error_code)]
    code: Option<ErrorCode>,
    /// Also those that were redriven or discarded
    #[arg(long)]
    all: bool,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = MAX_DEFAULT)]
    max: usize,
    #[command(flatten)]
    output: Output,
}

impl List {
    /// Runs the command.
    ///
    /// # Errors
    /// Where the dead letters can't be read.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let connection = Connection::open(&settings.load()?)?;
        let marks = Marks::read(&connection)?;
        let letters = self.newest(&connection, &marks)?;
        if self.output.is_json() {
            let documents = letters.iter().map(|letter| document(letter, marks.of(letter)));
            return output::print_json(&documents.collect());
        }
        if letters.is_empty() {
            return output::print(if self.all || marks.is_empty() {
                "No dead letters."
            } else {
                "No open dead letters."
            });
        }
        output::print(&self.table(&letters, &marks).to_string())
    }

    fn table(&self, letters: &[Letter], marks: &Marks) -> Table {
        let now = wall_clock();
        let mut headings = vec!["PLACE", "WRITTEN", "CODE", "EXECUTION", "MESSAGE"];
        if self.all {
            headings.insert(2, "STATE");
        }
        let mut table = Table::new(&headings);
        for letter in letters {
            let mut row = vec![
                letter.place.to_string(),
                age(letter.written_at, now),
                letter.code(),
                letter.execution(),
                letter.header(HEADER_MESSAGE),
            ];
            if self.all {
                row.insert(2, marks.of(letter).map_or_else(|| State::Open.to_string(), |mark| mark.told(now)));
            }
            table.row(row);
        }
        table
    }

    /// The newest of them in the order of writing.
    fn newest(&self, connection: &Connection, marks: &Marks) -> Result<Vec<Letter>, CommandError> {
        let topic = connection.topics().dead_letters();
        let mut spans = connection.spans(&connection.all_partitions([topic])?)?;
        if self.code.is_none() && (self.all || marks.is_empty()) {
            // More than the newest of each partition can't be among the newest of all. Twice as many offsets, for
            // each transaction takes one, too.
            let reach = i64::try_from(self.max).unwrap_or(i64::MAX).saturating_mul(2);
            for span in &mut spans {
                span.begin = span.begin.max(span.end.saturating_sub(reach));
            }
        }
        let mut letters = Vec::new();
        let sort = |letters: &mut Vec<Letter>| letters.sort_by_key(|l: &Letter| (l.written_at, l.place));
        connection.read_to_end(&spans, |message| {
            let letter = Letter::of(message);
            let shown = self.all || marks.state(&letter) == State::Open;
            if shown && self.code.is_none_or(|code| letter.code() == code.as_str()) {
                letters.push(letter);
            }
            if letters.len() >= self.max.saturating_mul(2).saturating_add(MAX_DEFAULT) {
                sort(&mut letters);
                letters.drain(..letters.len() - self.max);
            }
            Ok(())
        })?;
        sort(&mut letters);
        letters.drain(..letters.len().saturating_sub(self.max));
        Ok(letters)
    }
}

/// A letter with its state.
pub fn document(letter: &Letter, mark: Option<&Mark>) -> Value {
    let mut document = letter.document();
    document.insert("state".to_owned(), Value::from(mark.map_or(State::Open, |mark| mark.state).to_string()));
    if let Some(mark) = mark {
        document.insert("marked_at".to_owned(), Value::from(rfc3339(mark.at)));
        document.insert("marked_by".to_owned(), Value::from(mark.by.as_str()));
        for (name, text) in [("reason", &mark.reason), ("sent", &mark.sent)] {
            if let Some(text) = text {
                document.insert(name.to_owned(), Value::from(text.as_str()));
            }
        }
    }
    Value::Object(document)
}
