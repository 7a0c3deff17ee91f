//! The step ends: what is still queued waits as `pending`.

use super::{Action, Step, close, outcome};
use crate::effect::{Effect, PendingRef};
use crate::execution::Execution;
use crate::limits::PENDING_MAX;

pub(super) fn cut(execution: &mut Execution, step: &Step, actions: &mut Vec<Action>) {
    if execution.has_queued() && outgrown(execution, step) {
        let cause = execution
            .held
            .as_ref()
            .map(|(event, _)| event.clone())
            .or_else(|| execution.queue.front().map(|q| q.event.clone()));
        if let Some(cause) = cause {
            close::end(execution, &cause, close::too_large(step), step, actions);
        }
        return;
    }
    let mut added = Vec::new();
    for queued in execution.queue.iter_mut().filter(|q| q.input.is_none() && !q.logged) {
        queued.logged = true;
        added.push(PendingRef { event_id: queued.event.event_id.clone(), depth: queued.depth });
    }
    if !added.is_empty()
        && let Some((event, _)) = &mut execution.held
    {
        let effect = Effect::PendingAdded(added);
        event.effects.push(effect.record());
        execution.records.fold(&effect, event);
    }
    outcome::release(execution, actions);
}

/// Would the root record with its pending events be over its cap?
fn outgrown(execution: &Execution, step: &Step) -> bool {
    let queued: usize = execution
        .queue
        .iter()
        .map(|q| {
            q.event.envelope_bytes()
                + q.event.payload.as_ref().map_or(0, |json| json.as_str().len())
                + PENDING_OVERHEAD_BYTES
        })
        .sum();
    let data = execution.context().map_or(0, |context| context.data.to_string().len());
    execution.queue.len() > PENDING_MAX || queued + data > step.limits.context_max_bytes
}

/// Bytes of a pending event beside its texts: Avro framing, ids, numbers.
const PENDING_OVERHEAD_BYTES: usize = 256;
