//! CloudEvents 1.0: the JSON format in structured mode, and the binary mode of the Kafka protocol binding.
//!
//! An envelope and no engine: its types are native types. What of ours is a text is an extension attribute of the same
//! name without underscores, such as `executionid`. Attributes are no objects, so the rest is one text, `thalweg`.
//! Sources: CloudEvents 1.0.2, "JSON Event Format" and "Kafka Protocol Binding".

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use uuid::Uuid;

use super::choice::header;
use super::members::{Members, object, quoted};
use super::spelling::{integer, rfc3339};
use super::verdict::verdict;
use super::{Dialect, Headers, Mapping, Reader, correlation, invalid, native, payload, workflow_id, workflow_version};
use crate::event::{DEFAULT_PRIORITY, Event};
use crate::identity;
use crate::inbound::Refusal;
use crate::json::Json;
use crate::limits::NAME_MAX_BYTES;

pub(super) const MAPPING: Mapping = Mapping {
    has_shape: |document| document.has("specversion") && document.has("type") && !document.has("event_type"),
    shape: "specversion and type",
    read,
    write,
};

const VERSION: &str = "1.0";
/// What stands between a source and its id.
const OF_SOURCE: &str = "#";
/// What the headers of attributes begin with.
const PREFIX: &str = "ce_";
const CONTENT_TYPE: &str = "content-type";
const DATA_CONTENT_TYPE: &str = "datacontenttype";
const DATA: &str = "data";
const DATA_BASE64: &str = "data_base64";
/// Media type of the structured mode; of a batch there is none in Kafka.
const STRUCTURED: &str = "application/cloudevents+json";

fn read(document: &Members) -> Result<Event, Refusal> {
    let reader = Reader { dialect: Dialect::Cloudevents, at: "", members: document };
    let version = reader.required("specversion")?;
    if version != VERSION {
        return Err(reader.wrong("specversion", &format!("is {version:?}, {VERSION} is read")));
    }
    let told = verdict(Dialect::Cloudevents, &reader.required("type")?);
    let source = reader.required("source")?;
    let mut event = Event {
        event_id: event_id(&source, &reader.required("id")?),
        source: Some(source),
        subject: reader.text("subject")?,
        payload_schema_name: reader.text("dataschema")?,
        occurred_at: reader.time("time")?,
        execution_id: document.text("executionid").unwrap_or_default(),
        channel: document.text("channel").unwrap_or_default(),
        message_class: document.text("messageclass").unwrap_or_default(),
        priority: priority(document).unwrap_or(DEFAULT_PRIORITY),
        payload: data(document),
        ..Event::new(&told.event_type, 0)
    };
    for (name, field) in extensions(&mut event) {
        *field = document.text(name);
    }
    Ok(event)
}

/// An id is its source's own: two sources may give the same one, unless it is a UUID. What is too long for an id is hashed.
fn event_id(source: &str, id: &str) -> String {
    if Uuid::try_parse(id).is_ok() {
        return id.to_owned();
    }
    let both = format!("{source}{OF_SOURCE}{id}");
    if both.len() <= NAME_MAX_BYTES { both } else { identity::event_id_of(&both) }
}

/// The id that the source gave.
fn id_of(event: &Event) -> &str {
    let source = event.source.as_deref().unwrap_or_default();
    event.event_id.strip_prefix(source).and_then(|rest| rest.strip_prefix(OF_SOURCE)).unwrap_or(&event.event_id)
}

/// In headers a number is a text.
fn priority(document: &Members) -> Option<i32> {
    let value = document.get("priority")?;
    integer(value).or_else(|| document.text("priority")?.parse().ok())
}

/// Data that is no text and no JSON stays in base64.
fn data(document: &Members) -> Option<Json> {
    let Some(encoded) = document.get(DATA_BASE64) else { return payload(document.get(DATA)) };
    let mut data = Members::default();
    data.push(DATA_BASE64, encoded.clone());
    Some(data.to_json())
}

