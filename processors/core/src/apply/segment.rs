//! A long execution continues as new: under its id, with its data and what it waits for, from its start again.
//!
//! The boundary's event carries all that its events so far have come to. So the log from there on folds to the context,
//! whatever the retention has taken of what was before.

use std::sync::Arc;

use super::branch::ENGINE;
use super::decision::{invalid, too_large};
use super::emission::Emission;
use super::{Closing, Current, Step, close};
use crate::channel::Channel;
use crate::context::Context;
use crate::data::Data;
use crate::effect::{Continued, Effect, PendingRef};
use crate::error_code::ErrorCode;
use crate::event::Event;
use crate::execution::{Execution, Queued};
use crate::json::{self, Json};
use crate::message_class::MessageClass;
use crate::outcome::Outcome;
use crate::task::TaskFailure;

/// The event with which a segment begins.
pub const CONTINUED: &str = "workflow.continued";
/// Why it does not begin.
const FAN_OUT_OPEN: &str = "a fan-out is open; what its branches come to would be nobody's";

impl Emission<'_> {
    /// The event with which the next segment begins; its chain of events begins anew.
    pub(super) fn boundary(
        &mut self,
        context: &Context,
        outcome: &Outcome,
        data: &Data,
    ) -> Result<Queued, TaskFailure> {
        let ends = outcome.complete.is_some() || outcome.fail.is_some() || outcome.complete_branch.is_some();
        if ends {
            return Err(invalid(
                "continue_as_new: it ends nothing, so it goes with no complete, complete_branch or fail",
            ));
        }
        // In a branch its scope is open.
        if outcome.fan_out.is_some() || !context.scopes.is_empty() {
            return Err(invalid(format!("continue_as_new: {FAN_OUT_OPEN}")));
        }
        let (bytes, cap) = (json::length(data), self.step.limits.payload_max_bytes);
        if bytes > cap {
            return Err(too_large(format!("continue_as_new: data has {bytes} bytes, payload.max.bytes is {cap}")));
        }
        let mut event = self.current.event.follow_up(CONTINUED);
        event.event_id = self.id();
        event.channel = Channel::SystemEvents.as_str().to_owned();
        event.message_class = MessageClass::State.as_str().to_owned();
        event.source = Some(ENGINE.to_owned());
        event.occurred_at = self.step.now;
        Ok(Queued { event: Arc::new(event), depth: 0, input: None, opens: None, logged: false })
    }
}

/// Does a segment begin with this event?
pub(super) fn begins(event: &Event) -> bool {
    event.event_type == CONTINUED
}

/// The segment begins: its event takes along what the execution is.
pub(super) fn begin(execution: &mut Execution, current: &mut Current, step: &Step) {
    let Some(context) = execution.context() else { return };
    if !context.scopes.is_empty() {
        // What came between the decision and this has opened it.
        let message = format!("continue_as_new: {FAN_OUT_OPEN}");
        current.closing = Some(Closing::failed(ErrorCode::TaskFailed.as_str(), &message));
        return;
    }
    let pending = execution.queue.iter().filter(|queued| queued.input.is_none() && queued.logged);
    let pending = pending.map(|q| PendingRef { event_id: q.event.event_id.clone(), depth: q.depth }).collect();
    let data = Json::from(&*context.data);
    let carried = Context { segment: context.segment + 1, ..context.carried() };
    let effect = Effect::Continued(Box::new(Continued { context: carried, pending }));
    let (payload, effects) = (data.as_str().len(), effect.record().json.as_str().len());
    if payload > step.limits.payload_max_bytes || effects > step.limits.effects_max_bytes {
        current.closing = Some(too_long(payload, effects));
        return;
    }
    Arc::make_mut(&mut current.event).payload = Some(data);
    current.add(execution, effect);
}

fn too_long(payload: usize, effects: usize) -> Closing {
    close::limit_exceeded(format!(
        "it can't continue as new: its data has {payload} bytes (payload.max.bytes), what it waits for {effects} \
         (effects.max.bytes)"
    ))
}
