//! Dialects: the public event shapes that come in and go out without loss, each by one pure two-way mapping.
//!
//! A file a dialect says how its document is read into an event and how an event is written as its document. Neither
//! need be exact, for what is read is compared with what would be written: where the document differs it keeps its
//! spelling in `ext`, and where the event differs it is told beside the document, in the member [`OURS`].

mod choice;
mod cloudevents;
mod compozy;
mod dreamos;
mod jamjet;
mod members;
mod native;
mod soorma;
mod spelling;
mod verdict;
mod workflow;

use members::{Members, Remainder, on_one_line, quoted};

use crate::codec::Schemas;
use crate::error_code::ErrorCode;
use crate::event::Event;
use crate::inbound::Refusal;
use crate::json::Json;
use crate::limits::DOCUMENT_MAX_DEPTH;
use crate::string_enum::string_enum;

pub use choice::of_shape;
pub use cloudevents::{binary_record, is_binary};
pub use verdict::{Kind, REPORT, Verdict, status_of, table, verdict};

/// Header: the dialect of a record's value.
pub const HEADER_DIALECT: &str = "thalweg-dialect";
/// The entry of `ext` that names the dialect in which an event came.
pub const EXT_DIALECT: &str = "dialect";
/// The entry of `ext`, and the member of any document, with which a start says that the work is done elsewhere.
pub const EXT_TRACKED: &str = "tracked";
/// The member of a foreign document that tells what the document itself has no place for.
pub const OURS: &str = "thalweg";

/// Headers of a record, as the source hands them over.
pub type Headers<'a> = &'a [(String, Option<Vec<u8>>)];

string_enum! {
    /// A form in which events come and go.
    Dialect {
        /// Compozy: metadata, entity sections, payload.
        Compozy = "compozy",
        /// Dream.OS: `BaseEvent`.
        Dreamos = "dreamos",
        /// Soorma: `EventEnvelope`.
        Soorma = "soorma",
        /// The workflow design: `WorkflowEvent`.
        Workflow = "workflow",
        /// JamJet: `Event` with one of 44 kinds.
        Jamjet = "jamjet",
        /// CloudEvents 1.0, structured or in the Kafka protocol binding's binary mode.
        Cloudevents = "cloudevents",
        /// Thalweg's own form.
        Native = "native",
    }
}

/// One dialect's part.
struct Mapping {
    /// Does a document look like one of it?
    has_shape: fn(&Members) -> bool,
    /// By which members it is told, for people.
    shape: &'static str,
    /// Reads what the fields of an event hold.
    read: fn(&Members) -> Result<Event, Refusal>,
    /// Writes it, given an event that has been read by it or any other.
    write: fn(&Event) -> Members,
}

