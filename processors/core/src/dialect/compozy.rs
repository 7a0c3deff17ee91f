//! Compozy's events: metadata, a section for each entity, and a payload.
//!
//! The type is no member of the body but a part of the NATS subject. It is read from a member or header `subject`, from
//! a member that names it, else from what the body says: the innermost entity and the payload's status. Of two types
//! with one body (a workflow that was started, and one that was resumed) only a subject tells which it is.

use super::choice::header;
use super::members::{Members, quoted};
use super::spelling::{integer, number, number_text, rfc3339, status};
use super::verdict::{as_report, foreign_type, table, verdict};
use super::{Dialect, Headers, Mapping, Reader, correlation, filled, invalid, payload, status_of, workflow_id};
use crate::event::{Entity, Event, EventError};
use crate::inbound::{Refusal, STARTED};
use crate::json::Json;

pub(super) const MAPPING: Mapping =
    Mapping { has_shape, shape: "metadata, and a payload or an entity's section", read, write };

/// The entities that have a section, innermost first.
const ENTITIES: [&str; 4] = ["tool", "agent", "task", "agent_runtime"];
/// The order in which sections are written.
const SECTIONS: [&str; 4] = ["task", "agent", "tool", "agent_runtime"];
const SUBJECT: &str = "subject";
/// Members that may name the type.
const NAMES: [&str; 4] = ["event_type", "type", "event", "command"];

fn has_shape(document: &Members) -> bool {
    let says = ["correlation_id", "event_timestamp", "source_component", "event_id"];
    let metadata = document.object("metadata").is_some_and(|metadata| says.iter().any(|name| metadata.has(name)));
    let named = document.has("event_type");
    !named
        && metadata
        && (ENTITIES.iter().any(|name| document.has(name)) || document.has("workflow") || document.has("payload"))
}

/// Takes the subject from the headers, as a bridge from NATS carries it, where the body has none.
pub(super) fn take_subject(document: &mut Members, headers: Headers) {
    if !document.has(SUBJECT)
        && let Some(subject) = header(headers, SUBJECT).or_else(|| header(headers, "nats-subject"))
    {
        document.push(SUBJECT, quoted(subject));
    }
}

fn read(document: &Members) -> Result<Event, Refusal> {
    let section = |name| document.object(name).unwrap_or_default();
    let (metadata, workflow, body) = (section("metadata"), section("workflow"), section("payload"));
    let reader = Reader { dialect: Dialect::Compozy, at: "metadata.", members: &metadata };
    let within = Reader { dialect: Dialect::Compozy, at: "workflow.", members: &workflow };
    let told = verdict(Dialect::Compozy, &name_of(document, &metadata)?);
    let mut event = Event {
        event_id: reader.text("event_id")?.unwrap_or_default(),
        execution_id: within.text("exec_id")?.unwrap_or_default(),
        workflow_id: within.text("id")?,
        channel: told.channel.map(|channel| channel.as_str().to_owned()).unwrap_or_default(),
        message_class: told.kind.class().as_str().to_owned(),
        occurred_at: reader.time("event_timestamp")?,
        source: reader.text("source_component")?,
        correlation_id: reader.text("correlation_id")?,
        request_id: reader.text("request_id")?,
        created_by: reader.text("created_by")?,
        subject: document.text(SUBJECT),
        ..Event::new(&told.event_type, 0)
    };
    for kind in ENTITIES {
        if let Some(section) = document.object(kind) {
            let id = section.text("id").or_else(|| section.text("runtime_id"));
            let entity = Entity { id, exec_id: section.text("exec_id"), name: section.text("name") };
            event.entities.insert(kind.to_owned(), entity);
        }
    }
    if is_start(&event) {
        event.status = status_of(&event.event_type).map(str::to_owned);
        let context = body.object("context").unwrap_or_default();
        event.payload = payload(context.get("input").or_else(|| context.get("trigger_input")));
        return Ok(event);
    }
    event.payload = payload(document.get("payload"));
    derive(&mut event, &body);
    Ok(event)
}

