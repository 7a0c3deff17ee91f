//! `thalweg convert`

use std::io;

use clap::Args;
use serde_json::value::RawValue;
use thalweg_core::inbound::Refusal;
use thalweg_core::{Dialect, ErrorCode};

use crate::error::CommandError;
use crate::output;

/// Convert events from one dialect to another
///
/// It reads JSON documents from standard input and prints each on a line of its own. Nothing is lost on the way: what
/// the other dialect has no place for is in the document's member `thalweg`, and comes back with it.
#[derive(Args, Debug)]
pub struct Convert {
    /// The dialect that is read: compozy, dreamos, soorma, workflow, jamjet, cloudevents or native
    #[arg(long, value_name = "DIALECT", value_parser = dialect)]
    from: Dialect,
    /// The dialect that is printed
    #[arg(long, value_name = "DIALECT", value_parser = dialect)]
    to: Dialect,
}

/// Reads a dialect of the command line.
///
/// # Errors
/// The dialects there are.
pub fn dialect(text: &str) -> Result<Dialect, String> {
    text.parse().map_err(|_| format!("the dialects are {}", Dialect::list()))
}

impl Convert {
    /// Runs the command.
    ///
    /// # Errors
    /// Where a document is no event of the dialect; those before it are printed.
    pub fn run(self) -> Result<(), CommandError> {
        let documents = serde_json::Deserializer::from_reader(io::stdin().lock()).into_iter::<Box<RawValue>>();
        for (number, document) in (1..).zip(documents) {
            let refused = |refusal: Refusal| CommandError::Refused { number, refusal };
            let document = document.map_err(|error| {
                refused(Refusal::new(ErrorCode::DecodeFailed, format!("standard input is no JSON: {error}")))
            })?;
            let event = self.from.read(document.get().as_bytes()).map_err(refused)?;
            output::print(&self.to.write(&event))?;
        }
        Ok(())
    }
}
