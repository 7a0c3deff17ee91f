//! What nobody waits for any more is given up: the branches that a scope joined without, and what is open within them.

use std::collections::BTreeSet;

use super::{Action, Current, Notice, Step, child, close};
use crate::effect::{Effect, ScopeClosed, WaitTaken};
use crate::execution::Execution;
use crate::status::ScopeStatus;

/// Bytes of an effect that gives up one wait or scope: two ids and their names.
const EFFECT_BYTES: usize = 128;

/// Gives up what is open within a branch, or where that is none within every branch of a scope: waits are dropped, and
/// scopes are closed of which no event tells the end. What comes for them is late.
pub(super) fn within(
    execution: &mut Execution,
    current: &mut Current,
    scope: &str,
    branch: Option<&str>,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let open = execution.context().map_or_else(Vec::new, |context| context.scopes.clone());
    let inner: Vec<String> = open.into_iter().filter(|id| is_within(execution, id, scope, branch, step)).collect();
    give_up(execution, current, inner, Some((scope, branch)), step, actions);
}

/// Gives up a scope that was opened where it can't matter.
pub(super) fn scope(
    execution: &mut Execution,
    current: &mut Current,
    scope: &str,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    give_up(execution, current, vec![scope.to_owned()], None, step, actions);
}

/// Is an open scope part of this branch, or of any branch of `scope`?
fn is_within(execution: &mut Execution, id: &str, scope: &str, branch: Option<&str>, step: &Step) -> bool {
    let mut at = id.to_owned();
    loop {
        let Some(record) = execution.load_scope(&at, step.store) else { return false };
        let (Some(parent), Some(parent_branch)) = (&record.parent_scope, &record.parent_branch) else { return false };
        if parent == scope {
            return branch.is_none_or(|branch| branch == parent_branch);
        }
        at = parent.clone();
    }
}

fn give_up(
    execution: &mut Execution,
    current: &mut Current,
    scopes: Vec<String>,
    of: Option<(&str, Option<&str>)>,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let within: BTreeSet<&str> = scopes.iter().map(String::as_str).collect();
    let waits: Vec<String> = execution.context().map_or_else(Vec::new, |context| {
        let lost = context.waits.iter().filter(|wait| {
            let Some(scope) = wait.scope.as_deref() else { return false };
            let of_branch =
                |(s, b): (&str, Option<&str>)| s == scope && b.is_none_or(|b| wait.branch.as_deref() == Some(b));
            within.contains(scope) || of.is_some_and(of_branch)
        });
        lost.map(|wait| wait.wait_id.clone()).collect()
    });
    let count = scopes.len() + waits.len();
    if count == 0 {
        return;
    }
    let recorded: usize = current.effects.iter().map(|effect| effect.json.as_str().len()).sum();
    if recorded + count * EFFECT_BYTES > step.limits.effects_max_bytes {
        // The end gives up everything, without a list.
        let message =
            format!("giving up {count} waits and scopes at once does not fit the effects (effects.max.bytes)");
        current.closing.get_or_insert_with(|| close::limit_exceeded(message));
        return;
    }
    for wait_id in waits {
        current.add(execution, Effect::WaitTaken(WaitTaken { wait_id }));
    }
    for scope in scopes {
        let Some(record) = execution.load_scope(&scope, step.store) else { continue };
        let policy = record.policy;
        if let (Some(parent), Some(branch)) = (record.parent_scope.clone(), record.parent_branch.clone()) {
            // What is folded must be known.
            execution.load_branch(&parent, &branch, step.store);
        }
        child::give_up(execution, &scope, None, step, actions);
        let status = ScopeStatus::Failed;
        current.add(execution, Effect::ScopeClosed(ScopeClosed { scope, status, canceled: true }));
        actions.push(Action::Notice(Notice::ScopeClosed { policy, status, canceled: true }));
    }
}
