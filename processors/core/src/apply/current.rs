//! The event that is being handled, and what it has done so far.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Action, Closing, Notice};
use crate::effect::Effect;
use crate::event::{Event, EventError, Micros, RecordedEffect};
use crate::execution::{Execution, Queued};
use crate::inbound::InputRef;
use crate::json::Json;
use crate::message_class::MessageClass;
use crate::task::TaskRef;

/// Which attempt at an event is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// From 1.
    pub number: i32,
    /// How often the event was redriven: each redrive begins a series of attempts.
    pub redrive: u32,
    /// When the first attempt was, where this is another one.
    pub since: Option<Micros>,
}

/// The event that is being handled.
#[derive(Debug)]
pub(crate) struct Current {
    pub event: Arc<Event>,
    /// What is published, and has the effects, in place of an event that was published before.
    pub carrier: Option<Arc<Event>>,
    pub depth: i32,
    pub input: Option<InputRef>,
    pub attempt: Attempt,
    /// Tasks yet to run, in order.
    pub tasks: VecDeque<TaskRef>,
    pub running: Option<TaskRef>,
    pub effects: Vec<RecordedEffect>,
    pub effects_bytes: usize,
    /// The scopes that it opened.
    pub opened: Vec<String>,
    pub emitted: Vec<Queued>,
    /// The engine's own events about it: published after it, routed to nobody.
    pub remarks: Vec<Event>,
    pub closing: Option<Closing>,
    /// The tasks that handled it, in order, with commas between them.
    pub handled_by: String,
    /// Tasks that failed and will be tried again.
    pub retries: u32,
    /// A task gave up on it, and that fails the execution.
    pub failed: bool,
    /// What the last task said that gave up.
    pub error: Option<EventError>,
    /// Its branch or scope was done when it came.
    pub late: bool,
    pub duration_ms: f64,
    pub last_result: Option<Json>,
}

impl Current {
    /// An event that is to be handled.
    pub fn new(event: impl Into<Arc<Event>>, depth: i32) -> Current {
        Current {
            event: event.into(),
            carrier: None,
            depth,
            input: None,
            attempt: Attempt { number: 1, redrive: 0, since: None },
            tasks: VecDeque::new(),
            running: None,
            effects: Vec::new(),
            effects_bytes: 0,
            opened: Vec::new(),
            emitted: Vec::new(),
            remarks: Vec::new(),
            closing: None,
            handled_by: String::new(),
            retries: 0,
            failed: false,
            error: None,
            late: false,
            duration_ms: 0.0,
            last_result: None,
        }
    }

    /// The same of an event that came with this input, where it came with one.
    pub fn of_input(event: impl Into<Arc<Event>>, depth: i32, input: Option<InputRef>) -> Current {
        let mut current = Current::new(event, depth);
        current.attempt.redrive = input.as_ref().map_or(0, |input| input.redrive);
        current.input = input;
        current
    }

    /// A task has handled it.
    pub fn add_handler(&mut self, task_id: &str) {
        if !self.handled_by.is_empty() {
            self.handled_by.push(',');
        }
        self.handled_by.push_str(task_id);
    }

    /// Did a task handle it, or will it?
    pub fn is_handled(&self) -> bool {
        !self.handled_by.is_empty() || self.retries > 0
    }

    /// Is it kept only, and changes nothing?
    pub fn is_log(&self) -> bool {
        self.event.message_class == MessageClass::Log.as_str()
    }

    /// Its branch or scope is done: it is told so, and no task handles it.
    pub fn come_late(&mut self, execution: &mut Execution, actions: &mut Vec<Action>) {
        self.late = true;
        self.add(execution, Effect::Late {});
        actions.push(Action::Notice(Notice::Late));
    }

    /// Folds `effect` into the execution and records it with the event.
    pub fn add(&mut self, execution: &mut Execution, effect: Effect) {
        let recorded = effect.record();
        self.add_recorded(execution, effect, recorded);
    }

    /// The same, where it has been recorded already.
    pub fn add_recorded(&mut self, execution: &mut Execution, effect: Effect, recorded: RecordedEffect) {
        execution.root_changed = true;
        match &effect {
            Effect::ScopeOpened(scope) => {
                self.opened.push(scope.scope.clone());
                execution.scopes_unwritten.insert(scope.scope.clone());
                execution.mark_scope(&scope.scope, scope.parent_scope.as_deref(), scope.parent_branch.as_deref())
            }
            Effect::BranchesBegun(begun) => execution.mark_scope(&begun.scope, None, None),
            Effect::BranchOpened(opened) => execution.mark_branch(&opened.scope, &opened.branch),
            Effect::BranchHandled(handled) => execution.mark_branch(&handled.scope, &handled.branch),
            Effect::BranchDone(done) => {
                execution.mark_branch(&done.scope, &done.branch);
                execution.mark_scope(&done.scope, None, None);
            }
            Effect::ScopeClosed(closed) => {
                let parent = execution
                    .records
                    .scopes
                    .get(&closed.scope)
                    .map(|s| (s.parent_scope.clone(), s.parent_branch.clone()));
                let (scope, branch) = parent.unwrap_or_default();
                execution.mark_scope(&closed.scope, scope.as_deref(), branch.as_deref());
            }
            Effect::Patch(_) => execution.data_grew(recorded.json.as_str().len()),
            _ => {}
        }
        execution.records.fold(effect, self.carrier.as_deref().unwrap_or(&self.event));
        self.effects.push(recorded);
    }
}

impl Execution {
    fn mark_branch(&mut self, scope: &str, branch: &str) {
        if self.branches_changed.get(scope, branch).is_none() {
            self.branches_changed.insert(scope, branch, ());
        }
    }

    fn mark_scope(&mut self, scope: &str, parent_scope: Option<&str>, parent_branch: Option<&str>) {
        if !self.scopes_changed.contains(scope) {
            self.scopes_changed.insert(scope.to_owned());
        }
        if let (Some(scope), Some(branch)) = (parent_scope, parent_branch) {
            self.mark_branch(scope, branch);
        }
    }
}
