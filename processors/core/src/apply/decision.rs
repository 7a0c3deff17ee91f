//! What a task decided is checked whole, so that it takes effect whole or not at all.

use std::sync::Arc;

use serde_json::Value;

use super::branch::{self, Ending};
use super::made::Made;
use super::{Action, Closing, Current, Step};
use crate::budget::Usage;
use crate::context::Context;
use crate::data::Data;
use crate::effect::Effect;
use crate::error_code::ErrorCode;
use crate::event::{Event, RecordedEffect};
use crate::execution::{self, Execution, Queued};
use crate::inbound::is_reserved;
use crate::json::{self, Json, check_depth};
use crate::limits::{
    CHILDREN_MAX, NAME_MAX_BYTES, PENDING_MAX, SCOPES_MAX, TIMERS_MAX, WAITS_MAX, cut_message, has_control,
};
use crate::merge_patch;
use crate::outcome::Outcome;
use crate::status::{BranchStatus, WorkflowStatus};
use crate::task::TaskFailure;

/// Bytes of a recorded effect beside its JSON: the kind and Avro's framing.
const EFFECT_OVERHEAD_BYTES: usize = 32;

/// An outcome that was checked whole, so that it takes effect whole or not at all.
pub(super) struct Decision {
    effects: Vec<(Effect, RecordedEffect)>,
    effects_bytes: usize,
    emitted: Vec<Queued>,
    /// The events that timers keep, by the timer.
    kept: Vec<(String, Arc<Event>)>,
    closing: Option<Closing>,
    result: Option<Json>,
    branch_end: Option<Ending>,
    pub usage: Option<Usage>,
    asked: Option<Box<Event>>,
    /// The starts of children.
    starts: Vec<Event>,
}

impl Decision {
    pub(super) fn take_effect(
        self,
        execution: &mut Execution,
        current: &mut Current,
        step: &Step,
        actions: &mut Vec<Action>,
    ) {
        current.effects_bytes += self.effects_bytes;
        for (effect, recorded) in self.effects {
            current.add_recorded(execution, effect, recorded);
        }
        current.emitted.extend(self.emitted);
        execution.timer_events.extend(self.kept);
        current.remarks.extend(self.asked.map(|asked| *asked));
        actions.extend(self.starts.into_iter().map(|start| Action::Send(Box::new(start))));
        if self.result.is_some() {
            current.last_result = self.result;
        }
        if current.closing.is_none() {
            current.closing = self.closing;
        }
        let event = Arc::clone(&current.event);
        if let (Some(ending), Some((scope, branch))) = (self.branch_end, event.place()) {
            branch::done(execution, current, scope, branch, ending, step, actions);
        }
    }
}

pub(super) fn invalid(message: impl Into<String>) -> TaskFailure {
    TaskFailure { code: ErrorCode::TaskFailed, task_code: None, message: message.into() }
}

