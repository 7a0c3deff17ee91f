//! Events that come before their wait are kept until it is opened, or their time is over.
//!
//! As inputs that wait as `pending` they are in no effect: they are in the inbox.

use super::{Action, Step, handle};
use crate::execution::{Early, Execution, Queued, kept_bytes};
use crate::json;
use crate::limits::EARLY_MAX;

/// Keeps an answer that no wait is open for; hands back what is to be handled now. Where there is no room for it it is
/// handled now.
pub(super) fn keep(execution: &mut Execution, queued: Queued, step: &Step) -> Option<Queued> {
    let event = &queued.event;
    let Some(context) = execution.context().filter(|_| queued.input.is_some() && event.sequence == 0) else {
        return Some(queued);
    };
    let workflow = step.workflows.get(&context.workflow_id);
    let is_early = workflow.is_some_and(|workflow| workflow.is_awaited(&event.event_type))
        && handle::wait_of(context, event, handle::origin(context, event)).is_none();
    let has_room = || {
        let beside = context.bytes_beside_data() + execution.kept_bytes() + kept_bytes(event);
        execution.early.len() < EARLY_MAX && json::length(&context.data) + beside <= step.limits.context_max_bytes
    };
    if !is_early || !has_room() {
        return Some(queued);
    }
    let until = step.now.saturating_add(i64::try_from(step.limits.early_ttl_ms).unwrap_or(i64::MAX / 1000) * 1000);
    execution.early.push_back(Early { queued, until, original: None });
    None
}

/// Queues what the open waits have been waiting for.
pub(super) fn deliver(execution: &mut Execution) {
    let Some(context) = execution.records.context.as_ref().filter(|_| !execution.early.is_empty()) else { return };
    let mut taken = Vec::new();
    let mut delivered = Vec::new();
    for (place, early) in execution.early.iter().enumerate() {
        let event = &early.queued.event;
        if let Some(wait) = handle::wait_of(context, event, handle::origin(context, event))
            && !taken.contains(&&wait.wait_id)
        {
            taken.push(&wait.wait_id);
            delivered.push(place);
        }
    }
    let delivered: Vec<Queued> = delivered
        .into_iter()
        .rev()
        .filter_map(|place| execution.early.remove(place))
        .map(|early| early.queued)
        .collect();
    for queued in delivered.into_iter().rev() {
        execution.root_changed = true;
        execution.push(queued);
    }
}

/// The first event whose time is over is handled as one that nobody waits for: it is published, and no task handles it.
pub(super) fn expire(execution: &mut Execution, step: &Step, actions: &mut Vec<Action>) -> bool {
    let is_over = |early: &Early| early.until <= step.now;
    let Some(place) = execution.early.iter().position(is_over) else { return false };
    let Some(early) = execution.early.remove(place) else { return false };
    execution.handled_in_step += 1;
    execution.root_changed = true;
    handle::handle(execution, early.queued, handle::Routing::Nobody, step, actions);
    true
}
