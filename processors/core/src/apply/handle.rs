//! The next queued event is handled: numbered, placed in its branch, routed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Action, Current, Notice, Step, TaskRef, admit, approval, close, for_each, outcome, redrive, reply};
use crate::approval::{Approval, DECIDED};
use crate::context::{BranchOpening, ReplyTo};
use crate::effect::{BranchOpened, Created, Effect, PendingRef, WaitTaken, to_hex};
use crate::event::{Event, RecordedEffect};
use crate::execution::{Execution, Queued};
use crate::identity;
use crate::inbound::STARTED;
use crate::task::{TaskCall, TaskContext};

pub(super) fn begin(execution: &mut Execution, step: &Step, actions: &mut Vec<Action>) {
    let Some(queued) = execution.pop() else { return };
    execution.handled_in_step += 1;
    execution.root_changed = true;
    if redrive::begins(&queued) {
        redrive::begin(execution, queued, step, actions);
        return;
    }
    let Queued { mut event, depth, input, opens, logged } = queued;
    number(execution, &mut event, step);
    let place = place(execution, &mut event, input.is_some(), step);
    let mut current = Current { input, ..Current::new(*event, depth) };
    if logged {
        current.add(execution, Effect::PendingTaken(PendingRef { event_id: current.event.event_id.clone(), depth }));
    }
    if current.event.event_type == STARTED {
        start(execution, &mut current, step, actions);
    }
    let mut heard = true;
    if let Some(wait_id) = place.answers {
        current.add(execution, Effect::WaitTaken(WaitTaken { wait_id }));
        if let Some(task_id) = place.asked_by.filter(|_| current.event.event_type == DECIDED) {
            heard = approval::decide(execution, &mut current, &task_id, step, actions);
        }
    }
    if place.late {
        current.come_late(execution, actions);
    }
    if let Some(opening) = opens {
        open_branch(execution, &mut current, opening, step);
    }
    if depth > step.limits.chain_max_depth as i32 {
        current.closing = Some(close::chain_exceeded(step));
    } else if heard && !place.late {
        route(execution, &mut current, step);
    }
    execution.current = Some(Box::new(current));
    next_task(execution, step, actions);
}

/// The first event of a branch opens it, and where it is the last of those that a for-each began, begins the next.
pub(super) fn open_branch(execution: &mut Execution, current: &mut Current, opening: BranchOpening, step: &Step) {
    let Some((scope, branch)) = current.branch() else { return };
    if !current.late {
        for_each::begin_more(execution, current, &scope, &opening, step);
    }
    let opened = BranchOpened { scope, branch, ordinal: opening.ordinal, ends_on: opening.ends_on };
    current.add(execution, Effect::BranchOpened(opened));
}

pub(super) fn number(execution: &mut Execution, event: &mut Event, step: &Step) {
    let Some(context) = &mut execution.records.context else { return };
    context.sequence += 1;
    context.updated_at = step.now;
    event.sequence = context.sequence;
    event.recorded_at = Some(step.now);
    event.execution_id.clone_from(&context.execution_id);
    event.workflow_id = Some(context.workflow_id.clone());
    event.workflow_version.clone_from(&context.workflow_version);
}

pub(super) struct Place {
    late: bool,
    pub answers: Option<String>,
    /// The task whose wait it answers.
    asked_by: Option<String>,
}

/// Finds the branch of an event from outside: by its fields, else by its parent event, else by the wait that it answers.
pub(super) fn place(execution: &mut Execution, event: &mut Event, from_outside: bool, step: &Step) -> Place {
    let (mut answers, mut asked_by) = (None, None);
    if from_outside && let Some(context) = &execution.records.context {
        if event.scope.is_none()
            && let Some(parent) = &event.parent_event_id
            && let Some(known) = context.processed.iter().find(|processed| processed.event_id == *parent)
        {
            event.scope.clone_from(&known.scope);
            event.branch.clone_from(&known.branch);
        }
        let approval = if event.event_type == DECIDED { Approval::of(event).ok() } else { None };
        let wait = context.waits.iter().find(|wait| {
            wait.event_type == event.event_type
                && approval.as_ref().is_none_or(|approval| approval.answers(wait))
                && wait.correlation_key.as_ref().is_none_or(|key| event.correlation_id.as_ref() == Some(key))
                && (event.scope.is_none() || (event.scope == wait.scope && event.branch == wait.branch))
        });
        if let Some(wait) = wait {
            answers = Some(wait.wait_id.clone());
            asked_by = Some(wait.task_id.clone());
            event.scope.clone_from(&wait.scope);
            event.branch.clone_from(&wait.branch);
            keep_correlation(event, &wait.correlation_id);
        }
        if event.correlation_id.is_none() {
            event.correlation_id = Some(context.correlation_id.clone());
        }
    }
    let late = match (event.scope.clone(), event.branch.clone()) {
        (Some(scope), Some(branch)) => admit::is_late(execution, &scope, &branch, step),
        _ => false,
    };
    Place { late, answers, asked_by }
}

