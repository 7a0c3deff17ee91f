//! Branches end, scopes join.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Action, Closing, Current, Notice, Step, admit, cancel, child, publication};
use crate::channel::Channel;
use crate::child::ENDED;
use crate::context::{Branch, Scope};
use crate::effect::{BranchDone, BranchHandled, Effect, ScopeClosed};
use crate::execution::{Execution, Queued};
use crate::identity;
use crate::join_policy::JoinPolicy;
use crate::json::Json;
use crate::limits::SCOPE_RESULTS_MAX_BYTES;
use crate::message_class::MessageClass;
use crate::status::{BranchStatus, ScopeStatus};
use crate::timer::{Purpose, SCOPE_TIMED_OUT, WAITING_TIMED_OUT};

/// How a branch ends.
pub(super) enum Ending {
    /// With this result, or where it is none with what a task said last.
    With(BranchStatus, Option<Json>),
    /// With the payload of the current event.
    ByPayload,
}

/// A branch is done; its scope may be now. What is open within it is given up.
pub(super) fn done(
    execution: &mut Execution,
    current: &mut Current,
    scope: &str,
    branch: &str,
    ending: Ending,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let record = execution.records.branches.get(scope, branch);
    let Some(open) = record.filter(|record| record.status == BranchStatus::Open) else { return };
    let has_scopes = open.open_scopes > 0;
    if execution.load_scope(scope, step.store).is_none_or(|record| record.status != ScopeStatus::Open) {
        return;
    }
    let (status, result, payload_is_result) = match ending {
        Ending::With(status, result) => (status, result, false),
        Ending::ByPayload => (BranchStatus::Success, None, true),
    };
    child::give_up(execution, scope, Some(branch), step, actions);
    let (of, name) = (scope.to_owned(), branch.to_owned());
    let ended = BranchDone { scope: of, branch: name, status, result, payload_is_result };
    current.add(execution, Effect::BranchDone(ended));
    if has_scopes {
        cancel::within(execution, current, scope, Some(branch), step, actions);
    }
}

/// After the tasks of an event: its branch may have ended, and with it the scope, and so on upwards.
pub(super) fn settle(execution: &mut Execution, current: &mut Current, step: &Step, actions: &mut Vec<Action>) {
    propagate_failure(execution, current, step, actions);
    let event = Arc::clone(&current.event);
    if let Some((scope, branch)) = event.place() {
        if !current.late {
            mark_handled(execution, current, scope, branch, step);
            // A task that gave up may run again on this event: its branch is not done.
            if !current.failed && !is_tried_again(execution, current) {
                end_by_type(execution, current, scope, branch, step, actions);
            }
            end_by_quiescence(execution, current, scope, branch, step, actions);
        }
        join(execution, current, scope, step, actions);
    }
    for scope in std::mem::take(&mut current.opened) {
        actions.push(Action::Notice(Notice::ScopeOpened));
        let lost = event.place().is_some_and(|(of, branch)| admit::is_late(execution, of, branch, step));
        let open = execution.records.scopes.get(&scope).is_some_and(|record| record.status == ScopeStatus::Open);
        if lost && open {
            cancel::scope(execution, current, &scope, step, actions);
        } else {
            // A fan-out without a required branch is decided as soon as it is opened.
            join(execution, current, &scope, step, actions);
        }
    }
}

/// A scope's failure that no task handles fails what the scope is part of.
fn propagate_failure(execution: &mut Execution, current: &mut Current, step: &Step, actions: &mut Vec<Action>) {
    let event = Arc::clone(&current.event);
    let is_scopes = current.input.is_none()
        && event.status.as_deref() == Some(ScopeStatus::Failed.as_str())
        && event.source.as_deref() == Some(ENGINE);
    let is_childs = child::tells_failure(current);
    if !(is_scopes || is_childs) || current.is_handled() {
        return;
    }
    let (what, code) = if is_childs { ("child", "CHILD_FAILED") } else { ("scope", "SCOPE_FAILED") };
    let message = format!("{what} failed and no task handles {}", event.event_type);
    match event.place() {
        Some((scope, branch)) => {
            let result = Json::from(&json!({"code": code, "message": message}));
            let ending = Ending::With(BranchStatus::Failed, Some(result));
            done(execution, current, scope, branch, ending, step, actions);
        }
        None if current.closing.is_none() => {
            current.closing = Some(Closing::failed(code, &message));
        }
        None => {}
    }
}

/// Source of the events that the engine makes.
pub(super) const ENGINE: &str = "thalweg";

