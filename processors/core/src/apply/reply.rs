//! Answers to requests: that a start was taken, and what a request came to that names the event it wants for it.

use serde_json::json;

use super::branch::ENGINE;
use super::{Closing, Current, Step, publication};
use crate::channel::Channel;
use crate::context::ReplyTo;
use crate::event::{Event, EventError};
use crate::execution::Execution;
use crate::inbound::{STARTED, is_reserved};
use crate::json::Json;
use crate::message_class::MessageClass;

/// The event that tells a start with a request_id which execution it has.
const ACKNOWLEDGED: &str = "workflow.acknowledged";

impl ReplyTo {
    /// Where the answer to this request is to go, if it wants one.
    pub(super) fn of(request: &Event) -> Option<ReplyTo> {
        let reply = request.reply.as_ref()?;
        Some(ReplyTo {
            event_id: request.event_id.clone(),
            request_id: request.request_id.clone(),
            trace_id: request.trace_id.clone(),
            // A command may bring an event along that no inbox has checked.
            response_event: reply.response_event.clone().filter(|event_type| !is_reserved(event_type))?,
            response_topic: reply.response_topic.clone().filter(|topic| topic.parse::<Channel>().is_ok()),
            response_schema_name: reply.response_schema_name.clone(),
        })
    }

    /// Makes of `answer` the answer to the request.
    fn address(self, mut answer: Event) -> Event {
        answer.event_type = self.response_event;
        answer.channel = self.response_topic.unwrap_or_else(|| Channel::ActionResults.as_str().to_owned());
        answer.parent_event_id = Some(self.event_id);
        answer.request_id = self.request_id;
        answer.trace_id = self.trace_id;
        answer.payload_schema_name = self.response_schema_name;
        answer
    }
}

/// An event of the engine on action-results that follows from `cause`.
fn result_of(execution: &Execution, cause: &Event, event_type: &str, step: &Step) -> Event {
    let mut event = cause.follow_up(event_type);
    event.event_id = publication::made_id(execution, cause, event_type);
    event.channel = Channel::ActionResults.as_str().to_owned();
    event.message_class = MessageClass::Result.as_str().to_owned();
    event.source = Some(ENGINE.to_owned());
    event.occurred_at = step.now;
    event.request_id.clone_from(&cause.request_id);
    event
}

/// A start that has a request_id is told its execution.
pub(super) fn acknowledge(execution: &Execution, current: &mut Current, step: &Step) {
    if current.event.request_id.is_none() {
        return;
    }
    let mut event = result_of(execution, &current.event, ACKNOWLEDGED, step);
    event.status = Some("ACKNOWLEDGED".to_owned());
    event.payload = Some(Json::from(&json!({"execution_id": execution.id, "workflow_id": event.workflow_id})));
    current.remarks.push(event);
}

/// A request within an execution is answered with what its handling came to: a task's result, or that one gave up.
pub(super) fn answer(execution: &Execution, current: &mut Current, step: &Step) {
    if current.event.event_type == STARTED {
        // It is answered at the end.
        return;
    }
    let Some(reply_to) = ReplyTo::of(&current.event) else { return };
    if current.last_result.is_none() && current.error.is_none() {
        return;
    }
    let mut event = result_of(execution, &current.event, "reply", step);
    event.status = Some(if current.error.is_some() { "FAILED" } else { "SUCCESS" }.to_owned());
    event.error.clone_from(&current.error);
    event.payload.clone_from(&current.last_result);
    current.remarks.push(reply_to.address(event));
}

/// The answer to the request that started the execution, as it ends.
pub(super) fn at_end(execution: &Execution, cause: &Event, closing: &Closing, step: &Step) -> Option<Event> {
    let context = execution.context()?;
    let reply_to = context.reply_to.clone()?;
    let mut event = result_of(execution, cause, "reply/end", step);
    event.scope = None;
    event.branch = None;
    event.correlation_id = Some(context.correlation_id.clone());
    event.status = Some(closing.status.as_str().to_owned());
    event.payload.clone_from(&closing.result);
    event.error = closing.error.clone().map(|error| EventError { is_final: Some(true), ..error });
    Some(reply_to.address(event))
}