impl Dialect {
    fn mapping(self) -> Option<&'static Mapping> {
        Some(match self {
            Dialect::Compozy => &compozy::MAPPING,
            Dialect::Dreamos => &dreamos::MAPPING,
            Dialect::Soorma => &soorma::MAPPING,
            Dialect::Workflow => &workflow::MAPPING,
            Dialect::Jamjet => &jamjet::MAPPING,
            Dialect::Cloudevents => &cloudevents::MAPPING,
            Dialect::Native => return None,
        })
    }

    /// The list for an error message.
    pub fn list() -> String {
        let names: Vec<&str> = Dialect::ALL.iter().map(|dialect| dialect.as_str()).collect();
        names.join(", ")
    }

    /// Reads a JSON document of this dialect.
    ///
    /// # Errors
    /// DECODE_FAILED where it is no JSON object, EVENT_INVALID where it is no event of the dialect.
    pub fn read(self, text: &[u8]) -> Result<Event, Refusal> {
        self.read_with(text, &[])
    }

    /// The same, of a record with headers: some dialects tell a part there.
    fn read_with(self, text: &[u8], headers: Headers) -> Result<Event, Refusal> {
        if members::depth(text) > DOCUMENT_MAX_DEPTH {
            let message = format!("the document is nested deeper than {DOCUMENT_MAX_DEPTH} levels");
            return Err(Refusal::new(ErrorCode::DecodeFailed, message));
        }
        let document = Members::parse(text).map_err(|error| {
            Refusal::new(ErrorCode::DecodeFailed, format!("the value is not a JSON object, as {self} is: {error}"))
        })?;
        // White space says nothing, and would differ where a document is put together again.
        let mut document = document.on_one_line();
        let Some(mapping) = self.mapping() else {
            return crate::codec::read_native_json(document.to_json().as_str().as_bytes());
        };
        if self == Dialect::Compozy {
            compozy::take_subject(&mut document, headers);
        }
        self.read_document(mapping, document)
    }

    fn read_document(self, mapping: &Mapping, mut document: Members) -> Result<Event, Refusal> {
        let ours = document.remove(OURS).map(|value| self.ours_of(&value)).transpose()?;
        let mut event = (mapping.read)(&document)?;
        event.ext.insert(EXT_DIALECT.to_owned(), quoted(self.as_str()));
        if document.get(EXT_TRACKED).is_some_and(|value| value.as_str() == "true") {
            event.ext.insert(EXT_TRACKED.to_owned(), Json::trusted("true"));
        }
        let remainder = Remainder::of(&document, &(mapping.write)(&event));
        self.keep(&remainder, &mut event);
        let Some(ours) = ours else { return Ok(event) };
        if remainder == Remainder::default() {
            event.ext.clear();
        }
        native::laid_over(&event, ours)
    }

    /// Writes an event as a JSON document of this dialect, on one line. What the dialect has no place for is in the
    /// member [`OURS`], so that reading the document gives the event again.
    pub fn write(self, event: &Event) -> String {
        self.written(event, true)
    }

    /// The same for who reads what was published: an event that came in this dialect goes out as it came, and
    /// of others only what is said, not what handling them did.
    pub fn write_published(self, event: &Event) -> String {
        if self == Dialect::Native {
            return self.write(event);
        }
        let said = Event { effects: Vec::new(), ..event.clone() };
        let came_so = self.is_own(event);
        self.written(&said, !came_so)
    }

    fn written(self, event: &Event, with_ours: bool) -> String {
        on_one_line(&self.spelled(event, with_ours))
    }

    fn spelled(self, event: &Event, with_ours: bool) -> String {
        let Some(mapping) = self.mapping() else { return native::members(event).to_json().to_string() };
        let mut document = self.document(mapping, event);
        if with_ours {
            let told = self.read_document(mapping, document.clone()).unwrap_or_default();
            if told != *event {
                let ours = native::beyond(event, &self.without_mark(mapping, told, &document));
                document.push(OURS, self.ours(&ours));
            }
        }
        document.to_json().to_string()
    }

    /// As reading gives it where the member [`OURS`] is there: it names no dialect unless something of it is kept.
    fn without_mark(self, mapping: &Mapping, mut told: Event, document: &Members) -> Event {
        if Remainder::of(document, &(mapping.write)(&told)) == Remainder::default() {
            told.ext.clear();
        }
        told
    }

    fn document(self, mapping: &Mapping, event: &Event) -> Members {
        let rendered = (mapping.write)(event);
        if !self.is_own(event) {
            return rendered;
        }
        self.kept(event).put_back(rendered)
    }

    /// Did the event come in this dialect?
    pub fn is_own(self, event: &Event) -> bool {
        event.ext.get(EXT_DIALECT).is_some_and(|name| *name == quoted(self.as_str()))
    }

    /// Keeps in `ext` what no field holds: `ext.<dialect>`, and what was absent in `ext.<dialect>.absent`.
    fn keep(self, remainder: &Remainder, event: &mut Event) {
        if !remainder.members.is_empty() {
            event.ext.insert(self.as_str().to_owned(), remainder.members.to_json());
        }
        if !remainder.absent.is_empty() {
            let absent = serde_json::Value::from(remainder.absent.clone());
            event.ext.insert(format!("{self}.absent"), Json::from(&absent));
        }
    }

    fn kept(self, event: &Event) -> Remainder {
        let absent = event.ext.get(&format!("{self}.absent"));
        Remainder {
            members: event.ext.get(self.as_str()).and_then(members::object).unwrap_or_default(),
            absent: absent.and_then(|list| serde_json::from_str(list.as_str()).ok()).unwrap_or_default(),
        }
    }

    /// An attribute of a CloudEvent is no object: there it is a text that has the object.
    fn ours(self, members: &Members) -> Json {
        match self {
            Dialect::Cloudevents => quoted(members.to_json().as_str()),
            _ => members.to_json(),
        }
    }

    fn ours_of(self, value: &Json) -> Result<Members, Refusal> {
        let members = match self {
            Dialect::Cloudevents => serde_json::from_str::<String>(value.as_str())
                .ok()
                .and_then(|text| Members::parse(text.as_bytes()).ok()),
            _ => members::object(value),
        };
        members.ok_or_else(|| invalid(self, &format!("member {OURS} is no object")))
    }
}

