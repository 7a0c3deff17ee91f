//! `thalweg dead-letters list`

use clap::Args;
use serde_json::Value;
use thalweg_core::ErrorCode;
use thalweg_runtime::dead_letter::{HEADER_EXECUTION_ID, HEADER_MESSAGE};
use thalweg_runtime::wall_clock;

use super::letter::Letter;
use crate::connection::Connection;
use crate::error::CommandError;
use crate::output::{self, Output, Table, age};
use crate::settings::Settings;

/// Dead letters that are listed where nobody says how many.
const MAX_DEFAULT: usize = 100;

/// List the newest dead letters, oldest first
#[derive(Args, Debug)]
pub struct List {
    /// Only those with this error code
    #[arg(long, value_parser = error_code)]
    code: Option<ErrorCode>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = MAX_DEFAULT)]
    max: usize,
    #[command(flatten)]
    output: Output,
}

fn error_code(text: &str) -> Result<ErrorCode, String> {
    text.parse().map_err(|_| {
        let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        format!("the codes are {}", codes.join(", "))
    })
}

impl List {
    /// Runs the command.
    ///
    /// # Errors
    /// Where the dead letters can't be read.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let connection = Connection::open(&settings.load()?)?;
        let letters = self.newest(&connection)?;
        if self.output.is_json() {
            let documents = letters.iter().map(|letter| Value::Object(letter.document()));
            return output::print_json(&documents.collect());
        }
        if letters.is_empty() {
            return output::print("No dead letters.");
        }
        let now = wall_clock();
        let mut table = Table::new(&["PLACE", "WRITTEN", "CODE", "EXECUTION", "MESSAGE"]);
        for letter in &letters {
            table.row([
                letter.place(),
                age(letter.written_at, now),
                letter.code(),
                letter.header(HEADER_EXECUTION_ID),
                letter.header(HEADER_MESSAGE),
            ]);
        }
        output::print(&table.to_string())
    }

    /// The newest of them in the order of writing.
    fn newest(&self, connection: &Connection) -> Result<Vec<Letter>, CommandError> {
        let topic = connection.topics().dead_letters();
        let mut spans = connection.spans(&connection.all_partitions([topic])?)?;
        if self.code.is_none() {
            // More than the newest of each partition can't be among the newest of all. Twice as many offsets, for
            // each transaction takes one, too.
            let reach = i64::try_from(self.max).unwrap_or(i64::MAX).saturating_mul(2);
            for span in &mut spans {
                span.begin = span.begin.max(span.end.saturating_sub(reach));
            }
        }
        let mut letters = Vec::new();
        let sort = |letters: &mut Vec<Letter>| letters.sort_by_key(|l: &Letter| (l.written_at, l.partition, l.offset));
        connection.read_to_end(&spans, |message| {
            let letter = Letter::of(message);
            if self.code.is_none_or(|code| letter.code() == code.as_str()) {
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
