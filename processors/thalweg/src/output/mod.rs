//! What commands print: tables for people, JSON for programs.

mod hex;
pub mod history_tree;
mod plain;
mod span;
mod table;

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::error::CommandError;

pub use hex::hex_dump;
pub use plain::{plain, shortened};
pub use span::{age, clock, count, date, seconds, span};
pub use table::Table;

/// How a command prints.
#[derive(Args, Clone, Copy, Debug)]
pub struct Output {
    /// A table for people, or JSON for programs
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

impl Output {
    /// Is it for programs?
    pub fn is_json(self) -> bool {
        self.format == Format::Json
    }
}

/// Prints a text and ends the line.
///
/// # Errors
/// Where standard output does not take it.
pub fn print(text: &str) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => CommandError::OutputClosed,
        _ => CommandError::Output(error),
    })
}

/// Prints a JSON document over several lines.
///
/// # Errors
/// As [`print()`].
pub fn print_json(value: &Value) -> Result<(), CommandError> {
    print(&format!("{value:#}"))
}
