//! JSON on the command line: itself, a file, or standard input.

use std::fs;
use std::io;

use serde_json::Value;

use crate::error::CommandError;

/// Reads `JSON`, `@FILE` or `-`.
///
/// # Errors
/// Where the file can't be read, or the text is no JSON.
pub fn read(flag: &str, argument: &str) -> Result<Value, CommandError> {
    let unreadable =
        |what: &str, error: io::Error| CommandError::Usage(format!("{flag}: {what} can't be read: {error}"));
    let text = match argument.strip_prefix('@') {
        Some(file) => fs::read_to_string(file).map_err(|error| unreadable(file, error))?,
        None if argument == "-" => {
            io::read_to_string(io::stdin()).map_err(|error| unreadable("standard input", error))?
        }
        None => argument.to_owned(),
    };
    serde_json::from_str(&text).map_err(|error| {
        CommandError::Usage(format!("{flag} is no JSON: {error}\ngive the document, @FILE, or - for standard input"))
    })
}
