//! The event: the one record that comes in, goes out, and is the log.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::json::Json;

/// Microseconds since the Unix epoch.
pub type Micros = i64;

/// One event, as `schemas/event.avsc` describes it field by field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct Event {
    pub event_id: String,
    pub event_type: String,
    pub execution_id: String,
    pub workflow_id: Option<String>,
    pub workflow_version: Option<String>,
    pub channel: String,
    pub message_class: String,
    pub sequence: i64,
    #[serde(with = "crate::timestamp")]
    pub occurred_at: Micros,
    #[serde(with = "crate::timestamp::optional")]
    pub recorded_at: Option<Micros>,
    pub source: Option<String>,
    pub payload: Option<Json>,
    pub status: Option<String>,
    pub error: Option<EventError>,
    pub duration_ms: Option<f64>,
    pub attempt: i32,
    pub priority: i32,
    pub correlation_id: Option<String>,
    pub request_id: Option<String>,
    pub trace_id: Option<String>,
    pub parent_event_id: Option<String>,
    pub scope: Option<String>,
    pub branch: Option<String>,
    pub reply: Option<Reply>,
    pub payload_schema_name: Option<String>,
    pub entities: BTreeMap<String, Entity>,
    pub tenant_id: Option<String>,
    pub user_id: Option<String>,
    pub platform_tenant_id: Option<String>,
    pub session_id: Option<String>,
    pub goal_id: Option<String>,
    pub plan_id: Option<String>,
    pub subject: Option<String>,
    pub created_by: Option<String>,
    pub ext: BTreeMap<String, Json>,
    pub effects: Vec<RecordedEffect>,
}

/// Priority of an event that names none.
pub const DEFAULT_PRIORITY: i32 = 100;

impl Default for Event {
    fn default() -> Self {
        Event::new("", 0)
    }
}

impl Event {
    /// An event of `event_type` that happened at `occurred_at`; everything else empty.
    pub fn new(event_type: &str, occurred_at: Micros) -> Event {
        Event {
            event_id: String::new(),
            event_type: event_type.to_owned(),
            execution_id: String::new(),
            workflow_id: None,
            workflow_version: None,
            channel: String::new(),
            message_class: String::new(),
            sequence: 0,
            occurred_at,
            recorded_at: None,
            source: None,
            payload: None,
            status: None,
            error: None,
            duration_ms: None,
            attempt: 1,
            priority: DEFAULT_PRIORITY,
            correlation_id: None,
            request_id: None,
            trace_id: None,
            parent_event_id: None,
            scope: None,
            branch: None,
            reply: None,
            payload_schema_name: None,
            entities: BTreeMap::new(),
            tenant_id: None,
            user_id: None,
            platform_tenant_id: None,
            session_id: None,
            goal_id: None,
            plan_id: None,
            subject: None,
            created_by: None,
            ext: BTreeMap::new(),
            effects: Vec::new(),
        }
    }

    /// The payload as a value; null where there is none.
    pub fn payload_value(&self) -> serde_json::Value {
        self.payload.as_ref().map(Json::value).unwrap_or_default()
    }

    /// The payload as what it is read for; that of null where there is none. What is not asked for is not kept.
    ///
    /// # Errors
    /// Where the payload does not have the shape.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.payload.as_ref().map_or("null", Json::as_str))
    }

    /// The branch that it belongs to, where it belongs to one: scope and name.
    pub fn place(&self) -> Option<(&str, &str)> {
        Some((self.scope.as_deref()?, self.branch.as_deref()?))
    }

    /// An event caused by this one: it inherits who and what it belongs to, not what it says.
    pub fn follow_up(&self, event_type: impl Into<String>) -> Event {
        Event {
            event_type: event_type.into(),
            execution_id: self.execution_id.clone(),
            workflow_id: self.workflow_id.clone(),
            workflow_version: self.workflow_version.clone(),
            attempt: 1,
            priority: self.priority,
            correlation_id: self.correlation_id.clone(),
            trace_id: self.trace_id.clone(),
            parent_event_id: Some(self.event_id.clone()),
            scope: self.scope.clone(),
            branch: self.branch.clone(),
            tenant_id: self.tenant_id.clone(),
            user_id: self.user_id.clone(),
            platform_tenant_id: self.platform_tenant_id.clone(),
            session_id: self.session_id.clone(),
            goal_id: self.goal_id.clone(),
            plan_id: self.plan_id.clone(),
            ..Event::default()
        }
    }

    /// Bytes of everything but payload and effects, roughly.
    pub fn envelope_bytes(&self) -> usize {
        let texts = [
            &self.workflow_id,
            &self.workflow_version,
            &self.source,
            &self.status,
            &self.correlation_id,
            &self.request_id,
            &self.trace_id,
            &self.parent_event_id,
            &self.scope,
            &self.branch,
            &self.payload_schema_name,
            &self.tenant_id,
            &self.user_id,
            &self.platform_tenant_id,
            &self.session_id,
            &self.goal_id,
            &self.plan_id,
            &self.subject,
            &self.created_by,
        ];
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let error = self.error.as_ref().map_or(0, |e| {
            e.message.len()
                + optional(&e.code)
                + optional(&e.exception_type)
                + optional(&e.traceback)
                + e.details.as_ref().map_or(0, |d| d.as_str().len())
        });
        let reply = self.reply.as_ref().map_or(0, |r| {
            optional(&r.response_event) + optional(&r.response_topic) + optional(&r.response_schema_name)
        });
        let entities: usize = self
            .entities
            .iter()
            .map(|(kind, e)| kind.len() + optional(&e.id) + optional(&e.exec_id) + optional(&e.name))
            .sum();
        let ext: usize = self.ext.iter().map(|(key, value)| key.len() + value.as_str().len()).sum();
        self.event_id.len()
            + self.event_type.len()
            + self.execution_id.len()
            + texts.into_iter().map(optional).sum::<usize>()
            + error
            + reply
            + entities
            + ext
    }
}

/// What went wrong, as an event tells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct EventError {
    pub message: String,
    pub code: Option<String>,
    pub details: Option<Json>,
    pub exception_type: Option<String>,
    pub traceback: Option<String>,
    pub retryable: Option<bool>,
    pub is_final: Option<bool>,
}

/// Where the sender wants its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct Reply {
    pub response_event: Option<String>,
    pub response_topic: Option<String>,
    pub response_schema_name: Option<String>,
}

/// A task, agent, tool or agent runtime that the event is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct Entity {
    pub id: Option<String>,
    pub exec_id: Option<String>,
    pub name: Option<String>,
}

/// An effect as it is recorded: its kind, and the rest as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Effect")]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct RecordedEffect {
    pub kind: Cow<'static, str>,
    pub json: Json,
}
