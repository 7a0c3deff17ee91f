//! What a task decided is folded in; after the last task the event is finished and published.

use std::sync::Arc;

use serde_json::Value;

use super::branch::Ending;
use super::budget::Handling;
use super::emission::Emission;
use super::timer::Setting;
use super::{
    Action, Closing, Current, DeadLetter, Step, approval, branch, budget, child, close, early, handle, reply, retry,
    system_error, timer, unstarted,
};
use crate::approval::DECIDED;
use crate::budget::Usage;
use crate::context::{Context, ProcessedEvent, Wait};
use crate::data::Data;
use crate::effect::{Effect, StatusChanged, tried};
use crate::error_code::ErrorCode;
use crate::event::{Event, EventError, Micros, RecordedEffect};
use crate::execution::{self, Execution, Queued};
use crate::identity;
use crate::inbound::is_reserved;
use crate::json::{self, Json, check_depth};
use crate::limits::{
    CHILDREN_MAX, NAME_MAX_BYTES, PENDING_MAX, PROCESSED_MAX, SCOPES_MAX, TIMERS_MAX, WAITS_MAX, cut_message,
};
use crate::merge_patch;
use crate::outcome::Outcome;
use crate::redrive::GAVE_UP;
use crate::retry::PERMANENTLY_FAILED;
use crate::status::{BranchStatus, TaskStatus, WorkflowStatus};
use crate::task::{OnFailure, Task, TaskFailure, TaskRun};
use crate::timer::Purpose;

pub(super) fn fold(execution: &mut Execution, run: TaskRun, step: &Step, actions: &mut Vec<Action>) {
    let Some(mut current) = execution.current.take() else { return };
    let Some(task) = current.running.take() else {
        execution.current = Some(current);
        return;
    };
    let task_id = task.0.task_id();
    let (agent, took_ms) = (task.0.agent(), run.duration_ms);
    current.duration_ms += took_ms;
    let data_bytes = execution.data_bytes_at_most();
    let decided = match run.result {
        Ok((outcome, after)) => decide(execution, &current, task_id, outcome, after, data_bytes, step),
        Err(failure) => Err(failure),
    };
    match decided {
        Ok(mut decision) => {
            current.add_handler(task_id);
            let usage = decision.usage.take();
            decision.take_effect(execution, &mut current, step, actions);
            let usage = usage.or_else(|| agent.map(|_| Usage::default()));
            budget::add(execution, &mut current, task_id, Handling { agent, usage, took_ms }, step);
        }
        Err(failure) => {
            if fail(execution, &mut current, task.0.as_ref(), failure, step, actions) {
                budget::add(execution, &mut current, task_id, Handling { agent, usage: None, took_ms }, step);
            }
        }
    }
    execution.current = Some(current);
    handle::next_task(execution, step, actions);
}

/// Bytes of a recorded effect beside its JSON: the kind and Avro's framing.
const EFFECT_OVERHEAD_BYTES: usize = 32;

/// An outcome that was checked whole, so that it takes effect whole or not at all.
struct Decision {
    effects: Vec<(Effect, RecordedEffect)>,
    effects_bytes: usize,
    emitted: Vec<Queued>,
    /// The events that timers keep, by the timer.
    kept: Vec<(String, Arc<Event>)>,
    closing: Option<Closing>,
    result: Option<Json>,
    branch_end: Option<Ending>,
    usage: Option<Usage>,
    asked: Option<Event>,
    /// The starts of children.
    starts: Vec<Event>,
}

