//! Events that come before their execution starts are kept until it does, or their time is over.
//!
//! Until then its root record holds nothing else: status PENDING, no workflow, no sequence. As inputs that wait as
//! `pending` they are in no effect.

use std::sync::Arc;

use super::admit::{self, Verdict};
use super::{Action, DeadLetter, Step};
use crate::approval::DECIDED;
use crate::child::ENDED;
use crate::context::Context;
use crate::error_code::ErrorCode;
use crate::event::Event;
use crate::execution::{Early, Execution, Life, Queued, kept_bytes};
use crate::inbound::{Inbound, Refusal, STARTED, input_id_of};
use crate::limits::{BEFORE_START_MAX, Limits};

/// Is this event kept until its execution starts? Not what only makes sense to one that did, nor where there is no room.
pub(super) fn is_kept(execution: &Execution, event: &Event, limits: &Limits) -> bool {
    let is_for_started = [DECIDED, ENDED].contains(&event.event_type.as_str());
    let has_room = execution.before_start.len() < BEFORE_START_MAX
        && execution.kept_bytes() + kept_bytes(event) <= limits.context_max_bytes;
    limits.early_start_ttl_ms > 0 && !is_for_started && has_room
}

/// Why it is refused that an event is for an execution that nobody knows.
pub(super) fn refusal(execution_id: &str) -> Refusal {
    let message = format!("no execution {execution_id:?} is known; start it with {STARTED} first");
    Refusal::new(ErrorCode::ExecutionUnknown, message)
}

/// Keeps it.
pub(super) fn keep(execution: &mut Execution, inbound: Inbound, id: &[u8; 16], step: &Step) {
    let shell = || Context::unstarted(&execution.id, step.now);
    let context = execution.records.context.get_or_insert_with(shell);
    context.applied_offset = inbound.offset;
    context.remember_input(id);
    execution.root_changed = true;
    let ttl_ms = i64::try_from(step.limits.early_start_ttl_ms).unwrap_or(i64::MAX / 1000);
    let until = step.now.saturating_add(ttl_ms.saturating_mul(1000));
    let event = Arc::new(inbound.event);
    let queued = Queued { event, depth: 0, input: Some(inbound.input), opens: None, logged: false };
    execution.before_start.push_back(Early { queued, until, original: None });
}

/// The first event whose time is over is refused; with the last one nothing is known of the execution any more.
pub(super) fn expire(execution: &mut Execution, step: &Step, actions: &mut Vec<Action>) -> bool {
    if execution.life != Life::Unknown {
        return false;
    }
    if execution.before_start.front().is_none_or(|early| early.until > step.now) {
        return false;
    }
    let Some(early) = execution.before_start.pop_front() else { return false };
    execution.handled_in_step += 1;
    execution.root_changed = true;
    let refusal = refusal(&execution.id);
    refuse(execution, early, refusal, actions);
    if execution.before_start.is_empty() {
        execution.records.context = None;
        execution.is_given_up = true;
    }
    true
}

/// The execution has started: what came before is judged as if it came now, and queued.
pub(super) fn release(execution: &mut Execution, step: &Step, actions: &mut Vec<Action>) {
    for early in std::mem::take(&mut execution.before_start) {
        let queued = &early.queued;
        match admit::judge_started(execution, &queued.event, step) {
            Verdict::Refuse(refusal) => refuse(execution, early, refusal, actions),
            verdict => match (verdict, &queued.input) {
                (Verdict::Reject(reason), Some(input)) => {
                    actions.push(admit::rejection(execution, &queued.event, input, &reason, step));
                    forget(execution, queued);
                }
                (Verdict::RejectReport(why), Some(input)) => {
                    actions.push(super::report::rejection(execution, &queued.event, input, why, step));
                    forget(execution, queued);
                }
                _ => execution.push(early.queued),
            },
        }
    }
}

fn refuse(execution: &mut Execution, early: Early, refusal: Refusal, actions: &mut Vec<Action>) {
    let Early { queued, original, .. } = early;
    forget(execution, &queued);
    let input = queued.input.as_ref().map(|input| input.position.clone());
    actions.push(Action::DeadLetter(Box::new(DeadLetter {
        code: refusal.code,
        message: refusal.message,
        event_input: input.clone(),
        input,
        event: Arc::unwrap_or_clone(queued.event),
        task_id: None,
        attempts: 0,
        redrive: queued.input.map_or(0, |input| input.redrive),
        original,
    })));
}

/// What was not taken in after all may come again.
fn forget(execution: &mut Execution, queued: &Queued) {
    let redrive = queued.input.as_ref().map_or(0, |input| input.redrive);
    if let Some(context) = &mut execution.records.context {
        context.forget_input(&input_id_of(&queued.event, redrive));
    }
}
