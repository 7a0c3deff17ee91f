//! The inbox records, and what became of each.

use std::collections::BTreeMap;

use thalweg_core::context::Context;
use thalweg_core::inbound::{
    self, HEADER_INPUT, HEADER_ORIGIN, HEADER_REDRIVE, Inbound, InboxRecord, Reading, Refusal, STARTED,
};
use thalweg_core::limits::INPUT_IDS_MAX;
use thalweg_core::{ErrorCode, Limits, Micros};

use super::anomaly::{Findings, Kind};
use super::history::REJECTED;
use super::observed::{EventRecord, Observed, Stored};
use super::record::{Position, Record};

/// Time of a record whose event gives none: no event gives this one.
pub const NO_TIME: Micros = Micros::MIN;

/// Something that an inbox record came to.
#[derive(Clone, Copy)]
pub enum Outcome<'a> {
    Applied(&'a EventRecord),
    Rejected(&'a EventRecord),
    DeadLettered(&'a Record),
    /// Sent on to the partition of its execution.
    Forwarded(&'a Record),
    /// Taken in, and yet to be handled: it lies in this context's `pending`.
    Pending(&'a Context),
}

impl Outcome<'_> {
    /// Its name, for people.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Applied(_) => "applied",
            Outcome::Rejected(_) => "rejected",
            Outcome::DeadLettered(_) => "dead-lettered",
            Outcome::Forwarded(_) => "forwarded",
            Outcome::Pending(_) => "pending",
        }
    }
}

/// An inbox record.
pub struct Input<'a> {
    pub record: &'a Record,
    /// How often it was redriven.
    pub redrive: u32,
    /// What a router reads in it, whatever its limits.
    pub reading: Result<Reading, Refusal>,
    pub outcomes: Vec<Outcome<'a>>,
}

impl Input<'_> {
    /// The event, where it is one for an execution of its partition.
    pub fn inbound(&self) -> Option<&Inbound> {
        match &self.reading {
            Ok(Reading::Event(inbound)) => Some(inbound),
            Ok(Reading::Elsewhere { .. }) | Err(_) => None,
        }
    }

    /// What is deduplicated, where it is such an event.
    pub fn id(&self) -> Option<[u8; 16]> {
        self.inbound().map(|inbound| inbound::input_id_of(&inbound.event, self.redrive))
    }

    /// Its first position, from which missing ids resolve.
    pub fn origin(&self) -> String {
        self.record.header(HEADER_ORIGIN).map_or_else(|| self.record.position.to_string(), str::to_owned)
    }
}

/// The inputs by position.
pub type Inputs<'a> = BTreeMap<&'a Position, Input<'a>>;

/// Reads the inbox and finds what became of each record.
pub fn inputs<'a>(observed: &'a Observed, findings: &mut Findings) -> Inputs<'a> {
    let mut inputs: Inputs =
        observed.inbox.iter().map(|(position, record)| (position, input(record, observed))).collect();
    for (source, position, outcome) in outcomes(observed, findings) {
        match inputs.get_mut(&position) {
            Some(input) => input.outcomes.push(outcome),
            None => findings.add(
                Kind::OutputWithoutInput,
                &position,
                format!("{} by {source}, and no such record is in the inbox", outcome.name()),
            ),
        }
    }
    inputs
}

fn input<'a>(record: &'a Record, observed: &Observed) -> Input<'a> {
    let redrive: Result<u32, _> = record.header(HEADER_REDRIVE).map_or(Ok(0), str::parse);
    let reading = match redrive {
        Ok(redrive) => read(record, redrive, observed),
        Err(_) => Err(Refusal::new(ErrorCode::EventInvalid, "header redrive is no number")),
    };
    Input { record, redrive: redrive.unwrap_or(0), reading, outcomes: Vec::new() }
}

