//! Events are published: numbered, with their effects, each held back until it is known what follows it.

use std::sync::Arc;

use super::{Action, Current, Step};
use crate::effect::Effect;
use crate::event::Event;
use crate::execution::Execution;
use crate::identity;
use crate::inbound::InputRef;

/// Id of an event that the engine makes about `event`. The sequence tells one handling of it from another.
pub(super) fn made_id(execution: &Execution, event: &Event, maker: &str) -> String {
    identity::derived_id(&execution.id, &event.event_id, 0, maker, 1, event.sequence.max(0) as usize)
}

/// Hands the finished event on. It is held until it is known whether what follows it is handled in this step.
pub(super) fn publish(execution: &mut Execution, current: Box<Current>, actions: &mut Vec<Action>) {
    let handled = current.is_handled();
    let Current { event, carrier, input, effects, duration_ms, .. } = *current;
    let mut shared = carrier.unwrap_or(event);
    let event = Arc::make_mut(&mut shared);
    event.effects = effects;
    // What tells its own duration keeps it.
    if handled && event.duration_ms.is_none() {
        event.duration_ms = Some(duration_ms);
    }
    hold(execution, shared, input, actions);
}

/// Publishes an event of the engine about the one before it: numbered, with `effects`, routed to nobody.
pub(super) fn publish_remark(
    execution: &mut Execution,
    mut event: Event,
    step: &Step,
    effects: Vec<Effect>,
    actions: &mut Vec<Action>,
) {
    if let Some(context) = &mut execution.records.context {
        context.sequence += 1;
        context.updated_at = step.now;
        event.sequence = context.sequence;
    }
    event.recorded_at = Some(step.now);
    event.effects = effects.iter().map(Effect::record).collect();
    for effect in effects {
        execution.records.fold(effect, &event);
    }
    execution.root_changed = true;
    hold(execution, Arc::new(event), None, actions);
}

fn hold(execution: &mut Execution, event: Arc<Event>, input: Option<InputRef>, actions: &mut Vec<Action>) {
    release(execution, actions);
    execution.held = Some((event, input));
}

/// Publishes the event that is held.
pub(super) fn release(execution: &mut Execution, actions: &mut Vec<Action>) {
    if let Some((event, input)) = execution.held.take() {
        actions.push(Action::Publish(event, input.map(|input| input.position)));
    }
}
