//! What people are told who watch the system: a handler has failed.

use serde_json::json;

use super::branch::ENGINE;
use super::{Current, Step, publication};
use crate::channel::Channel;
use crate::event::{Entity, Event, EventError};
use crate::execution::Execution;
use crate::json::Json;
use crate::message_class::MessageClass;

/// Its type.
const SYSTEM_ERROR: &str = "system.error";

/// One for each handler that gave up on the current event, with that event's correlation id.
pub(super) fn of(execution: &Execution, current: &Current, task_id: &str, error: &EventError, step: &Step) -> Event {
    let mut event = current.event.follow_up(SYSTEM_ERROR);
    event.event_id = publication::made_id(execution, &current.event, &format!("{SYSTEM_ERROR}/{task_id}"));
    event.channel = Channel::SystemEvents.as_str().to_owned();
    event.message_class = MessageClass::State.as_str().to_owned();
    event.source = Some(ENGINE.to_owned());
    event.occurred_at = step.now;
    event.payload = Some(Json::from(&json!({
        "agent_id": task_id, "task_id": task_id, "error_message": error.message,
        "exception_type": error.exception_type, "correlation_id": current.event.correlation_id,
        "details": {"event_id": current.event.event_id, "event_type": current.event.event_type},
    })));
    event.error = Some(error.clone());
    event.entities.insert("task".to_owned(), Entity { id: Some(task_id.to_owned()), ..Entity::default() });
    event
}