impl Decision {
    fn take_effect(self, execution: &mut Execution, current: &mut Current, step: &Step, actions: &mut Vec<Action>) {
        current.effects_bytes += self.effects_bytes;
        for (effect, recorded) in self.effects {
            current.add_recorded(execution, effect, recorded);
        }
        current.emitted.extend(self.emitted);
        execution.timer_events.extend(self.kept);
        current.remarks.extend(self.asked);
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

fn decide(
    execution: &Execution,
    current: &Current,
    task_id: &str,
    outcome: Outcome,
    after: Data,
    data_bytes: usize,
    step: &Step,
) -> Result<Decision, TaskFailure> {
    let Some(context) = execution.context() else { return Err(invalid("the execution has no context")) };
    let mut makes = Emission { current, task_id, step, ordinal: 0 };
    let mut effects = vec![Effect::Task(tried(context, task_id, TaskStatus::Success, current.attempt.number))];
    let mut emitted = Vec::new();
    for event in &outcome.emit {
        emitted.push(makes.event(event, current.event.place())?);
    }
    let mut kept = Vec::new();
    for wait in &outcome.wait_for {
        let wait_id = makes.id();
        if let Some(Setting { timer, event }) = makes.wait_timer(wait, &wait_id)? {
            kept.extend(event.map(|event| (timer.timer_id.clone(), event)));
            effects.push(Effect::TimerSet(Box::new(timer)));
        }
        effects.push(Effect::WaitAdded(Wait {
            wait_id,
            event_type: name("wait_for.event_type", &wait.event_type)?,
            correlation_key: optional_name("wait_for.correlation_key", wait.correlation_key.as_deref())?,
            correlation_id: current.event.correlation_id.clone().unwrap_or_else(|| context.correlation_id.clone()),
            task_id: task_id.to_owned(),
            scope: current.event.scope.clone(),
            branch: current.event.branch.clone(),
        }));
    }
    let mut asked = None;
    if let Some(interrupt) = &outcome.interrupt {
        returned("interrupt", &serde_json::json!(interrupt), step)?;
        effects.push(Effect::WaitAdded(Wait {
            wait_id: makes.id(),
            event_type: DECIDED.to_owned(),
            correlation_key: None,
            correlation_id: current.event.correlation_id.clone().unwrap_or_else(|| context.correlation_id.clone()),
            task_id: task_id.to_owned(),
            scope: current.event.scope.clone(),
            branch: current.event.branch.clone(),
        }));
        asked = Some(approval::asked(execution, current, task_id, interrupt, step));
    }
    if let Some(fan_out) = &outcome.fan_out {
        let (scope, first_events) = makes.scope(fan_out, &after)?;
        let timer = makes.scope_timer(fan_out, &scope)?;
        effects.push(Effect::ScopeOpened(Box::new(scope)));
        effects.extend(timer.map(|timer| Effect::TimerSet(Box::new(timer))));
        emitted.extend(first_events);
    }
    for new in &outcome.timer {
        let Setting { timer, event } = makes.timer(new)?;
        kept.extend(event.map(|event| (timer.timer_id.clone(), event)));
        effects.push(Effect::TimerSet(Box::new(timer)));
    }
    let mut starts = Vec::new();
    for new in &outcome.start_child {
        let (child, start) = makes.child(context, new)?;
        if starts.iter().any(|other: &Event| other.execution_id == child.execution_id) {
            return Err(invalid(format!("start_child: two children are named {:?}", child.execution_id)));
        }
        effects.push(Effect::ChildStarted(Box::new(child)));
        starts.push(start);
    }
    if !outcome.cancel_timer.is_empty() {
        timer::check_names(&outcome.cancel_timer)?;
        effects.extend(timer::named(execution, current, &outcome.cancel_timer).map(Effect::TimerCancelled));
    }
    if outcome.continue_as_new {
        emitted.push(makes.boundary(context, &outcome, &after)?);
    }
    if let Some(patch) = patch_of(&context.data, &after)? {
        effects.insert(1, Effect::Patch(patch));
    }
    let recorded = |effect: Effect| {
        let recorded = effect.record();
        (effect, recorded)
    };
    let effects: Vec<(Effect, RecordedEffect)> = effects.into_iter().map(recorded).collect();
    check_patch_size(&effects, step)?;
    let kept_bytes = kept.iter().map(|(_, event)| execution::kept_bytes(event)).sum::<usize>();
    check_context_size(context, &effects, data_bytes, kept_bytes + execution.kept_bytes(), step)?;
    let added = |kind: fn(&Effect) -> bool| effects.iter().filter(|(effect, _)| kind(effect)).count();
    if context.waits.len() + added(|e| matches!(e, Effect::WaitAdded(_))) > WAITS_MAX {
        return Err(invalid(format!("more than {WAITS_MAX} waits would be open")));
    }
    if context.scopes.len() + added(|e| matches!(e, Effect::ScopeOpened(_))) > SCOPES_MAX {
        return Err(invalid(format!("more than {SCOPES_MAX} scopes would be open")));
    }
    if context.timers.len() + added(|e| matches!(e, Effect::TimerSet(_))) > TIMERS_MAX {
        return Err(invalid(format!("more than {TIMERS_MAX} timers would be pending")));
    }
    if context.children.len() + starts.len() > CHILDREN_MAX {
        return Err(invalid(format!("more than {CHILDREN_MAX} children would be at work")));
    }
    if emitted.len() > PENDING_MAX {
        return Err(too_large(format!("{} events emitted at once, at most {PENDING_MAX} are allowed", emitted.len())));
    }
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

pub(super) fn too_large(message: String) -> TaskFailure {
    TaskFailure { code: ErrorCode::ResultTooLarge, task_code: None, message }
}

fn patch_of(before: &Data, after: &Data) -> Result<Option<serde_json::Map<String, Value>>, TaskFailure> {
    if after.is_same(before) {
        return Ok(None);
    }
    let (Value::Object(before), Value::Object(after)) = (&**before, &**after) else {
        return Err(invalid("data must stay a JSON object"));
    };
    let Some(patch) = merge_patch::diff(before, after) else { return Ok(None) };
    let patch = Value::Object(patch);
    check_depth(&patch).map_err(invalid)?;
    match patch {
        Value::Object(map) => Ok(Some(map)),
        _ => Ok(None),
    }
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
    if text.is_empty() || text.len() > NAME_MAX_BYTES || text.chars().any(char::is_control) {
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
        Some(failure) if current.event.branch.is_none() => Some(Closing {
            status: WorkflowStatus::Failed,
            result: None,
            error: Some(error_of(&failure.code, &failure.message)),
        }),
        _ => None,
    })
}

pub(super) fn error_of(code: &str, message: &str) -> EventError {
    EventError {
        message: cut_message(message),
        code: Some(cut_message(code)),
        retryable: Some(false),
        is_final: Some(true),
        ..EventError::default()
    }
}

/// Id of an event that the engine makes about `event`. The sequence tells one handling of it from another.
pub(super) fn made_id(execution: &Execution, event: &Event, maker: &str) -> String {
    identity::derived_id(&execution.id, &event.event_id, 0, maker, 1, event.sequence.max(0) as usize)
}

/// A task failed: nothing it did stands. It is tried again, or gives up; returns whether it gave up.
fn fail(
    execution: &mut Execution,
    current: &mut Current,
    task: &dyn Task,
    failure: TaskFailure,
    step: &Step,
    actions: &mut Vec<Action>,
) -> bool {
    if retry::schedule(execution, current, task, &failure, step, actions) {
        return false;
    }
    current.add_handler(task.task_id());
    let gives_up = GivesUp { task_id: task.task_id(), several: task.retry_policy().max_attempts > 1 };
    give_up_after(execution, current, gives_up, failure, task.on_failure(), step, actions);
    true
}

/// A task gives up that can't be tried.
pub(super) fn give_up(
    execution: &mut Execution,
    current: &mut Current,
    task_id: &str,
    failure: TaskFailure,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    current.add_handler(task_id);
    let gives_up = GivesUp { task_id, several: true };
    give_up_after(execution, current, gives_up, failure, OnFailure::FailExecution, step, actions);
}

/// A task that gives up. Where it had `several` attempts that is told by itself.
struct GivesUp<'a> {
    task_id: &'a str,
    several: bool,
}

/// A task gives up: it is reported, with a dead letter, and where the task does not say otherwise its execution fails.
fn give_up_after(
    execution: &mut Execution,
    current: &mut Current,
    GivesUp { task_id, several }: GivesUp<'_>,
    failure: TaskFailure,
    on_failure: OnFailure,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let Some(context) = execution.context() else { return };
    let status =
        if failure.code == ErrorCode::TaskTimedOut { TaskStatus::TimedOut } else { TaskStatus::PermanentlyFailed };
    let attempted = tried(context, task_id, status, current.attempt.number);
    let error = failure_error(&failure, false, true);
    current.error = Some(error.clone());
    current.add(execution, Effect::Task(attempted));
    let mut failed = retry::remark(execution, current, "task.failed", task_id, step);
    let told = if several && status == TaskStatus::PermanentlyFailed { TaskStatus::Failed } else { status };
    failed.status = Some(told.as_str().to_owned());
    failed.error = Some(error.clone());
    current.remarks.push(failed);
    if several {
        let mut gave_up = retry::remark(execution, current, PERMANENTLY_FAILED, task_id, step);
        gave_up.status = Some(TaskStatus::PermanentlyFailed.as_str().to_owned());
        gave_up.error = Some(error.clone());
        current.remarks.push(gave_up);
    }
    current.remarks.push(system_error::of(execution, current, task_id, &error, step));
    actions.push(Action::DeadLetter(Box::new(DeadLetter {
        code: failure.code,
        message: format!("task {task_id}: {}", cut_message(&failure.message)),
        input: None,
        // The record of a command is not the event that it speaks of.
        event_input: current.input.as_ref().filter(|_| current.carrier.is_none()).map(|input| input.position.clone()),
        event: current.event.as_ref().clone(),
        task_id: Some(task_id.to_owned()),
        attempts: current.attempt.number,
        redrive: current.attempt.redrive,
        original: None,
    })));
    if on_failure == OnFailure::Report && failure.code != ErrorCode::LimitExceeded {
        return;
    }
    current.failed = true;
    if current.closing.is_none() {
        let status = if failure.code == ErrorCode::LimitExceeded {
            WorkflowStatus::LimitExceeded
        } else {
            WorkflowStatus::Failed
        };
        current.closing = Some(Closing { status, result: None, error: Some(error) });
    }
}

/// A task's failure, as an event tells it.
pub(super) fn failure_error(failure: &TaskFailure, retryable: bool, is_final: bool) -> EventError {
    EventError {
        exception_type: failure.task_code.as_deref().map(cut_message),
        retryable: Some(retryable),
        is_final: Some(is_final),
        ..error_of(failure.code.as_str(), &failure.message)
    }
}

/// After the last task: branches and scopes move on, the status follows, the event is published.
pub(super) fn finish(execution: &mut Execution, mut current: Current, step: &Step, actions: &mut Vec<Action>) {
    if current.is_log() && current.closing.is_none() {
        remember(execution, &current, step.now);
        publish(execution, current, actions);
        return;
    }
    branch::settle(execution, &mut current, step, actions);
    child::hold_end(execution, &mut current);
    reply::answer(execution, &mut current, step);
    remember(execution, &current, step.now);
    if let Some(closing) = current.closing.take() {
        close::close(execution, current, closing, step, actions);
        return;
    }
    for queued in std::mem::take(&mut current.emitted) {
        execution.push(queued);
    }
    early::deliver(execution);
    unstarted::release(execution, step, actions);
    let stalls = settle_status(execution, &mut current);
    // Only a stall needs the event once more: otherwise it is moved on, not copied.
    let stalled_by = stalls.then(|| current.event.clone());
    let remarks = std::mem::take(&mut current.remarks);
    publish(execution, current, actions);
    for remark in remarks {
        publish_remark(execution, remark, step, Vec::new(), actions);
    }
    if let Some(event) = stalled_by {
        close::stalled(execution, &event, step, actions);
    }
}

fn remember(execution: &mut Execution, current: &Current, now: Micros) {
    let Some(context) = &mut execution.records.context else { return };
    if context.processed.len() >= PROCESSED_MAX {
        context.processed.remove(0);
    }
    context.processed.push(ProcessedEvent {
        event_id: current.event.event_id.clone(),
        event_type: current.event.event_type.clone(),
        processed_at: now,
        processed_by: current.handled_by.clone(),
        result: if current.error.is_some() { GAVE_UP } else { "SUCCESS" }.into(),
        scope: current.event.scope.clone(),
        branch: current.event.branch.clone(),
    });
}

/// WAITING while a wait is open and no task is to be tried again, else RUNNING; where the work is done elsewhere, as it
/// is reported. Returns whether the execution has stalled.
fn settle_status(execution: &mut Execution, current: &mut Current) -> bool {
    let Some(context) = &execution.records.context else { return false };
    if context.tracked.is_some() {
        return false;
    }
    let status = execution.status_at_work();
    // That its time is limited is nothing to wait for.
    let has_timers = context.timers.iter().any(|timer| timer.known_purpose() != Some(Purpose::WallTime));
    let idle = context.waits.is_empty() && context.children.is_empty() && !has_timers;
    let stalls = !context.stalled && idle && execution.queue.is_empty();
    if context.status != status {
        current.add(execution, Effect::Status(StatusChanged { status }));
    }
    stalls
}

/// Hands the finished event on. It is held until it is known whether what follows it is handled in this step.
pub(super) fn publish(execution: &mut Execution, current: Current, actions: &mut Vec<Action>) {
    let handled = current.is_handled();
    let mut shared = current.carrier.unwrap_or(current.event);
    let event = Arc::make_mut(&mut shared);
    event.effects = current.effects;
    // What tells its own duration keeps it.
    if handled && event.duration_ms.is_none() {
        event.duration_ms = Some(current.duration_ms);
    }
    hold(execution, shared, current.input, actions);
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

fn hold(
    execution: &mut Execution,
    event: Arc<Event>,
    input: Option<crate::inbound::InputRef>,
    actions: &mut Vec<Action>,
) {
    release(execution, actions);
    execution.held = Some((event, input));
}

/// Publishes the event that is held.
pub(super) fn release(execution: &mut Execution, actions: &mut Vec<Action>) {
    if let Some((event, input)) = execution.held.take() {
        actions.push(Action::Publish(event, input.map(|input| input.position)));
    }
}