/// Its payload is the input alone: it becomes the data of an execution.
fn is_start(event: &Event) -> bool {
    event.event_type == STARTED || event.event_type == "report.workflow.started"
}

/// The fields that say once more what the payload says.
fn derive(event: &mut Event, body: &Members) {
    let told = status_of(&event.event_type).map(str::to_owned);
    event.status = body.text("status").map(|text| status(&text)).or(told);
    event.duration_ms = body.get("duration_ms").and_then(number);
    let context = body.object("context").unwrap_or_default();
    event.attempt = context.get("attempt_number").and_then(integer).unwrap_or(1);
    let error = body.object("result").and_then(|result| result.object("error"));
    event.error = error.map(|error| EventError {
        message: error.text("message").unwrap_or_default(),
        code: error.text("code"),
        details: payload(error.get("details")),
        ..EventError::default()
    });
}

fn name_of(document: &Members, metadata: &Members) -> Result<String, Refusal> {
    let told = |text: &String| !text.is_empty();
    if let Some(subject) = document.text(SUBJECT).filter(told) {
        return Ok(of_subject(&subject));
    }
    let named = NAMES.iter().find_map(|name| document.text(name).or_else(|| metadata.text(name)).filter(told));
    if let Some(name) = named {
        return Ok(of_name(&name).unwrap_or(name));
    }
    of_body(document).ok_or_else(|| {
        invalid(
            Dialect::Compozy,
            "neither a subject (header or member), nor a member event_type, nor payload.status says what it is",
        )
    })
}

/// Of `compozy.<correlation>.<entity>.evts.<id>.<state>`, `...cmds.<id>.<action>` or a log's subject; of any other
/// what comes after the correlation.
fn of_subject(subject: &str) -> String {
    let parts: Vec<&str> = subject.split('.').collect();
    let last = parts.last().copied().unwrap_or_default();
    for pair in parts.windows(3) {
        let (entity, marker, next) = (pair[0], pair[1], pair[2]);
        let found = match marker {
            "evts" | "events" => state(entity, last),
            "cmds" | "commands" => command(entity, last).or_else(|| command(entity, next)),
            "logs" => Some("LogEmitted".to_owned()),
            _ => None,
        };
        if let Some(found) = found {
            return found;
        }
    }
    match parts.as_slice() {
        ["compozy", _, rest @ ..] if !rest.is_empty() => rest.join("."),
        _ => subject.to_owned(),
    }
}

fn is_row(name: &str) -> bool {
    table().any(|(dialect, foreign, _)| dialect == Dialect::Compozy && foreign == name)
}

fn state(entity: &str, state: &str) -> Option<String> {
    let state = match state {
        "cancelled" => "canceled",
        "completed" => "success",
        "waiting_end" => "waiting_ended",
        other => other,
    };
    let names = [format!("{entity}.{state}"), format!("runtime.{state}")];
    let may_be_runtime = matches!(entity, "agent" | "agent_runtime" | "runtime");
    names.into_iter().take(1 + usize::from(may_be_runtime)).find(|name| is_row(name))
}

fn command(entity: &str, action: &str) -> Option<String> {
    let name = format!("{}{}", camel(entity), camel(action));
    is_row(&name).then_some(name)
}

/// Of a name as the documentation has it (`TaskExecutionStarted`, `WorkflowTrigger`), or `entity.state`.
fn of_name(name: &str) -> Option<String> {
    let name = name.trim_start_matches("State Event: ").trim_start_matches("Command: ");
    if is_row(name) {
        return Some(name.to_owned());
    }
    if name.starts_with("compozy.") {
        return Some(of_subject(name));
    }
    if let Some((entity, action)) = name.rsplit_once('.') {
        return state(entity, action).or_else(|| command(entity, action));
    }
    let snake = snake(name);
    let (entity, rest) = snake.split_once('_')?;
    state(entity, rest.strip_prefix("execution_").unwrap_or(rest))
}

