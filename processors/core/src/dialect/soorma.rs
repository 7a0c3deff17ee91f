//! Soorma's `EventEnvelope`.
//!
//! Its eight topics are the eight channels. It names no execution: that is the record's key, or the correlation.
//! The service's own models write `type` and `time` where its documentation has `event_type` and `timestamp`: both are
//! read.

use super::members::{Members, quoted};
use super::spelling::rfc3339;
use super::verdict::{Kind, foreign_type, verdict};
use super::workflow::workflow_of;
use super::{Dialect, Mapping, Reader, correlation, filled, payload};
use crate::channel::Channel;
use crate::event::{Event, Reply};
use crate::inbound::Refusal;
use crate::message_class::MessageClass;

pub(super) const MAPPING: Mapping =
    Mapping { has_shape, shape: "event_type, topic and data or id; or type and a topic of the eight", read, write };

fn has_shape(document: &Members) -> bool {
    let has = |name| document.has(name);
    let of_the_eight = || document.text("topic").is_some_and(|topic| topic.parse::<Channel>().is_ok());
    (has("event_type") && has("topic") && (has("data") || has("id"))) || (has("type") && !has("kind") && of_the_eight())
}

fn read(document: &Members) -> Result<Event, Refusal> {
    let reader = Reader { dialect: Dialect::Soorma, at: "", members: document };
    let either = |one, other| if document.has(one) { one } else { other };
    let foreign = reader.required(either("event_type", "type"))?;
    let told = verdict(Dialect::Soorma, &foreign);
    let channel = reader.text("topic")?;
    let payload = payload(document.get("data"));
    let class = match (told.kind, channel.as_deref().and_then(|channel| channel.parse().ok())) {
        (Kind::Fact, Some(Channel::ActionRequests)) => MessageClass::Command,
        (Kind::Fact, Some(Channel::ActionResults)) => MessageClass::Result,
        (kind, _) => kind.class(),
    };
    let mut event = Event {
        event_id: reader.text("id")?.unwrap_or_default(),
        workflow_id: (told.kind == Kind::Start).then(|| workflow_of(document, payload.as_ref())).flatten(),
        channel: channel.or(told.channel.map(|channel| channel.to_string())).unwrap_or_default(),
        message_class: class.as_str().to_owned(),
        occurred_at: reader.time(either("timestamp", "time"))?,
        reply: reply(&reader)?,
        payload,
        ..Event::new(&told.event_type, 0)
    };
    for (name, field) in texts(&mut event) {
        *field = reader.text(name)?;
    }
    Ok(event)
}

fn reply(reader: &Reader) -> Result<Option<Reply>, Refusal> {
    let reply = Reply {
        response_event: reader.text("response_event")?,
        response_topic: reader.text("response_topic")?,
        response_schema_name: reader.text("response_schema_name")?,
    };
    Ok((reply != Reply::default()).then_some(reply))
}

/// The optional texts that are named as ours are, in the order in which they are written.
fn texts(event: &mut Event) -> [(&'static str, &mut Option<String>); 12] {
    [
        ("trace_id", &mut event.trace_id),
        ("parent_event_id", &mut event.parent_event_id),
        ("payload_schema_name", &mut event.payload_schema_name),
        ("correlation_id", &mut event.correlation_id),
        ("tenant_id", &mut event.tenant_id),
        ("user_id", &mut event.user_id),
        ("platform_tenant_id", &mut event.platform_tenant_id),
        ("session_id", &mut event.session_id),
        ("goal_id", &mut event.goal_id),
        ("plan_id", &mut event.plan_id),
        ("subject", &mut event.subject),
        ("source", &mut event.source),
    ]
}

fn write(event: &Event) -> Members {
    let mut document = Members::default();
    document.push_text("id", filled(&event.event_id));
    document.push("event_type", quoted(&foreign_type(Dialect::Soorma, &event.event_type)));
    document.push_text("topic", filled(&event.channel));
    if event.occurred_at != 0 {
        document.push("timestamp", rfc3339(event.occurred_at));
    }
    if let Some(payload) = &event.payload {
        document.push("data", payload.clone());
    }
    if let Some(reply) = &event.reply {
        document.push_text("response_event", reply.response_event.as_deref());
        document.push_text("response_topic", reply.response_topic.as_deref());
        document.push_text("response_schema_name", reply.response_schema_name.as_deref());
    }
    let mut came = event.clone();
    came.correlation_id = correlation(event, Dialect::Soorma);
    for (name, field) in texts(&mut came) {
        document.push_text(name, field.as_deref());
    }
    document
}
