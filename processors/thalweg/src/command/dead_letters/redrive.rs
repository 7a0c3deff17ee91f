//! `thalweg dead-letters redrive`

use std::collections::BTreeSet;

use clap::Args;
use serde_json::{Value, json};
use thalweg_runtime::wall_clock;

use super::executions::Executions;
use super::letter::Letter;
use super::marks::{Marks, State};
use super::prospect::{Foresight, Prospect};
use super::selection::{Selected, Selection};
use super::sendable::{Sendable, Sender};
use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::output::{self, Output, Table, age};
use crate::producer::{Outgoing, Position, Producer};
use crate::settings::Settings;

/// Bytes of a record that is sent back. The inbox takes less, but it may be compressed again as it was.
const RECORD_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Send dead letters back to where they came from
///
/// Without --execute nothing is sent: it says what would happen to each. A record that was refused is handled once
/// more; a task that gave up runs once more, in an execution that goes on from where it failed. What is sent twice
/// happens once.
#[derive(Args, Debug)]
pub struct Redrive {
    #[command(flatten)]
    selection: Selection,
    /// Send them
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    output: Output,
}

/// A letter, what is sent of it, and what would happen to that.
struct Plan {
    letter: Letter,
    sendable: Sendable,
    prospect: Prospect,
    sent: Option<Position>,
}

impl Redrive {
    /// Runs the command.
    ///
    /// # Errors
    /// Where there are no such letters, or not all of them could be sent.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let config = settings.load()?;
        self.selection.check()?;
        let connection = Connection::open(&config)?;
        let marks = Marks::read(&connection)?;
        let Selected { letters, more } = self.selection.read(&connection, &marks)?;
        let mut plans = plan(&connection, &marks, letters)?;
        let sent = if self.execute { send(&connection, &marks, &mut plans) } else { Ok(()) };
        self.print(&plans, more)?;
        sent?;
        let unsent = plans.iter().filter(|plan| plan.sent.is_none()).count();
        if self.execute && unsent > 0 {
            return Err(CommandError::Failed(format!("{unsent} of {} could not be redriven", plans.len())));
        }
        Ok(())
    }

    fn print(&self, plans: &[Plan], more: usize) -> Result<(), CommandError> {
        if self.output.is_json() {
            let letters: Vec<Value> = plans.iter().map(Plan::document).collect();
            return output::print_json(&json!({"executed": self.execute, "letters": letters, "more": more}));
        }
        let (to, what) = if self.execute { ("SENT TO", "WHAT HAPPENS") } else { ("GOES TO", "WHAT WOULD HAPPEN") };
        let mut table = Table::new(&["PLACE", "CODE", "EVENT", "EXECUTION", to, what]);
        for plan in plans {
            let to = plan.sent.as_ref().map_or_else(|| plan.target(self.execute), Position::to_string);
            let Prospect { event_type, execution_id, what } = &plan.prospect;
            table.row([&plan.letter.place.to_string(), &plan.letter.code(), event_type, execution_id, &to, what]);
        }
        let count = plans.iter().filter(|plan| plan.outgoing().is_some()).count();
        let mut notes = Vec::new();
        if !self.execute {
            notes.push(format!("Nothing was sent. With --execute {count} would be."));
        }
        if more > 0 {
            notes.push(format!("{more} more are selected than one command takes: run it again for them."));
        }
        output::print(&format!("{table}\n\n{}", notes.join("\n")))
    }
}

fn plan(connection: &Connection, marks: &Marks, letters: Vec<Letter>) -> Result<Vec<Plan>, CommandError> {
    let decoder = Decoder::new(connection)?;
    let sender = Sender { connection, decoder: &decoder };
    let mut planned = Vec::new();
    let mut ids = BTreeSet::new();
    for letter in letters {
        let sendable = sender.sendable(&letter)?;
        ids.extend(sendable.execution_id().map(str::to_owned));
        planned.push((letter, sendable));
    }
    let executions = Executions::read(connection, &decoder, &ids)?;
    let mut foresight = Foresight::new(executions);
    let now = wall_clock();
    let plans = planned.into_iter().map(|(letter, sendable)| {
        let mut prospect = foresight.prospect(&sendable, letter.next_redrive());
        if prospect.execution_id.is_empty() {
            prospect.execution_id = letter.execution();
        }
        if let Some(mark) = marks.of(&letter) {
            let state = mark.state.to_string().to_lowercase();
            prospect.what = format!("already {state} {}; {}", age(mark.at, now), prospect.what);
        }
        Plan { letter, sendable, prospect, sent: None }
    });
    Ok(plans.collect())
}

/// Sends what can be sent, in order, and marks what was.
fn send(connection: &Connection, marks: &Marks, plans: &mut [Plan]) -> Result<(), CommandError> {
    let producer = Producer::open(connection, RECORD_MAX_BYTES)?;
    let mut failed = Ok(());
    for plan in plans.iter_mut() {
        let Some(outgoing) = plan.outgoing() else { continue };
        match producer.send(outgoing) {
            Ok(position) => plan.sent = Some(position),
            Err(error) => {
                plan.prospect.what = format!("was not sent: {error}");
                failed = Err(error);
                break;
            }
        }
    }
    let sent: Vec<(&Letter, Option<Position>)> =
        plans.iter().filter(|plan| plan.sent.is_some()).map(|plan| (&plan.letter, plan.sent.clone())).collect();
    if !sent.is_empty() {
        marks.write(connection, State::Redriven, None, &sent)?;
    }
    failed
}

impl Sendable {
    fn execution_id(&self) -> Option<&str> {
        match self {
            Sendable::Record { reading, .. } => Some(reading.as_ref().as_ref().ok()?.event.execution_id.as_str()),
            Sendable::Command { request, .. } => Some(&request.event.execution_id),
            Sendable::Nothing(_) => None,
        }
    }
}

impl Plan {
    fn outgoing(&self) -> Option<&Outgoing> {
        match &self.sendable {
            Sendable::Record { outgoing, .. } | Sendable::Command { outgoing, .. } => Some(outgoing),
            Sendable::Nothing(_) => None,
        }
    }

    /// Where it goes: topic and partition.
    fn target(&self, executed: bool) -> String {
        let outgoing = self.outgoing().filter(|_| !executed);
        outgoing.map_or_else(String::new, |o| format!("{}/{}", o.topic, o.partition.unwrap_or_default()))
    }

    fn document(&self) -> Value {
        let Prospect { event_type, execution_id, what } = &self.prospect;
        let text = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
        json!({
            "partition": self.letter.place.partition, "offset": self.letter.place.offset, "code": self.letter.code(),
            "event_type": text(event_type), "execution_id": text(execution_id), "task": self.letter.task(),
            "redrive": self.letter.next_redrive(), "goes_to": text(&self.target(false)),
            "sent": self.sent.as_ref().map(Position::to_string), "what": what,
        })
    }
}