fn camel(snake: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    snake.split('_').map(capital).collect()
}

fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for c in camel.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// What a body without a name is.
fn of_body(document: &Members) -> Option<String> {
    let body = document.object("payload").unwrap_or_default();
    if body.has("log_level") && body.has("message") {
        return Some("LogEmitted".to_owned());
    }
    let entity = ENTITIES.iter().copied().find(|name| document.has(name)).unwrap_or("workflow");
    let Some(told) = body.text("status") else { return of_command(document, entity, &body) };
    let by_status = match status(&told).as_str() {
        "RUNNING" => "started",
        "SUCCESS" => "success",
        "FAILED" => "failed",
        "PAUSED" => "paused",
        "CANCELED" => "canceled",
        "TIMED_OUT" if entity == "task" => "waiting_timed_out",
        "TIMED_OUT" => "timed_out",
        "WAITING" => "waiting_started",
        "PENDING" | "DISPATCHED" => "dispatched",
        "RETRY_SCHEDULED" => "retry_scheduled",
        "REGISTERED" => "registered",
        "DEREGISTERED" => "deregistered",
        _ => return None,
    };
    state(entity, by_status)
}

fn of_command(document: &Members, entity: &str, body: &Members) -> Option<String> {
    let context = body.object("context").unwrap_or_default();
    let by = |names: &[&str]| names.iter().any(|name| context.has(name));
    Some(
        match entity {
            "tool" => "ToolExecute",
            "agent" => "AgentExecute",
            "task" if body.has("resume_data") => "TaskResume",
            "task" => "TaskExecute",
            "workflow" if by(&["canceled_by", "cancelled_by", "canceled_at", "cancelled_at"]) => "WorkflowCancel",
            "workflow" if by(&["paused_by", "paused_at"]) => "WorkflowPause",
            "workflow" if by(&["resumed_by", "resumed_at"]) => "WorkflowResume",
            "workflow" if document.object("workflow").is_some_and(|workflow| workflow.has("id")) => "WorkflowTrigger",
            _ => return None,
        }
        .to_owned(),
    )
}

fn write(event: &Event) -> Members {
    let own = Dialect::Compozy.is_own(event);
    let mut metadata = Members::default();
    metadata.push_text("correlation_id", correlation(event, Dialect::Compozy).as_deref());
    metadata.push_text("request_id", event.request_id.as_deref());
    metadata.push_text("event_id", filled(&event.event_id));
    if event.occurred_at != 0 {
        metadata.push("event_timestamp", rfc3339(event.occurred_at));
    }
    metadata.push_text("source_component", event.source.as_deref());
    metadata.push_text("created_by", event.created_by.as_deref());
    let mut workflow = Members::default();
    workflow.push_text("id", workflow_id(event, Dialect::Compozy).as_deref());
    workflow.push_text("exec_id", filled(&event.execution_id));

    let mut document = Members::default();
    document.push("metadata", metadata.to_json());
    if !workflow.is_empty() {
        document.push("workflow", workflow.to_json());
    }
    for kind in SECTIONS {
        let Some(entity) = event.entities.get(kind) else { continue };
        let mut section = Members::default();
        section.push_text("id", entity.id.as_deref());
        section.push_text("exec_id", entity.exec_id.as_deref());
        section.push_text("name", entity.name.as_deref());
        document.push(kind, section.to_json());
    }
    if let Some(body) = body(event, own) {
        document.push("payload", body);
    }
    let native = as_report(&event.event_type).filter(|_| !own).unwrap_or(&event.event_type);
    let foreign = foreign_type(Dialect::Compozy, native);
    match &event.subject {
        Some(subject) if !subject.is_empty() => document.push(SUBJECT, quoted(subject)),
        _ if of_body(&document).as_ref() == Some(&foreign) => {}
        _ => document.push(SUBJECT, quoted(&subject(event, &foreign))),
    }
    document
}

