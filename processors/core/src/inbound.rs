//! From an inbox record to an event that the step can take: decode, resolve what is missing, check.

use crate::approval::{Approval, DECIDED};
use crate::channel::Channel;
use crate::child;
use crate::codec::Schemas;
use crate::command::{TaskCommand, WorkflowCommand};
use crate::dialect::{self, Headers};
use crate::error_code::ErrorCode;
use crate::event::{Event, Micros};
use crate::identity;
use crate::limits::{ENVELOPE_MAX_BYTES, Limits, NAME_MAX_BYTES, cut_message, has_control};
use crate::message_class::MessageClass;
use crate::partition::partition_of;
use crate::redrive;

/// Header: the inbox record that this record was written for, `topic/partition/offset`.
pub const HEADER_INPUT: &str = "input";
/// Header: the first position of a record that was forwarded or redriven, from which missing ids resolve.
pub const HEADER_ORIGIN: &str = "origin";
/// Header: how often the record was redriven.
pub const HEADER_REDRIVE: &str = "redrive";
/// Header: the id of a forwarded event.
pub const HEADER_EVENT_ID: &str = "event_id";

/// Header on channel records: the event's type, so that console tools and filters need not decode the value.
pub const HEADER_EVENT_TYPE: &str = "event_type";

/// The event type that starts an execution.
pub const STARTED: &str = "workflow.started";

/// Prefixes of the event types that are the engine's own.
pub const RESERVED_PREFIXES: [&str; 5] = ["workflow.", "task.", "scope.", "timer.", "transition."];

/// Is this event type the engine's own, so that neither outsiders nor tasks may write it?
pub fn is_reserved(event_type: &str) -> bool {
    ["event.unhandled", redrive::RESUMED].contains(&event_type)
        || RESERVED_PREFIXES.iter().any(|prefix| event_type.starts_with(prefix))
}

/// A record of the inbox as the source hands it over.
#[derive(Clone, Copy, Debug)]
pub struct InboxRecord<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Microseconds since the epoch; the event's time where it gives none.
    pub timestamp: Micros,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    /// Header `origin`, where there is one.
    pub origin: Option<&'a str>,
    /// Header `redrive`, 0 where there is none.
    pub redrive: u32,
    /// All headers: they may name the dialect of the value, or be a part of the event.
    pub headers: Headers<'a>,
}

impl InboxRecord<'_> {
    /// `topic/partition/offset`.
    pub fn position(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// Which inbox record an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRef {
    /// `topic/partition/offset`.
    pub position: String,
    /// How often it was redriven.
    pub redrive: u32,
}

/// A checked input.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The event, with every id and a channel.
    pub event: Event,
    /// Which record it is.
    pub input: InputRef,
    /// Its offset in the inbox.
    pub offset: i64,
}

impl Inbound {
    /// What is deduplicated.
    pub fn id(&self) -> [u8; 16] {
        input_id_of(&self.event, self.input.redrive)
    }
}

/// What is deduplicated of an event. Of a start it is its request, where it has one: whoever asks twice asks for one
/// execution.
pub fn input_id_of(event: &Event, redrive: u32) -> [u8; 16] {
    match &event.request_id {
        Some(request_id) if event.event_type == STARTED => {
            identity::input_id(&identity::event_id_of(request_id), redrive)
        }
        _ => identity::input_id(&event.event_id, redrive),
    }
}

/// Why an input is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// The code.
    pub code: ErrorCode,
    /// What is wrong and what to do.
    pub message: String,
}

impl Refusal {
    /// A refusal. Its message is cut to what a dead letter has room for.
    pub fn new(code: ErrorCode, message: impl AsRef<str>) -> Refusal {
        Refusal { code, message: cut_message(message.as_ref()) }
    }
}

/// What an inbox record turns out to be.
#[derive(Clone, Debug)]
pub enum Reading {
    /// An event for an execution of this partition.
    Event(Box<Inbound>),
    /// An event for an execution of another partition.
    Elsewhere {
        /// The partition that it belongs to.
        partition: i32,
        /// The execution: the key to send it with.
        execution_id: String,
        /// The event's id.
        event_id: String,
    },
}