/// Checks what a task decided; `after` is the data as it left it, `data_bytes` what that of the context has at most.
pub(super) fn decide(
    execution: &Execution,
    current: &Current,
    task_id: &str,
    (outcome, after): (Outcome, Data),
    data_bytes: usize,
    step: &Step,
) -> Result<Decision, TaskFailure> {
    let Some(context) = execution.context() else { return Err(invalid("the execution has no context")) };
    let Made { effects, emitted, kept, starts, asked } =
        Made::by(execution, context, current, task_id, (&outcome, &after), step)?;
    let recorded = |effect: Effect| {
        let recorded = effect.record();
        (effect, recorded)
    };
    let effects: Vec<(Effect, RecordedEffect)> = effects.into_iter().map(recorded).collect();
    check_patch_size(&effects, step)?;
    let kept_bytes = kept.iter().map(|(_, event)| execution::kept_bytes(event)).sum::<usize>();
    check_context_size(context, &effects, data_bytes, kept_bytes + execution.kept_bytes(), step)?;
    check_counts(context, &effects, emitted.len())?;
    let result = match &outcome.result {
        Some(value) => returned("result", value, step)?,
        None => None,
    };
    let branch_end = branch_end(&outcome, current, step)?;
    let closing = closing(&outcome, current, step)?;
    let mut effects_bytes: usize =
        effects.iter().map(|(_, recorded)| recorded.json.as_str().len() + EFFECT_OVERHEAD_BYTES).sum();
    if current.event.branch.is_some() {
        // What a branch comes to is an effect, too, once the event is finished.
        let ended_with = match &branch_end {
            Some(Ending::With(_, result)) => result.as_ref(),
            Some(Ending::ByPayload) | None => None,
        };
        let said = [result.as_ref(), ended_with].into_iter().flatten();
        effects_bytes += said.map(|json| json.as_str().len() + EFFECT_OVERHEAD_BYTES).sum::<usize>();
    }
    if current.effects_bytes + effects_bytes > step.limits.effects_max_bytes {
        return Err(too_large(format!(
            "the effects of this event would have over {} bytes (effects.max.bytes)",
            step.limits.effects_max_bytes
        )));
    }
    let usage = outcome.usage;
    if let Some(agent) = usage.as_ref().and_then(|usage| usage.agent.as_ref()) {
        name("usage.agent", agent)?;
    }
    Ok(Decision { effects, effects_bytes, emitted, kept, closing, result, branch_end, usage, asked, starts })
}

/// No more of anything than its limit.
fn check_counts(context: &Context, effects: &[(Effect, RecordedEffect)], emitted: usize) -> Result<(), TaskFailure> {
    let added = |kind: fn(&Effect) -> bool| effects.iter().filter(|(effect, _)| kind(effect)).count();
    let counts = [
        (context.waits.len() + added(|e| matches!(e, Effect::WaitAdded(_))), WAITS_MAX, "waits would be open"),
        (context.scopes.len() + added(|e| matches!(e, Effect::ScopeOpened(_))), SCOPES_MAX, "scopes would be open"),
        (context.timers.len() + added(|e| matches!(e, Effect::TimerSet(_))), TIMERS_MAX, "timers would be pending"),
        (
            context.children.len() + added(|e| matches!(e, Effect::ChildStarted(_))),
            CHILDREN_MAX,
            "children would be at work",
        ),
    ];
    for (count, max, what) in counts {
        if count > max {
            return Err(invalid(format!("more than {max} {what}")));
        }
    }
    if emitted > PENDING_MAX {
        return Err(too_large(format!("{emitted} events emitted at once, at most {PENDING_MAX} are allowed")));
    }
    Ok(())
}

pub(super) fn too_large(message: String) -> TaskFailure {
    TaskFailure { code: ErrorCode::ResultTooLarge, task_code: None, message }
}

fn check_patch_size(effects: &[(Effect, RecordedEffect)], step: &Step) -> Result<(), TaskFailure> {
    let cap = step.limits.effects_max_bytes;
    if effects.iter().any(|(effect, recorded)| matches!(effect, Effect::Patch(_)) && recorded.json.as_str().len() > cap)
    {
        return Err(too_large(format!("the change of data has over {cap} bytes (effects.max.bytes)")));
    }
    Ok(())
}

