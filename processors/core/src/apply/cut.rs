//! The step ends: what is still queued waits as `pending`.

use std::sync::Arc;

use super::{Action, Step, close, publication};
use crate::effect::{Effect, PendingRef};
use crate::execution::{Execution, Queued, kept_bytes};
use crate::json;
use crate::limits::PENDING_MAX;

pub(super) fn cut(execution: &mut Execution, step: &Step, actions: &mut Vec<Action>) {
    // Also what a pause has left waiting has its limits.
    if !execution.queue.is_empty()
        && !execution.is_closed()
        && let Some(message) = outgrown(execution, step)
    {
        let cause = execution
            .held
            .as_ref()
            .map(|(event, _)| event.clone())
            .or_else(|| execution.queue.front().map(|q| q.event.clone()));
        if let Some(cause) = cause {
            close::end(execution, &cause, close::limit_exceeded(message), step, actions);
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
        Arc::make_mut(event).effects.push(effect.record());
        execution.records.fold(effect, event);
    }
    publication::release(execution, actions);
}

/// Why what is queued could not be kept: the root record would be over its cap, or the list of it would not fit the
/// event that records it.
fn outgrown(execution: &Execution, step: &Step) -> Option<String> {
    let queue = execution.queue.iter();
    if let Some(message) = over_the_cap(execution, queue.clone(), step) {
        return Some(message);
    }
    let (event, _) = execution.held.as_ref()?;
    let effects: usize = event.effects.iter().map(|effect| effect.json.as_str().len()).sum();
    over_the_list(effects, queue, step)
}

/// The same of what is left when an execution ends, and is listed by the event that tells its end.
pub(super) fn outgrown_by(execution: &Execution, left: &[Queued], step: &Step) -> Option<String> {
    over_the_cap(execution, left.iter(), step).or_else(|| over_the_list(CLOSED_EFFECT_BYTES, left.iter(), step))
}

fn over_the_cap<'a>(
    execution: &Execution,
    queue: impl ExactSizeIterator<Item = &'a Queued>,
    step: &Step,
) -> Option<String> {
    if queue.len() > PENDING_MAX {
        return Some(format!("more than {PENDING_MAX} events are pending"));
    }
    let queued: usize = queue.map(|q| kept_bytes(&q.event)).sum::<usize>() + execution.kept_bytes();
    let cap = step.limits.context_max_bytes;
    let context = execution.context().map_or(0, |c| json::length(&c.data) + c.bytes_beside_data());
    (queued + context > cap)
        .then(|| format!("the context with its pending events would have over {cap} bytes (context.max.bytes)"))
}

fn over_the_list<'a>(effects: usize, queue: impl Iterator<Item = &'a Queued>, step: &Step) -> Option<String> {
    let unlogged = queue.filter(|q| q.input.is_none() && !q.logged).count();
    let cap = step.limits.effects_max_bytes;
    (unlogged > 0 && effects + unlogged * PENDING_REF_BYTES > cap)
        .then(|| format!("the list of {unlogged} pending events does not fit the effects (effects.max.bytes {cap})"))
}

/// Bytes of the effect that tells the end.
const CLOSED_EFFECT_BYTES: usize = 64;
/// Bytes of a pending event in the effect that lists it: its id, its depth and their names.
const PENDING_REF_BYTES: usize = 72;