/// Reads an inbox record.
///
/// # Errors
/// Why it can be no event of any execution; it belongs to the dead letters.
pub fn read(record: &InboxRecord, partitions: i32, schemas: &Schemas, limits: &Limits) -> Result<Reading, Refusal> {
    let mut event = dialect::read_record(record.value, record.headers, schemas)?;
    let position = record.position();
    let origin = record.origin.unwrap_or(&position);
    check_names(&event)?;
    if event.event_id.is_empty() {
        event.event_id = match &event.request_id {
            Some(request_id) if event.event_type == STARTED => identity::event_id_of(request_id),
            _ => identity::event_id_at(origin),
        };
    }
    resolve_execution(&mut event, record, origin, partitions)?;
    let partition = partition_of(event.execution_id.as_bytes(), partitions);
    if partition != record.partition {
        return Ok(Reading::Elsewhere { partition, execution_id: event.execution_id, event_id: event.event_id });
    }
    if event.occurred_at == 0 {
        event.occurred_at = record.timestamp;
    }
    check_content(&mut event, limits)?;
    Ok(Reading::Event(Box::new(Inbound {
        event,
        input: InputRef { position, redrive: record.redrive },
        offset: record.offset,
    })))
}

fn resolve_execution(event: &mut Event, record: &InboxRecord, origin: &str, partitions: i32) -> Result<(), Refusal> {
    if event.execution_id.is_empty() {
        event.execution_id = match record.key {
            Some(key) if !key.is_empty() => std::str::from_utf8(key)
                .map_err(|_| {
                    Refusal::new(
                        ErrorCode::EventInvalid,
                        "the event names no execution_id and the record key is not UTF-8",
                    )
                })?
                .to_owned(),
            _ if event.event_type == STARTED && event.request_id.is_some() => {
                identity::execution_id_of(event.request_id.as_deref().unwrap_or_default())
            }
            _ if event.event_type == STARTED => identity::execution_id_at(origin, record.partition, partitions),
            _ => dialect::execution_by_correlation(event).map(str::to_owned).ok_or_else(|| {
                Refusal::new(
                    ErrorCode::ExecutionUnknown,
                    "the event names no execution_id and the record has no key; only workflow.started can do without",
                )
            })?,
        };
    }
    identity::check_execution_id(&event.execution_id).map_err(|what| Refusal::new(ErrorCode::EventInvalid, what))
}

pub(crate) fn check_names(event: &Event) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::EventInvalid, message));
    if event.event_type.is_empty() {
        return invalid("event_type is missing".to_owned());
    }
    let names = [
        ("event_type", Some(&event.event_type)),
        ("event_id", Some(&event.event_id)),
        ("workflow_id", event.workflow_id.as_ref()),
        ("workflow_version", event.workflow_version.as_ref()),
        ("correlation_id", event.correlation_id.as_ref()),
        ("parent_event_id", event.parent_event_id.as_ref()),
        ("scope", event.scope.as_ref()),
        ("branch", event.branch.as_ref()),
    ];
    for (field, name) in names.into_iter().filter_map(|(field, name)| Some((field, name?))) {
        if name.len() > NAME_MAX_BYTES {
            return invalid(format!("{field} has {} bytes, at most {NAME_MAX_BYTES} are allowed", name.len()));
        }
        if has_control(name) {
            return invalid(format!("{field} has control characters"));
        }
    }
    if !(0..=255).contains(&event.priority) {
        return invalid(format!("priority is {}, it must be 0 to 255", event.priority));
    }
    if event.scope.is_some() != event.branch.is_some() {
        return invalid("scope and branch are given together or not at all".to_owned());
    }
    Ok(())
}