/// A context over its cap could not be written: what would make it so does not take effect, and its execution ends.
///
/// `data` has at most `data_bytes`; a patch can add no more than its own length. What it comes to exactly is only
/// counted where that could matter.
fn check_context_size(
    context: &Context,
    effects: &[(Effect, RecordedEffect)],
    data_bytes: usize,
    kept_bytes: usize,
    step: &Step,
) -> Result<(), TaskFailure> {
    let cap = step.limits.context_max_bytes;
    let mut patch = None;
    let mut added = 0;
    for (effect, recorded) in effects {
        match effect {
            Effect::Patch(map) => patch = Some((map, recorded.json.as_str().len())),
            Effect::WaitAdded(wait) => added += wait.bytes(),
            Effect::ScopeOpened(scope) => added += scope.scope.len(),
            Effect::TimerSet(timer) => added += timer.bytes(),
            Effect::ChildStarted(child) => added += child.bytes(),
            _ => {}
        }
    }
    if patch.is_none() && added == 0 {
        return Ok(());
    }
    let rest = context.bytes_beside_data() + kept_bytes + added;
    if rest + data_bytes + patch.map_or(0, |(_, bytes)| bytes) <= cap {
        return Ok(());
    }
    let mut data = context.data.clone();
    if let Some((patch, _)) = patch {
        merge_patch::merge(&mut data, &Value::Object(patch.clone()));
    }
    if rest + json::length(&data) <= cap {
        return Ok(());
    }
    Err(TaskFailure {
        code: ErrorCode::LimitExceeded,
        task_code: None,
        message: format!("the context would have over {cap} bytes (context.max.bytes)"),
    })
}

/// A value from a task. Null is none, as it is in JSON: a record written with it must read back the same.
pub(super) fn returned(what: &str, value: &Value, step: &Step) -> Result<Option<Json>, TaskFailure> {
    if value.is_null() {
        return Ok(None);
    }
    check_depth(value).map_err(|why| invalid(format!("{what}: {why}")))?;
    let json = Json::from(value);
    if json.as_str().len() > step.limits.payload_max_bytes {
        return Err(too_large(format!(
            "{what} has {} bytes, payload.max.bytes is {}: keep it elsewhere and emit a reference (artifacts)",
            json.as_str().len(),
            step.limits.payload_max_bytes
        )));
    }
    Ok(Some(json))
}

pub(super) fn name(what: &str, text: &str) -> Result<String, TaskFailure> {
    if text.is_empty() || text.len() > NAME_MAX_BYTES || has_control(text) {
        return Err(invalid(format!("{what} must have 1 to {NAME_MAX_BYTES} bytes and no control characters")));
    }
    Ok(text.to_owned())
}

pub(super) fn optional_name(what: &str, text: Option<&str>) -> Result<Option<String>, TaskFailure> {
    text.map(|text| name(what, text)).transpose()
}

/// The type of the event that tells the end of a scope: a task's own, or one of the engine's for scopes.
pub(super) fn scope_event(what: &str, event_type: &str) -> Result<String, TaskFailure> {
    if is_reserved(event_type) && !event_type.starts_with("scope.") {
        return Err(invalid(format!("{what} {event_type:?} is the engine's own and can't tell the end of a scope")));
    }
    name(what, event_type)
}

fn branch_end(outcome: &Outcome, current: &Current, step: &Step) -> Result<Option<Ending>, TaskFailure> {
    let in_branch = current.event.branch.is_some();
    if let Some(value) = &outcome.complete_branch {
        if !in_branch {
            return Err(invalid("complete_branch outside of any branch"));
        }
        return Ok(Some(Ending::With(BranchStatus::Success, returned("complete_branch", value, step)?)));
    }
    Ok(match &outcome.fail {
        Some(failure) if in_branch => {
            let result =
                serde_json::json!({"code": cut_message(&failure.code), "message": cut_message(&failure.message)});
            Some(Ending::With(BranchStatus::Failed, Some(Json::from(&result))))
        }
        _ => None,
    })
}

fn closing(outcome: &Outcome, current: &Current, step: &Step) -> Result<Option<Closing>, TaskFailure> {
    if let Some(result) = &outcome.complete {
        let result = returned("complete", result, step)?;
        return Ok(Some(Closing { status: WorkflowStatus::Success, result, error: None }));
    }
    Ok(match &outcome.fail {
        Some(failure) if current.event.branch.is_none() => Some(Closing::failed(&failure.code, &failure.message)),
        _ => None,
    })
}