/// Reads the value of an inbox record, in whatever form it is: as a header says, else as it looks.
///
/// # Errors
/// DECODE_FAILED, SCHEMA_UNKNOWN or EVENT_INVALID.
pub fn read_record(value: Option<&[u8]>, headers: Headers, schemas: &Schemas) -> Result<Event, Refusal> {
    let chosen = if headers.is_empty() { None } else { choice::by_headers(headers)? };
    if chosen == Some(Dialect::Cloudevents) && is_binary(headers) {
        return cloudevents::read_binary(value, headers);
    }
    let value = match value {
        None => return Err(Refusal::new(ErrorCode::DecodeFailed, "the record has no value (a tombstone)")),
        Some([]) => return Err(Refusal::new(ErrorCode::DecodeFailed, "the record's value is empty")),
        Some(value) => value,
    };
    match chosen {
        None => schemas.read_inbox_with(value, headers),
        Some(Dialect::Native) => schemas.read_native(value),
        Some(dialect) => dialect.read_with(value, headers),
    }
}

/// Reads a JSON document that looks like one of a dialect, with the headers of its record.
pub(crate) fn read_shaped(text: &[u8], headers: Headers) -> Option<Result<Event, Refusal>> {
    match of_shape(text) {
        Ok(dialect) => dialect.map(|dialect| dialect.read_with(text, headers)),
        Err(refusal) => Some(Err(refusal)),
    }
}

/// The execution that an event of a dialect without a field for it belongs to, where its record has no key: its
/// correlation, which in Thalweg is the execution's own id unless its start gives another.
pub fn execution_by_correlation(event: &Event) -> Option<&str> {
    let correlates = Dialect::Soorma.is_own(event) || Dialect::Dreamos.is_own(event);
    event.correlation_id.as_deref().or(event.trace_id.as_deref()).filter(|_| correlates)
}

fn invalid(dialect: Dialect, what: &str) -> Refusal {
    Refusal::new(ErrorCode::EventInvalid, format!("as {dialect}: {what}"))
}

/// Reads fields of a document, and says which is wrong.
struct Reader<'a> {
    dialect: Dialect,
    /// Where the members are, for messages: empty, or a name and a dot.
    at: &'static str,
    members: &'a Members,
}

impl Reader<'_> {
    /// A text that may be absent or null.
    fn text(&self, name: &str) -> Result<Option<String>, Refusal> {
        match self.members.get(name) {
            None => Ok(None),
            Some(value) if value.as_str() == "null" => Ok(None),
            Some(value) => match serde_json::from_str(value.as_str()) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err(self.wrong(name, "is no text")),
            },
        }
    }

    /// A text that must be there and not be empty.
    fn required(&self, name: &str) -> Result<String, Refusal> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.wrong(name, "is missing"))
    }

    /// A time; 0 where there is none.
    fn time(&self, name: &str) -> Result<crate::event::Micros, Refusal> {
        match self.members.get(name) {
            None => Ok(0),
            Some(value) if value.as_str() == "null" => Ok(0),
            Some(value) => spelling::time(value).map_err(|what| self.wrong(name, &what)),
        }
    }

    fn wrong(&self, name: &str, what: &str) -> Refusal {
        invalid(self.dialect, &format!("field {}{name}: {what}", self.at))
    }
}

/// A field as the event came with it: where the router has set it to the execution's own, its `ext` has the first.
fn as_it_came(event: &Event, dialect: Dialect, field: &str, now: Option<&str>) -> Option<String> {
    let first = event.ext.get(field).filter(|_| dialect.is_own(event));
    first.and_then(|first| serde_json::from_str(first.as_str()).ok()).or_else(|| now.map(str::to_owned))
}

fn correlation(event: &Event, dialect: Dialect) -> Option<String> {
    as_it_came(event, dialect, "correlation_id", event.correlation_id.as_deref())
}

fn workflow_id(event: &Event, dialect: Dialect) -> Option<String> {
    as_it_came(event, dialect, "workflow_id", event.workflow_id.as_deref())
}

fn workflow_version(event: &Event, dialect: Dialect) -> Option<String> {
    as_it_came(event, dialect, "workflow_version", event.workflow_version.as_deref())
}

/// The payload of an event: null is none.
fn payload(value: Option<&Json>) -> Option<Json> {
    value.filter(|value| value.as_str() != "null").cloned()
}

/// A text that is none where it is empty.
fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
