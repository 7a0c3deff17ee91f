//! The records of one execution, and how events fold into them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::apply::budget;
use crate::by_branch::ByBranch;
use crate::context::{Branch, Context, Scope, Wait};
use crate::effect::{BranchDone, BranchOpened, Closed, Continued, Created, Effect, PendingRef, ScopeClosed};
use crate::event::Event;
use crate::merge_patch;
use crate::redrive;
use crate::status::{BranchStatus, WorkflowStatus};
use crate::timer::{Purpose, Timer};

/// The records of one execution, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    /// The root record.
    pub context: Option<Context>,
    /// Scopes by id.
    pub scopes: BTreeMap<String, Scope>,
    /// Branches by scope and name.
    pub branches: ByBranch<Branch>,
    /// Emitted and not handled, as the log tells it.
    pub pending: Vec<PendingRef>,
}

impl Records {
    /// Folds a published event: its effects in order, then its sequence. One without a sequence is no part of the
    /// history: it changes nothing.
    ///
    /// # Errors
    /// Where a recorded effect can't be read.
    pub fn fold_event(&mut self, event: &Event) -> Result<(), serde_json::Error> {
        if event.sequence == 0 {
            return Ok(());
        }
        for recorded in &event.effects {
            if let Some(effect) = Effect::read(recorded)? {
                self.fold(effect, event);
            }
        }
        if let Some(context) = &mut self.context {
            context.sequence = event.sequence;
            context.updated_at = event.recorded_at.unwrap_or(event.occurred_at);
        }
        Ok(())
    }

    /// Folds one effect of `event`.
    pub fn fold(&mut self, effect: Effect, event: &Event) {
        match effect {
            Effect::Created(created) => self.create(*created, event),
            Effect::Continued(continued) => self.go_on(*continued, event),
            Effect::ScopeOpened(scope) => self.open_scope(*scope),
            Effect::BranchOpened(opened) => self.open_branch(opened, event),
            Effect::BranchHandled(handled) => {
                if let Some(branch) = self.branch_mut(&handled.scope, &handled.branch) {
                    branch.handled = handled.handled;
                    if handled.result.is_some() {
                        branch.result = handled.result;
                    }
                }
            }
            Effect::BranchDone(done) => self.finish_branch(done, event),
            Effect::ScopeClosed(closed) => self.close_scope(&closed),
            Effect::BranchesBegun(begun) => {
                if let Some(scope) = self.scopes.get_mut(&begun.scope) {
                    scope.to_begin -= begun.count;
                    if !scope.items.is_empty() {
                        scope.items.remove(0);
                    }
                }
            }
            Effect::PendingAdded(added) => self.pending.extend(added),
            Effect::PendingTaken(taken) => {
                // The oldest is taken first, but for what a command puts before it.
                if let Some(place) = self.pending.iter().position(|pending| *pending == taken) {
                    self.pending.remove(place);
                }
            }
            effect => {
                if let Effect::Closed(Closed { resumable: false, .. }) = effect {
                    self.pending.clear();
                }
                if let Some(context) = &mut self.context {
                    fold_root(context, effect, event);
                }
            }
        }
    }

    fn create(&mut self, created: Created, event: &Event) {
        let now = event.recorded_at.unwrap_or(event.occurred_at);
        // The step opens a shell of a context when it takes the start in, with the input id in the window.
        let shell = self.context.take();
        self.context = Some(Context {
            workflow_id: created.workflow_id,
            workflow_version: created.workflow_version,
            status: WorkflowStatus::Running,
            data: match event.payload_value() {
                data @ Value::Object(_) => data.into(),
                _ => Value::Object(Map::new()).into(),
            },
            correlation_id: created.correlation_id,
            applied_offset: shell.as_ref().map_or(-1, |c| c.applied_offset),
            start_id: from_hex(&created.start_id),
            input_ids: shell.map_or_else(Vec::new, |c| c.input_ids),
            tracked: created.tracked.then(Vec::new),
            reply_to: created.reply_to,
            budgets: created.budgets,
            parent: created.parent,
            ..Context::unstarted(&event.execution_id, now)
        });
    }

    /// Where nothing is known, what the boundary tells is all there is.
    fn go_on(&mut self, continued: Continued, event: &Event) {
        let Continued { context: carried, pending } = continued;
        match &mut self.context {
            Some(context) => context.segment = carried.segment,
            None => {
                let data = event.payload_value().into();
                self.context = Some(Context { data, applied_offset: -1, ..carried });
                self.pending = pending;
            }
        }
    }

    fn open_scope(&mut self, scope: Scope) {
        if let (Some(parent), Some(branch)) = (&scope.parent_scope, &scope.parent_branch)
            && let Some(branch) = self.branches.get_mut(parent, branch)
        {
            branch.open_scopes += 1;
        }
        if let Some(context) = &mut self.context {
            context.scopes.push(scope.scope.clone());
            context.stalled = false;
        }
        self.scopes.insert(scope.scope.clone(), scope);
    }

    fn open_branch(&mut self, opened: BranchOpened, event: &Event) {
        let (scope, name) = (opened.scope.clone(), opened.branch.clone());
        let branch = Branch {
            execution_id: event.execution_id.clone(),
            scope: opened.scope,
            branch: opened.branch,
            ordinal: opened.ordinal,
            status: BranchStatus::Open,
            handled: false,
            open_scopes: 0,
            ends_on: opened.ends_on,
            result: None,
        };
        self.branches.insert(&scope, &name, branch);
    }

