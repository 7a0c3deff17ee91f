//! `thalweg dead-letters show`

use clap::Args;
use rdkafka::message::Message;
use serde_json::{Map, Value};
use thalweg_core::codec::event_to_json;
use thalweg_runtime::wall_clock;

use super::letter::{Letter, OWN_HEADERS, bytes_document};
use super::list;
use super::marks::{Mark, Marks};
use super::place::Place;
use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::output::{self, Output, Table, age, date, hex_dump, plain};
use crate::settings::Settings;

/// Show a dead letter, with the original bytes
#[derive(Args, Debug)]
pub struct Show {
    /// Where it lies, as `list` shows it
    place: Place,
    #[command(flatten)]
    output: Output,
}

impl Show {
    /// Runs the command.
    ///
    /// # Errors
    /// Where there is no such dead letter, or it can't be read.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let connection = Connection::open(&settings.load()?)?;
        let letter = self.read(&connection)?;
        let marks = Marks::read(&connection)?;
        let mark = marks.of(&letter);
        // A task's dead letter is an event in Avro; what is none stays bytes.
        let event = letter.value.as_deref().and_then(|value| Decoder::new(&connection).ok()?.event(value).ok());
        let event = event.as_ref().map(event_to_json);
        if self.output.is_json() {
            let mut document = list::document(&letter, mark);
            document["key"] = bytes_document(letter.key.as_deref());
            document["value"] = bytes_document(letter.value.as_deref());
            let headers: Map<String, Value> =
                letter.original_headers().map(|(name, value)| (name.clone(), bytes_document(Some(value)))).collect();
            document["headers"] = Value::Object(headers);
            if let Some(event) = event {
                document["event"] = event;
            }
            return output::print_json(&document);
        }
        output::print(&text(&letter, mark, event.as_ref()))
    }

    fn read(&self, connection: &Connection) -> Result<Letter, CommandError> {
        let topic = connection.topics().dead_letters();
        let not_found = || CommandError::no_dead_letter(&self.place, topic);
        if self.place.partition >= connection.partition_count(topic)? {
            return Err(not_found());
        }
        let mut spans = connection.spans(&[(topic, self.place.partition)])?;
        for span in &mut spans {
            if !(span.begin..span.end).contains(&self.place.offset) {
                return Err(not_found());
            }
            (span.begin, span.end) = (self.place.offset, self.place.offset + 1);
        }
        let mut found = None;
        connection.read_to_end(&spans, |message| {
            if message.offset() == self.place.offset {
                found = Some(Letter::of(message));
            }
            Ok(())
        })?;
        found.ok_or_else(not_found)
    }
}

fn text(letter: &Letter, mark: Option<&Mark>, event: Option<&Value>) -> String {
    let mut head = Table::without_headings();
    let now = wall_clock();
    head.row(["place", &letter.place.to_string()]);
    if let Some(mark) = mark {
        let reason = mark.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        head.row(["state", &format!("{} by {}{reason}", mark.told(now), mark.by)]);
    }
    head.row(["written", &format!("{}, {}", date(letter.written_at), age(letter.written_at, now))]);
    for name in OWN_HEADERS {
        let value = letter.header(name);
        if !value.is_empty() {
            head.row([name, &value]);
        }
    }
    if let Some(key) = &letter.key {
        head.row(["key", &String::from_utf8_lossy(key)]);
    }
    for (name, value) in letter.original_headers() {
        head.row([&format!("header {name}"), &String::from_utf8_lossy(value).into_owned()]);
    }
    let original = match letter.value.as_deref() {
        None => "ORIGINAL: none (a tombstone)".to_owned(),
        Some(value) => {
            let shown = match std::str::from_utf8(value) {
                Ok(text) => text.split('\n').map(plain).collect::<Vec<_>>().join("\n"),
                Err(_) => hex_dump(value),
            };
            format!("ORIGINAL, {} bytes\n{shown}", value.len())
        }
    };
    let event = event.map_or_else(String::new, |event| format!("\n\nAS AN EVENT\n{event:#}"));
    format!("{head}\n\n{original}{event}")
}