fn body(event: &Event, own: bool) -> Option<Json> {
    if own && !is_start(event) {
        return event.payload.clone();
    }
    let (mut body, mut inner) = (Members::default(), Members::default());
    if is_start(event) {
        // The state event tells a status, the command that asks for it does not.
        if !own || event.event_type != STARTED {
            body.push("status", quoted("RUNNING"));
        }
        if let Some(input) = &event.payload {
            inner.push("input", input.clone());
            body.push("context", inner.to_json());
        }
        return (!body.is_empty()).then(|| body.to_json());
    }
    body.push_text("status", event.status.as_deref());
    if let Some(output) = &event.payload {
        inner.push("output", output.clone());
    }
    if let Some(error) = &event.error {
        let mut section = Members::default();
        section.push("message", quoted(&error.message));
        section.push_text("code", error.code.as_deref());
        if let Some(details) = &error.details {
            section.push("details", details.clone());
        }
        inner.push("error", section.to_json());
    }
    if !inner.is_empty() {
        body.push("result", inner.to_json());
    }
    if let Some(duration) = event.duration_ms {
        body.push("duration_ms", number_text(duration));
    }
    (!body.is_empty()).then(|| body.to_json())
}

/// The subject under which Compozy would publish it.
fn subject(event: &Event, foreign: &str) -> String {
    let token = |text: &str| text.replace(['.', ' '], "_");
    let correlation = event.correlation_id.as_deref().and_then(filled).unwrap_or(&event.execution_id);
    let correlation = filled(correlation).map_or_else(|| "-".to_owned(), token);
    let exec_id = |entity: &str| {
        let inner = event.entities.get(entity).and_then(|e| e.exec_id.as_deref().or(e.id.as_deref()));
        filled(inner.unwrap_or(&event.execution_id)).map_or_else(|| "-".to_owned(), token)
    };
    match foreign.split_once('.') {
        Some((entity, state)) if is_row(foreign) => {
            format!("compozy.{correlation}.{entity}.evts.{}.{state}", exec_id(entity))
        }
        None if is_row(foreign) => {
            let snake = snake(foreign);
            let (entity, action) = snake.split_once('_').unwrap_or((&snake, ""));
            match entity {
                "log" => format!("compozy.{correlation}.log.logs.{}.info", exec_id("task")),
                _ => format!("compozy.{correlation}.{entity}.cmds.{}.{action}", exec_id(entity)),
            }
        }
        _ => format!("compozy.{correlation}.{foreign}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_every_spelling() {
        for (text, name) in [
            ("compozy.c.task.evts.1.success", "task.success"),
            ("compozy.c.task.events.1.waiting_ended", "task.waiting_ended"),
            ("compozy.c.workflow.evts.1.cancelled", "workflow.canceled"),
            ("compozy.c.workflow.cmds.w.trigger_async", "WorkflowTriggerAsync"),
            ("compozy.c.workflow.commands.cancel.1", "WorkflowCancel"),
            ("compozy.c.agent.events.r.registered", "runtime.registered"),
            ("compozy.logs.c.task_executor.info", "LogEmitted"),
            ("compozy.c.claim.processed", "claim.processed"),
        ] {
            assert_eq!(of_subject(text), name, "{text}");
        }
        for (text, name) in [
            ("TaskExecutionStarted", "task.started"),
            ("WorkflowExecutionTimedOut", "workflow.timed_out"),
            ("TaskWaitingEnd", "task.waiting_ended"),
            ("State Event: ToolExecutionFailed", "tool.failed"),
            ("Command: AgentExecute", "AgentExecute"),
            ("workflow.trigger", "WorkflowTrigger"),
            ("workflow.cancelled", "workflow.canceled"),
        ] {
            assert_eq!(of_name(text).as_deref(), Some(name), "{text}");
        }
    }
}