/// Texts of ours and their attributes.
fn extensions(event: &mut Event) -> [(&'static str, &mut Option<String>); 13] {
    [
        ("workflowid", &mut event.workflow_id),
        ("workflowversion", &mut event.workflow_version),
        ("status", &mut event.status),
        ("correlationid", &mut event.correlation_id),
        ("requestid", &mut event.request_id),
        ("traceid", &mut event.trace_id),
        ("parenteventid", &mut event.parent_event_id),
        ("tenantid", &mut event.tenant_id),
        ("userid", &mut event.user_id),
        ("sessionid", &mut event.session_id),
        ("goalid", &mut event.goal_id),
        ("planid", &mut event.plan_id),
        ("createdby", &mut event.created_by),
    ]
}

fn write(event: &Event) -> Members {
    let mut document = Members::default();
    document.push("specversion", quoted(VERSION));
    let id = if event.event_id.is_empty() { native::id_of(event) } else { id_of(event).to_owned() };
    document.push("id", quoted(&id));
    document.push("source", quoted(event.source.as_deref().filter(|source| !source.is_empty()).unwrap_or("thalweg")));
    document.push("type", quoted(&event.event_type));
    document.push_text("subject", event.subject.as_deref());
    if event.occurred_at != 0 {
        document.push("time", rfc3339(event.occurred_at));
    }
    document.push_text("dataschema", event.payload_schema_name.as_deref());
    for (name, text) in
        [("executionid", &event.execution_id), ("channel", &event.channel), ("messageclass", &event.message_class)]
    {
        document.push_text(name, super::filled(text));
    }
    let mut came = event.clone();
    came.correlation_id = correlation(event, Dialect::Cloudevents);
    came.workflow_id = workflow_id(event, Dialect::Cloudevents);
    came.workflow_version = workflow_version(event, Dialect::Cloudevents);
    for (name, field) in extensions(&mut came) {
        document.push_text(name, field.as_deref());
    }
    if event.priority != DEFAULT_PRIORITY {
        document.push("priority", Json::trusted(event.priority.to_string()));
    }
    match &event.payload {
        None => {}
        Some(payload) => match object(payload).and_then(only_base64) {
            Some(encoded) => document.push(DATA_BASE64, encoded),
            None => document.push(DATA, payload.clone()),
        },
    }
    document
}

fn only_base64(mut data: Members) -> Option<Json> {
    let encoded = data.remove(DATA_BASE64)?;
    (data.is_empty() && encoded.as_str().starts_with('"')).then_some(encoded)
}

/// Is a record with these headers a CloudEvent in binary mode?
pub fn is_binary(headers: Headers) -> bool {
    header(headers, "ce_specversion").is_some()
}

/// Do the headers say that it is a CloudEvent, in either mode?
pub(super) fn says_so(headers: Headers) -> bool {
    is_binary(headers) || header(headers, CONTENT_TYPE).is_some_and(|media_type| media_type.starts_with(STRUCTURED))
}

/// Reads a record in binary mode: attributes in headers, the value is the data.
pub(super) fn read_binary(value: Option<&[u8]>, headers: Headers) -> Result<Event, Refusal> {
    let mut document = Members::default();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        let attribute = match lower.strip_prefix(PREFIX) {
            Some(attribute) => attribute,
            None if lower == CONTENT_TYPE => DATA_CONTENT_TYPE,
            None => continue,
        };
        let Some(value) = value else { continue };
        let text = std::str::from_utf8(value)
            .map_err(|_| invalid(Dialect::Cloudevents, &format!("header {name} is not UTF-8")))?;
        document.set(attribute, quoted(text));
    }
    if let Some(value) = value {
        let (name, data) = data_of(value, document.text(DATA_CONTENT_TYPE).as_deref())?;
        document.push(name, data);
    }
    Dialect::Cloudevents.read_document(&MAPPING, document)
}

/// The member of a structured event that has this data.
fn data_of(value: &[u8], media_type: Option<&str>) -> Result<(&'static str, Json), Refusal> {
    let text = std::str::from_utf8(value);
    match (text, media_type) {
        (Ok(text), None | Some("")) if Json::parse(text).is_ok() => Ok((DATA, Json::trusted(text))),
        (Ok(text), Some(media_type)) if is_json(media_type) => {
            let data = Json::parse(text).map_err(|what| {
                invalid(Dialect::Cloudevents, &format!("its data is not the {media_type} that it says it is: {what}"))
            })?;
            Ok((DATA, data))
        }
        (Ok(text), _) => Ok((DATA, quoted(text))),
        (Err(_), _) => Ok((DATA_BASE64, quoted(&BASE64_STANDARD.encode(value)))),
    }
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// A header of a record.
type Header = (String, Option<Vec<u8>>);

/// Headers and value of an event in binary mode.
pub fn binary_record(event: &Event) -> (Vec<Header>, Option<Vec<u8>>) {
    let document = Members::parse(Dialect::Cloudevents.spelled(event, true).as_bytes()).unwrap_or_default();
    let media_type = document.text(DATA_CONTENT_TYPE);
    let (mut headers, mut value) = (Vec::new(), None);
    for (name, member) in document.iter() {
        let text = serde_json::from_str::<String>(member.as_str());
        match name {
            DATA_BASE64 => value = text.ok().and_then(|text| BASE64_STANDARD.decode(text).ok()),
            DATA => {
                let plain = media_type.as_deref().is_some_and(|media_type| !is_json(media_type));
                value = Some(text.ok().filter(|_| plain).unwrap_or_else(|| member.as_str().to_owned()).into_bytes());
            }
            _ => {
                let header =
                    if name == DATA_CONTENT_TYPE { CONTENT_TYPE.to_owned() } else { format!("{PREFIX}{name}") };
                headers.push((header, Some(text.unwrap_or_else(|_| member.as_str().to_owned()).into_bytes())));
            }
        }
    }
    (headers, value)
}