    fn finish_branch(&mut self, done: BranchDone, event: &Event) {
        if let Some(branch) = self.branch_mut(&done.scope, &done.branch) {
            branch.status = done.status;
            if done.payload_is_result {
                branch.result = redrive::handled_payload(event);
            } else if done.result.is_some() {
                branch.result = done.result;
            }
        }
        // Nobody waits for what a branch that is done has asked for.
        if let Some(context) = &mut self.context {
            let of_branch =
                |wait: &Wait| wait.scope.as_ref() == Some(&done.scope) && wait.branch.as_ref() == Some(&done.branch);
            context.waits.retain(|wait| !of_branch(wait));
            context.timers.retain(|timer| !timer.is_of(&done.scope, &done.branch));
            context.children.retain(|child| !child.is_of(&done.scope, Some(&done.branch)));
        }
        if let Some(scope) = self.scopes.get_mut(&done.scope) {
            match done.status {
                BranchStatus::Failed => scope.failed += 1,
                BranchStatus::Success | BranchStatus::Open => scope.succeeded += 1,
            }
        }
    }

    fn close_scope(&mut self, closed: &ScopeClosed) {
        let Some(scope) = self.scopes.get_mut(&closed.scope) else { return };
        scope.status = closed.status;
        scope.canceled = closed.canceled;
        scope.items.clear();
        if let (Some(parent), Some(branch)) = (&scope.parent_scope, &scope.parent_branch)
            && let Some(branch) = self.branches.get_mut(parent, branch)
        {
            branch.open_scopes -= 1;
        }
        if let Some(context) = &mut self.context {
            context.scopes.retain(|id| *id != closed.scope);
            // Branches that it was decided without have nothing left to do.
            let is_left = |timer: &Timer| {
                timer.scope.as_ref() != Some(&closed.scope) && !timer.is_about(Purpose::Scope, &closed.scope)
            };
            context.timers.retain(is_left);
            context.children.retain(|child| !child.is_of(&closed.scope, None));
        }
    }

    fn branch_mut(&mut self, scope: &str, branch: &str) -> Option<&mut Branch> {
        self.branches.get_mut(scope, branch)
    }
}

fn fold_root(context: &mut Context, effect: Effect, event: &Event) {
    match effect {
        Effect::Patch(patch) => merge_patch::merge(&mut context.data, &Value::Object(patch)),
        Effect::Status(changed) => context.status = changed.status,
        Effect::Task(tried) => match context.tasks.iter_mut().find(|task| task.task_id == tried.task_id) {
            Some(task) => *task = tried,
            None => context.tasks.push(tried),
        },
        Effect::WaitAdded(wait) => {
            context.waits.push(*wait);
            context.stalled = false;
        }
        Effect::WaitTaken(taken) => context.waits.retain(|wait| wait.wait_id != taken.wait_id),
        Effect::Used(more) => budget::fold(&mut context.used, &more),
        Effect::LimitReached(reached) => {
            if let Some(used) = context.used.iter_mut().find(|used| used.agent == reached.agent) {
                used.reached.push(reached.name);
            }
        }
        Effect::Stalled {} => context.stalled = true,
        Effect::Closed(closed) => {
            context.status = closed.status;
            context.completed_at = Some(event.recorded_at.unwrap_or(event.occurred_at));
            context.stalled = false;
            context.children.clear();
            context.tool_calls.clear();
            context.end = None;
            if !closed.resumable {
                context.waits.clear();
                context.scopes.clear();
                context.pending.clear();
                context.timers.clear();
            }
        }
        Effect::ChildStarted(child) => {
            context.children.push(*child);
            context.stalled = false;
        }
        Effect::ChildEnded(ended) => context.children.retain(|child| child.execution_id != ended.execution_id),
        Effect::ToolCalled(called) => context.tool_calls.push(called.call),
        Effect::ToolReturned(returned) => {
            if let Some(place) = context.tool_calls.iter().position(|call| *call == returned.call) {
                context.tool_calls.remove(place);
            }
        }
        Effect::EndHeld(end) => context.end = serde_json::to_string(&end).ok(),
        Effect::Tracked(reported) => {
            let tracked = context.tracked.get_or_insert_default();
            match tracked.iter_mut().find(|task| task.task_id == reported.task_id) {
                Some(task) => *task = reported,
                None => tracked.push(reported),
            }
        }
        Effect::Redriven(redriven) => {
            if context.status == WorkflowStatus::Failed {
                context.status = WorkflowStatus::Running;
                context.completed_at = None;
            }
            // Its attempts begin anew.
            if let Some(task) = context.tasks.iter_mut().find(|task| task.task_id == redriven.task_id) {
                task.failures = 0;
            }
        }
        // `stalled` is left as it is: older builds, which ignore this kind, know that field.
        Effect::TimerSet(timer) => context.timers.push(*timer),
        Effect::TimerFired(gone) | Effect::TimerCancelled(gone) => {
            context.timers.retain(|timer| timer.timer_id != gone.timer_id);
        }
        _ => {}
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
