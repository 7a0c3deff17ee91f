//! The time of a fan-out is over before its policy is met.

use serde_json::json;

use super::branch::{self, ENGINE};
use super::{Action, Current, Step, handle, outcome};
use crate::channel::Channel;
use crate::context::Scope;
use crate::event::Event;
use crate::execution::Execution;
use crate::identity;
use crate::join_policy::JoinPolicy;
use crate::json::Json;
use crate::message_class::MessageClass;
use crate::status::{ScopeStatus, TaskStatus};
use crate::timer::{SCOPE_TIMED_OUT, Timer};

/// The code of what fails by it.
const CODE: &str = "SCOPE_TIMED_OUT";

/// The scope is decided with what is there: best_effort joins, any other policy has not been met and fails. The
/// branches that are open are given up.
///
/// There is no open scope any more where its policy was met first: then its timer went with it.
pub(super) fn fire(execution: &mut Execution, timer: &Timer, step: &Step, actions: &mut Vec<Action>) {
    let Some(id) = &timer.reference else { return };
    let open = execution.load_scope(id, step.store).filter(|scope| scope.status == ScopeStatus::Open);
    let Some(scope) = open.cloned() else { return };
    if let (Some(parent), Some(branch)) = (&scope.parent_scope, &scope.parent_branch) {
        execution.load_scope(parent, step.store);
        execution.load_branch(parent, branch, step.store);
    }
    let mut event = timed_out(execution, &scope, timer, step);
    handle::number(execution, &mut event, step);
    let mut current = Current::new(event, 0);
    let status = if scope.policy == JoinPolicy::BestEffort { ScopeStatus::Joined } else { ScopeStatus::Failed };
    branch::decide(execution, &mut current, &scope, status, step, actions);
    handle::route(execution, &mut current, step);
    execution.root_changed = true;
    execution.current = Some(Box::new(current));
    handle::next_task(execution, step, actions);
}

/// The event that tells it where the scope was opened.
fn timed_out(execution: &Execution, scope: &Scope, timer: &Timer, step: &Step) -> Event {
    let message = format!("{:?} was not decided in time", scope.name);
    Event {
        event_id: identity::derived_id(&execution.id, &timer.timer_id, 0, SCOPE_TIMED_OUT, 1, 0),
        channel: Channel::TaskEvents.as_str().to_owned(),
        message_class: MessageClass::State.as_str().to_owned(),
        source: Some(ENGINE.to_owned()),
        status: Some(TaskStatus::TimedOut.as_str().to_owned()),
        error: Some(outcome::error_of(CODE, &message)),
        correlation_id: scope.correlation_id.clone(),
        scope: scope.parent_scope.clone(),
        branch: scope.parent_branch.clone(),
        payload: Some(Json::from(&json!({
            "scope": scope.scope, "name": scope.name, "policy": scope.policy,
            "succeeded": scope.succeeded, "failed": scope.failed, "open": scope.counts().open(),
        }))),
        ..Event::new(SCOPE_TIMED_OUT, step.now)
    }
}