fn mark_handled(execution: &mut Execution, current: &mut Current, scope: &str, branch: &str, step: &Step) {
    execution.load_branch(scope, branch, step.store);
    let Some(record) = execution.records.branches.get(scope, branch) else { return };
    // That a wait or a fan-out was in vain, or a child has ended, is no work of the branch: what it leads to is.
    if record.status != BranchStatus::Open
        || [WAITING_TIMED_OUT, SCOPE_TIMED_OUT, ENDED].contains(&&*current.event.event_type)
    {
        return;
    }
    let handled = current.is_handled();
    let ends = record.ends_on.as_deref() == Some(current.event.event_type.as_str());
    if record.handled != handled || current.last_result.is_some() {
        let result = current.last_result.clone();
        current.add(
            execution,
            Effect::BranchHandled(BranchHandled {
                scope: scope.to_owned(),
                branch: branch.to_owned(),
                handled,
                result,
            }),
        );
    }
    if !handled && !ends {
        unhandled(execution, current, step);
    }
}

/// Tells that no task handles the current event.
pub(super) fn unhandled(execution: &Execution, current: &mut Current, step: &Step) {
    let mut remark = current.event.follow_up("event.unhandled");
    remark.event_id = publication::made_id(execution, &current.event, "event.unhandled");
    remark.channel = Channel::SystemEvents.as_str().to_owned();
    remark.message_class = MessageClass::State.as_str().to_owned();
    remark.source = Some(ENGINE.to_owned());
    remark.occurred_at = step.now;
    remark.payload =
        Some(Json::from(&json!({"event_id": current.event.event_id, "event_type": current.event.event_type})));
    current.remarks.push(remark);
}

/// Does a retry of a task wait that failed on this event?
fn is_tried_again(execution: &Execution, current: &Current) -> bool {
    let timers = execution.context().map_or(&[][..], |context| &context.timers[..]);
    let event_id = Some(&current.event.event_id);
    timers.iter().any(|timer| timer.purpose == Purpose::Retry.as_str() && timer.event_id.as_ref() == event_id)
}

fn end_by_type(
    execution: &mut Execution,
    current: &mut Current,
    scope: &str,
    branch: &str,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let ends = execution
        .records
        .branches
        .get(scope, branch)
        .is_some_and(|record| record.ends_on.as_deref() == Some(current.event.event_type.as_str()));
    if ends {
        done(execution, current, scope, branch, Ending::ByPayload, step, actions);
    }
}

/// The newest event of the branch was handled, and nothing of the branch is left.
fn end_by_quiescence(
    execution: &mut Execution,
    current: &mut Current,
    scope: &str,
    branch: &str,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let record = execution.records.branches.get(scope, branch);
    let (Some(record), Some(context)) = (record, execution.context()) else { return };
    let in_branch =
        |s: &Option<String>, b: &Option<String>| s.as_deref() == Some(scope) && b.as_deref() == Some(branch);
    let dry = record.handled
        && record.open_scopes == 0
        && record.ends_on.is_none()
        && execution.queued_in.get(scope, branch).is_none_or(|count| *count == 0)
        && !current.emitted.iter().any(|queued| in_branch(&queued.event.scope, &queued.event.branch))
        && !context.waits.iter().any(|wait| in_branch(&wait.scope, &wait.branch))
        && !context.timers.iter().any(|timer| timer.is_of(scope, branch))
        && !context.children.iter().any(|child| child.is_of(scope, Some(branch)));
    if dry && !current.failed {
        done(execution, current, scope, branch, Ending::With(BranchStatus::Success, None), step, actions);
    }
}

/// Once its policy is met, or can't be met any more, the scope is decided, once; branches that are open are given up.
fn join(execution: &mut Execution, current: &mut Current, scope: &str, step: &Step, actions: &mut Vec<Action>) {
    let Some(record) = execution.load_scope(scope, step.store) else { return };
    let status = record.policy.verdict(record.counts());
    if record.status != ScopeStatus::Open || status == ScopeStatus::Open {
        return;
    }
    let record = record.clone();
    decide(execution, current, &record, status, step, actions);
}

/// Decides an open scope.
pub(super) fn decide(
    execution: &mut Execution,
    current: &mut Current,
    record: &Scope,
    status: ScopeStatus,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let scope = record.scope.as_str();
    if let (Some(parent), Some(branch)) = (&record.parent_scope, &record.parent_branch) {
        execution.load_branch(parent, branch, step.store);
    }
    let completion = completion(execution, current, record, status, step);
    child::give_up(execution, scope, None, step, actions);
    current.add(execution, Effect::ScopeClosed(ScopeClosed { scope: scope.to_owned(), status, canceled: false }));
    if record.counts().open() > 0 {
        cancel::within(execution, current, scope, None, step, actions);
    }
    current.emitted.push(completion);
    actions.push(Action::Notice(Notice::ScopeClosed { policy: record.policy, status, canceled: false }));
}