fn read(record: &Record, redrive: u32, observed: &Observed) -> Result<Reading, Refusal> {
    // What is over a limit is the router's to say: its limits are not in the topics.
    let limits = Limits { payload_max_bytes: usize::MAX, ..Limits::default() };
    let inbox_record = InboxRecord {
        topic: &record.position.topic,
        partition: record.position.partition,
        offset: record.position.offset,
        timestamp: NO_TIME,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        origin: record.header(HEADER_ORIGIN),
        redrive,
        headers: &record.headers,
    };
    inbound::read(&inbox_record, observed.names.partitions, &observed.schemas, &limits)
}

/// Everything that was written for an inbox record: where, for which, what.
fn outcomes<'a>(observed: &'a Observed, findings: &mut Findings) -> Vec<(String, Position, Outcome<'a>)> {
    let mut outcomes = Vec::new();
    for record in &observed.events {
        if let Some(input) = &record.input {
            let rejected = record.event.event_type == REJECTED;
            let outcome = if rejected { Outcome::Rejected(record) } else { Outcome::Applied(record) };
            outcomes.push((record.position.to_string(), input.clone(), outcome));
        }
    }
    let mut from_header = |record: &'a Record, outcome: Outcome<'a>| {
        let Some(text) = record.header(HEADER_INPUT) else { return };
        match text.parse() {
            Ok(input) => outcomes.push((record.position.to_string(), input, outcome)),
            Err(error) => findings.add(Kind::Unreadable, &record.position, format!("header {HEADER_INPUT}: {error}")),
        }
    };
    for record in &observed.dead_letters {
        from_header(record, Outcome::DeadLettered(record));
    }
    for record in observed.inbox.values() {
        from_header(record, Outcome::Forwarded(record));
    }
    for record in observed.contexts.values() {
        let Stored::Root(root) = &record.stored else { continue };
        let early = root.early.iter().map(|early| &early.input);
        for text in root.pending.iter().filter_map(|pending| pending.input.as_ref()).chain(early) {
            match text.parse() {
                Ok(input) => outcomes.push((record.position.to_string(), input, Outcome::Pending(root))),
                Err(error) => findings.add(Kind::Unreadable, &record.position, format!("pending: {error}")),
            }
        }
    }
    outcomes
}

/// An input that an execution took in.
pub struct TakenInput {
    pub offset: i64,
    /// What is deduplicated.
    pub id: [u8; 16],
    pub is_start: bool,
}

/// Was the input at offset `earlier` still in the window when the one at `later` came?
pub fn is_remembered(taken: &[TakenInput], earlier: i64, later: i64) -> bool {
    let before = |offset: i64| taken.partition_point(|input| input.offset < offset);
    before(later) - before(earlier) <= INPUT_IDS_MAX
}

/// The inputs that each execution took in, in the order of their offsets.
pub type Taken<'a> = BTreeMap<&'a str, Vec<TakenInput>>;

/// Finds the inputs that were taken in: applied, pending, or turned away only when the execution closed before it
/// handled them.
pub fn taken<'a>(observed: &Observed, inputs: &'a Inputs) -> Taken<'a> {
    let mut taken = Taken::new();
    for input in inputs.values() {
        let (Some(inbound), Some(id)) = (input.inbound(), input.id()) else { continue };
        let execution_id = inbound.event.execution_id.as_str();
        let was_taken = input.outcomes.iter().any(|outcome| match outcome {
            Outcome::Applied(_) | Outcome::Pending(_) => true,
            Outcome::Rejected(_) => observed.root(execution_id).is_some_and(|root| {
                root.status.is_closed() && inbound.offset <= root.applied_offset && root.has_input(&id)
            }),
            Outcome::DeadLettered(_) | Outcome::Forwarded(_) => false,
        });
        if was_taken {
            let is_start = inbound.event.event_type == STARTED;
            taken.entry(execution_id).or_default().push(TakenInput { offset: inbound.offset, id, is_start });
        }
    }
    taken
}
