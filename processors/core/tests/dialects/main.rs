//! The dialects: documents as their formats have them, beside the events that they are, walked both ways; and round
//! trips of anything.
//!
//! `<dialect>/<type>.json` is a document of that dialect, `<type>.native.json` the event. `binary.*.json` are records
//! in the binary mode of CloudEvents: headers, and a value as text or in hexadecimal. To add one, put the document and
//!
//!     THALWEG_WRITE_GOLDEN=1 cargo test -p thalweg-core --test dialects
//!
//! writes its event.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod choice;
mod golden;
mod round_trip;
mod spelled;