/// The answer to a wait goes on under the wait's correlation id; one of its own is kept beside it.
fn keep_correlation(event: &mut Event, correlation_id: &str) {
    if let Some(own) = event.correlation_id.replace(correlation_id.to_owned())
        && own != correlation_id
    {
        event.ext.insert("correlation_id".to_owned(), crate::json::Json::from(&serde_json::Value::from(own)));
    }
}

fn start(execution: &mut Execution, current: &mut Current, step: &Step, actions: &mut Vec<Action>) {
    let Some(context) = &execution.records.context else { return };
    let created = Created {
        workflow_id: context.workflow_id.clone(),
        workflow_version: context.workflow_version.clone(),
        correlation_id: context.correlation_id.clone(),
        start_id: to_hex(&context.start_id),
        reply_to: ReplyTo::of(&current.event),
        budgets: current.event.ext.get(admit::BUDGETS).map(|budgets| budgets.as_str().to_owned()),
    };
    actions.push(Action::Notice(Notice::Started { workflow_id: context.workflow_id.clone() }));
    let sequence = context.sequence;
    reply::acknowledge(execution, current, step);
    current.add(execution, Effect::Created(created));
    if let Some(context) = &mut execution.records.context {
        context.sequence = sequence;
    }
}

pub(super) fn route(execution: &Execution, current: &mut Current, step: &Step) {
    let workflow = execution.records.context.as_ref().and_then(|context| step.workflows.get(&context.workflow_id));
    if let Some(workflow) = workflow {
        current.tasks = workflow.handlers(&current.event.event_type).map(|task| TaskRef(Arc::clone(task))).collect();
    }
}

/// Asks for the next task of the current event, or finishes the event.
pub(super) fn next_task(execution: &mut Execution, step: &Step, actions: &mut Vec<Action>) {
    let Some(mut current) = execution.current.take() else { return };
    let (Some(task), Some(context)) = (current.tasks.pop_front(), &execution.records.context) else {
        outcome::finish(execution, *current, step, actions);
        return;
    };
    let redrive = current.input.as_ref().map_or(0, |input| input.redrive);
    let call = TaskCall {
        task: Arc::clone(&task.0),
        event: Arc::clone(&current.event),
        context: TaskContext {
            data: context.data.clone(),
            execution_id: context.execution_id.clone(),
            workflow_id: context.workflow_id.clone(),
            attempt: 1,
            idempotency_key: identity::derived_id(
                &context.execution_id,
                &current.event.event_id,
                redrive,
                task.0.task_id(),
                0,
                0,
            ),
            now: step.now,
        },
    };
    current.running = Some(task);
    execution.current = Some(current);
    actions.push(Action::RunTask(call));
}

impl Current {
    /// An event that is to be handled.
    pub fn new(event: Event, depth: i32) -> Current {
        Current {
            event: Arc::new(event),
            carrier: None,
            depth,
            input: None,
            tasks: VecDeque::new(),
            running: None,
            effects: Vec::new(),
            effects_bytes: 0,
            opened: Vec::new(),
            emitted: Vec::new(),
            remarks: Vec::new(),
            closing: None,
            handled_by: Vec::new(),
            failed: false,
            error: None,
            late: false,
            duration_ms: 0.0,
            last_result: None,
        }
    }

    /// The branch of the event.
    pub fn branch(&self) -> Option<(String, String)> {
        Some((self.event.scope.clone()?, self.event.branch.clone()?))
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
        self.branches_changed.insert((scope.to_owned(), branch.to_owned()));
    }

    fn mark_scope(&mut self, scope: &str, parent_scope: Option<&str>, parent_branch: Option<&str>) {
        self.scopes_changed.insert(scope.to_owned());
        if let (Some(scope), Some(branch)) = (parent_scope, parent_branch) {
            self.mark_branch(scope, branch);
        }
    }
}
