//! Which dead letters a command is about.

use std::collections::BTreeSet;

use clap::Args;
use rdkafka::message::Message;
use thalweg_core::{ErrorCode, Micros};
use thalweg_runtime::dead_letter::HEADER_TASK;

use super::letter::{Letter, error_code};
use super::marks::{Marks, State};
use super::moment::moment;
use super::place::Place;
use crate::connection::Connection;
use crate::error::CommandError;

/// Dead letters of one command at most.
const SELECTED_MAX: usize = 1_000;
/// Bytes of their values, which are all in memory at once.
const SELECTED_MAX_BYTES: usize = 256 * 1024 * 1024;

/// By place, by what they are, or all that are open.
#[derive(Args, Debug)]
pub struct Selection {
    /// Where they lie, as `list` shows it; whatever became of them
    #[arg(value_name = "PARTITION/OFFSET",
          conflicts_with_all = ["code", "execution", "task", "since", "until", "all"])]
    places: Vec<Place>,
    /// Those that are open and have this error code
    #[arg(long, value_parser = error_code)]
    code: Option<ErrorCode>,
    /// Those that are open and are of this execution
    #[arg(long)]
    execution: Option<String>,
    /// Those that are open and on which this task gave up
    #[arg(long)]
    task: Option<String>,
    /// Those that are open and were written since
    #[arg(long, value_name = "2h|TIME", value_parser = moment)]
    since: Option<Micros>,
    /// Those that are open and were written until then
    #[arg(long, value_name = "2h|TIME", value_parser = moment)]
    until: Option<Micros>,
    /// All that are open
    #[arg(long)]
    all: bool,
}

/// What was selected.
pub struct Selected {
    /// The letters, in the order of writing; at least one.
    pub letters: Vec<Letter>,
    /// How many more there are than one command takes.
    pub more: usize,
}

impl Selection {
    /// Is anything selected at all?
    ///
    /// # Errors
    /// How to select.
    pub fn check(&self) -> Result<(), CommandError> {
        let any = !self.places.is_empty()
            || self.all
            || self.code.is_some()
            || self.execution.is_some()
            || self.task.is_some()
            || self.since.is_some()
            || self.until.is_some();
        if any {
            return Ok(());
        }
        Err(CommandError::Usage(
            "say which: places as `thalweg dead-letters list` shows them, or --code, --execution, --task, --since, \
             --until, or --all for all that are open"
                .to_owned(),
        ))
    }

    /// Reads them.
    ///
    /// # Errors
    /// Where there is none, or they can't be read.
    pub fn read(&self, connection: &Connection, marks: &Marks) -> Result<Selected, CommandError> {
        let topic = connection.topics().dead_letters();
        let partitions = connection.all_partitions([topic])?;
        let mut wanted: BTreeSet<Place> = self.places.iter().copied().collect();
        let mut spans = connection.spans(&partitions)?;
        if !wanted.is_empty() {
            spans.retain_mut(|span| {
                let offsets = wanted.iter().filter(|place| place.partition == span.partition).map(|place| place.offset);
                let (first, last) = (offsets.clone().min(), offsets.max());
                span.begin = span.begin.max(first.unwrap_or(span.end));
                span.end = span.end.min(last.map_or(span.end, |last| last.saturating_add(1)));
                span.begin < span.end
            });
        }
        let by_place = !wanted.is_empty();
        let mut selected = Selected { letters: Vec::new(), more: 0 };
        let mut bytes = 0;
        connection.read_to_end(&spans, |message| {
            let place = Place { partition: message.partition(), offset: message.offset() };
            if by_place && !wanted.remove(&place) {
                return Ok(());
            }
            let letter = Letter::of(message);
            let takes = by_place || (marks.state(&letter) == State::Open && self.takes(&letter));
            if !takes {
                return Ok(());
            }
            let size = letter.value.as_ref().map_or(0, Vec::len);
            if selected.letters.len() >= SELECTED_MAX || bytes + size > SELECTED_MAX_BYTES {
                selected.more += 1;
                return Ok(());
            }
            bytes += size;
            selected.letters.push(letter);
            Ok(())
        })?;
        if let Some(place) = wanted.first() {
            return Err(CommandError::no_dead_letter(place, topic));
        }
        if selected.letters.is_empty() {
            return Err(CommandError::NotFound(format!(
                "no dead letter in {topic} is open and as asked for\n`thalweg dead-letters list --all` shows all there are"
            )));
        }
        selected.letters.sort_by_key(|letter| (letter.written_at, letter.place));
        Ok(selected)
    }

    fn takes(&self, letter: &Letter) -> bool {
        self.code.is_none_or(|code| letter.code() == code.as_str())
            && self.execution.as_ref().is_none_or(|execution| *execution == letter.execution())
            && self.task.as_ref().is_none_or(|task| *task == letter.header(HEADER_TASK))
            && self.since.is_none_or(|since| letter.written_at >= since)
            && self.until.is_none_or(|until| letter.written_at <= until)
    }
}