/// The event that tells, in the parent scope, what the branches came to.
fn completion(execution: &mut Execution, current: &Current, scope: &Scope, status: ScopeStatus, step: &Step) -> Queued {
    let event_type = if status == ScopeStatus::Failed { &scope.failed_event } else { &scope.completed_event };
    let mut event = current.event.follow_up(event_type);
    event.event_id = identity::derived_id(&execution.id, &scope.scope, 0, "scope.closed", 1, 0);
    event.channel = Channel::ActionResults.as_str().to_owned();
    event.message_class = MessageClass::Result.as_str().to_owned();
    event.source = Some(ENGINE.to_owned());
    event.status = Some(status.as_str().to_owned());
    event.occurred_at = step.now;
    if status == ScopeStatus::Failed && current.event.event_type == SCOPE_TIMED_OUT {
        event.error.clone_from(&current.event.error);
    }
    event.correlation_id.clone_from(&scope.correlation_id);
    event.scope.clone_from(&scope.parent_scope);
    event.branch.clone_from(&scope.parent_branch);
    let results = results(execution, current, scope, step);
    let canceled = scope.counts().open();
    let payload = Completion {
        counts: Counts {
            canceled: (canceled > 0).then_some(canceled),
            failed: scope.failed,
            not_required: scope.not_required.len(),
            succeeded: scope.succeeded,
        },
        name: &scope.name,
        policy: scope.policy,
        results_in: results.is_none().then_some(ResultsIn { scope: &scope.scope, topic: "contexts" }),
        results,
        scope: &scope.scope,
        status,
    };
    event.payload = Some(Json::of(&payload));
    if payload.results_in.is_some() {
        // Whoever reads the completion event must find them, however the execution ends.
        execution.scopes_unwritten.remove(&scope.scope);
    }
    Queued { event: Arc::new(event), depth: current.depth + 1, input: None, opens: None, logged: false }
}

/// The payload of a completion event.
#[derive(Serialize)]
struct Completion<'a> {
    counts: Counts,
    name: &'a str,
    policy: JoinPolicy,
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<BTreeMap<Cow<'a, str>, BranchResult>>,
    /// Where they are, where they are too many bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    results_in: Option<ResultsIn<'a>>,
    scope: &'a str,
    status: ScopeStatus,
}

#[derive(Serialize)]
struct Counts {
    #[serde(skip_serializing_if = "Option::is_none")]
    canceled: Option<i32>,
    failed: i32,
    not_required: usize,
    succeeded: i32,
}

#[derive(Serialize)]
struct ResultsIn<'a> {
    scope: &'a str,
    topic: &'static str,
}

/// What a branch came to; one that was done says null where it said nothing.
#[derive(Serialize)]
struct BranchResult {
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Option<Box<RawValue>>>,
    status: &'static str,
}

impl BranchResult {
    fn of(branch: &Branch) -> BranchResult {
        let said = |json: &Json| serde_json::from_str(json.as_str()).ok();
        match branch.status {
            BranchStatus::Open => BranchResult { result: None, status: CANCELED },
            status => BranchResult { result: Some(branch.result.as_ref().and_then(said)), status: status.as_str() },
        }
    }
}

/// Bytes of a branch's entry in the results beside its name and result: `"":{"status":"NOT_REQUIRED","result":},`.
const RESULT_OVERHEAD_BYTES: usize = 48;

/// The status, in results, of a branch that the scope was decided without.
const CANCELED: &str = "CANCELED";

/// Each branch's status and result by its name, or none where they are too many bytes.
fn results<'a>(
    execution: &Execution,
    current: &Current,
    scope: &'a Scope,
    step: &Step,
) -> Option<BTreeMap<Cow<'a, str>, BranchResult>> {
    let bytes_max = SCOPE_RESULTS_MAX_BYTES.min(step.limits.payload_max_bytes);
    if (scope.succeeded + scope.failed) as usize * RESULT_OVERHEAD_BYTES > bytes_max {
        return None;
    }
    let mut results = BTreeMap::new();
    let mut bytes = 0;
    if scope.counts().open() > 0 {
        // Those that have not begun have no record yet.
        let queued = execution.queue.iter().chain(&current.emitted);
        let first = queued.filter(|queued| queued.opens.is_some() && queued.event.scope.as_ref() == Some(&scope.scope));
        for name in first.filter_map(|queued| queued.event.branch.clone()) {
            bytes += name.len() + RESULT_OVERHEAD_BYTES;
            results.insert(name.into(), BranchResult { result: None, status: CANCELED });
        }
    }
    for branch in execution.all_branches(&scope.scope, step.store) {
        bytes +=
            branch.branch.len() + branch.result.as_ref().map_or(0, |json| json.as_str().len()) + RESULT_OVERHEAD_BYTES;
        if bytes > bytes_max {
            return None;
        }
        results.insert(branch.branch.clone().into(), BranchResult::of(&branch));
    }
    for name in &scope.not_required {
        bytes += name.len() + RESULT_OVERHEAD_BYTES;
        if bytes > bytes_max {
            return None;
        }
        results.insert(name.into(), BranchResult { result: None, status: "NOT_REQUIRED" });
    }
    Some(results)
}