fn check_content(event: &mut Event, limits: &Limits) -> Result<(), Refusal> {
    if event.event_type == redrive::REQUESTED {
        return redrive::check_content(event, limits);
    }
    let command = WorkflowCommand::named(&event.event_type).is_some();
    let decided = event.event_type == DECIDED;
    let childs_end = event.event_type == child::ENDED;
    let to_a_task = TaskCommand::named(&event.event_type).is_some();
    let allowed = event.event_type == STARTED || command || to_a_task || decided || childs_end;
    if is_reserved(&event.event_type) && !allowed {
        return Err(Refusal::new(
            ErrorCode::EventReserved,
            format!(
                "event type {:?} is the engine's own; from outside only {STARTED}, {}, {DECIDED} and {} are taken of types under {}",
                event.event_type,
                commands().collect::<Vec<_>>().join(", "),
                redrive::REQUESTED,
                RESERVED_PREFIXES.join(" ")
            ),
        ));
    }
    let class = match event.message_class.as_str() {
        "" => MessageClass::Fact,
        text => text.parse().map_err(|unknown| {
            Refusal::new(
                ErrorCode::EventInvalid,
                format!("message_class {unknown:?} is none of command, state, result, fact, log"),
            )
        })?,
    };
    let class = match (event.event_type == STARTED, command) {
        (true, _) => MessageClass::State,
        (_, true) => MessageClass::Command,
        _ if to_a_task => MessageClass::Command,
        _ => class,
    };
    if decided {
        event.channel = Channel::SystemEvents.as_str().to_owned();
    }
    if command {
        // It is about the execution as a whole, and is told beside its life.
        event.channel = Channel::SystemEvents.as_str().to_owned();
        event.scope = None;
        event.branch = None;
    }
    event.message_class = class.as_str().to_owned();
    if event.channel.is_empty() {
        event.channel = Channel::default_for(class).as_str().to_owned();
    } else if event.channel.parse::<Channel>().is_err() {
        return Err(Refusal::new(
            ErrorCode::ChannelUnknown,
            format!("channel {:?} is none of the eight: {}", truncated(&event.channel), Channel::list()),
        ));
    }
    check_reply(event)?;
    if let Some(payload) = &event.payload {
        let bytes = payload.as_str().len();
        if bytes > limits.payload_max_bytes {
            return Err(Refusal::new(
                ErrorCode::TooLarge,
                format!(
                    "the payload has {bytes} bytes, payload.max.bytes is {}; keep large values elsewhere and send a reference",
                    limits.payload_max_bytes
                ),
            ));
        }
        let value = payload.checked_value().map_err(|what| {
            Refusal::new(ErrorCode::PayloadInvalid, format!("the payload is not usable JSON: {what}"))
        })?;
        if value.is_null() {
            event.payload = None;
        }
    }
    if decided {
        Approval::of(event)?;
    }
    if childs_end {
        child::check(event)?;
    }
    check_documents(event)?;
    let envelope = event.envelope_bytes();
    if envelope > ENVELOPE_MAX_BYTES {
        return Err(Refusal::new(
            ErrorCode::TooLarge,
            format!("the event without its payload has {envelope} bytes, at most {ENVELOPE_MAX_BYTES} are allowed"),
        ));
    }
    // What the router alone writes is not taken from outside.
    event.sequence = 0;
    event.recorded_at = None;
    event.effects.clear();
    Ok(())
}

/// The types of all commands.
fn commands() -> impl Iterator<Item = &'static str> {
    let to_tasks = TaskCommand::ALL.iter().map(|command| command.as_str());
    WorkflowCommand::ALL.iter().map(|command| command.as_str()).chain(to_tasks)
}

/// The answer that a request asks for: an event of a type that is not the engine's, in one of the channels.
fn check_reply(event: &mut Event) -> Result<(), Refusal> {
    let Some(reply) = &mut event.reply else { return Ok(()) };
    // A writer may give empty texts for what it does not give.
    for text in [&mut reply.response_event, &mut reply.response_topic, &mut reply.response_schema_name] {
        *text = text.take().filter(|text| !text.is_empty());
    }
    if let Some(response_event) = &reply.response_event {
        if response_event.len() > NAME_MAX_BYTES || has_control(response_event) {
            return Err(Refusal::new(
                ErrorCode::EventInvalid,
                format!("reply.response_event has over {NAME_MAX_BYTES} bytes, or control characters"),
            ));
        }
        if is_reserved(response_event) {
            return Err(Refusal::new(
                ErrorCode::EventReserved,
                format!("reply.response_event {response_event:?} is an event type of the engine's own"),
            ));
        }
    }
    match &reply.response_topic {
        Some(topic) if topic.parse::<Channel>().is_err() => Err(Refusal::new(
            ErrorCode::ChannelUnknown,
            format!("reply.response_topic {:?} is none of the eight: {}", truncated(topic), Channel::list()),
        )),
        _ => Ok(()),
    }
}

/// The JSON documents beside the payload: in Avro they are texts, and a writer of another make may put anything there.
pub(crate) fn check_documents(event: &Event) -> Result<(), Refusal> {
    let details = event.error.as_ref().and_then(|error| error.details.as_ref());
    let details = details.map(|details| ("error.details", details));
    for (field, document) in event.ext.iter().map(|(name, value)| (name.as_str(), value)).chain(details) {
        document
            .checked_value()
            .map_err(|what| Refusal::new(ErrorCode::EventInvalid, format!("field {}: {what}", truncated(field))))?;
    }
    Ok(())
}

/// A text for an error message, cut to a readable length.
fn truncated(text: &str) -> String {
    text.chars().take(64).collect()
}
