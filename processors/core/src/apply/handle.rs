//! The next queued event is handled: numbered, placed in its branch, routed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Action, Attempt, Current, Notice, Step, TaskRef, admit, approval, branch, budget, child as children, close, early,
    for_each, outcome, plan, redrive, reply, report, segment, task_command, tool_call, wait,
};
use crate::approval::{Approval, DECIDED};
use crate::child;
use crate::context::{BranchOpening, Child, Context, ReplyTo, Wait};
use crate::effect::{BranchOpened, ChildRef, Created, Effect, PendingRef, WaitTaken, to_hex};
use crate::event::Event;
use crate::execution::{Execution, Queued};
use crate::inbound::STARTED;
use crate::json::Json;
use crate::message_class::MessageClass;
use crate::status::WorkflowStatus;
use crate::task::{TaskCall, TaskContext};
use crate::workflow::Workflow;

pub(super) fn begin(execution: &mut Execution, step: &Step, actions: &mut Vec<Action>) {
    let Some(queued) = execution.pop() else { return };
    execution.handled_in_step += 1;
    execution.root_changed = true;
    if redrive::begins(&queued) {
        redrive::begin(execution, queued, step, actions);
        return;
    }
    let Some(queued) = early::keep(execution, queued, step) else { return };
    handle(execution, queued, Routing::Tasks, step, actions);
}

/// Whom an event goes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Routing {
    /// The tasks that are registered for its type.
    Tasks,
    /// Nobody: it is published, as unhandled.
    Nobody,
}

pub(super) fn handle(
    execution: &mut Execution,
    queued: Queued,
    routing: Routing,
    step: &Step,
    actions: &mut Vec<Action>,
) {
    let Queued { event: mut shared, depth, input, opens, logged } = queued;
    let event = Arc::make_mut(&mut shared);
    number(execution, event, step);
    let is_log = event.message_class == MessageClass::Log.as_str();
    let place = place(execution, event, input.is_some() && !is_log, step);
    let mut current = Box::new(Current::of_input(shared, depth, input));
    if logged {
        current.add(execution, Effect::PendingTaken(PendingRef { event_id: current.event.event_id.clone(), depth }));
    }
    let begins = execution.context().is_some_and(|context| context.status == WorkflowStatus::Pending);
    if begins && report::opens(&current.event) {
        start(execution, &mut current, step, actions);
    }
    if segment::begins(&current.event) {
        segment::begin(execution, &mut current, step);
    }
    let mut heard = true;
    let tells_end = place.ends.is_some();
    if let Some(child) = place.ends {
        current.emitted.extend(children::told(execution, &current.event, &child, step));
        current.add(execution, Effect::ChildEnded(ChildRef { execution_id: child.execution_id }));
    }
    if let Some(wait_id) = place.answers {
        wait::answered(execution, &mut current, &wait_id);
        current.add(execution, Effect::WaitTaken(WaitTaken { wait_id }));
        if let Some(task_id) = place.asked_by.filter(|_| current.event.event_type == DECIDED) {
            heard = approval::decide(execution, &mut current, &task_id, step, actions);
        }
    }
    if place.late && !is_log {
        current.come_late(execution, actions);
    }
    if let Some(opening) = opens {
        open_branch(execution, &mut current, opening, step);
    }
    if depth > step.limits.chain_max_depth as i32 {
        current.closing = Some(close::chain_exceeded(step));
    } else if routing == Routing::Nobody {
        // In a branch that is told anyway, with what it means for the branch.
        if current.event.branch.is_none() {
            branch::unhandled(execution, &mut current, step);
        }
    } else if heard && !place.late && !is_log && !tells_end {
        let before = plan::of(execution.context(), &current);
        report::fold(execution, &mut current, step);
        plan::fold(execution, &mut current);
        plan::tell(execution, &mut current, before.as_ref(), step);
        tool_call::fold(execution, &mut current, actions);
        match &place.answered_as {
            Some(event_type) => route_as(execution, &mut current, event_type, step),
            None => route(execution, &mut current, step),
        }
    }
    execution.current = Some(current);
    next_task(execution, step, actions);
}

/// The first event of a branch opens it, and where it is the last of those that a for-each began, begins the next.
pub(super) fn open_branch(execution: &mut Execution, current: &mut Current, opening: BranchOpening, step: &Step) {
    let event = Arc::clone(&current.event);
    let Some((scope, branch)) = event.place() else { return };
    if !current.late {
        for_each::begin_more(execution, current, scope, &opening, step);
    }
    let (scope, branch) = (scope.to_owned(), branch.to_owned());
    let opened = BranchOpened { scope, branch, ordinal: opening.ordinal, ends_on: opening.ends_on };
    current.add(execution, Effect::BranchOpened(opened));
}

pub(super) fn number(execution: &mut Execution, event: &mut Event, step: &Step) {
    let Some(context) = &mut execution.records.context else { return };
    context.sequence += 1;
    context.updated_at = step.now;
    event.sequence = context.sequence;
    event.recorded_at = Some(step.now);
    if event.execution_id != context.execution_id {
        event.execution_id.clone_from(&context.execution_id);
    }
    set_kept(&mut event.workflow_id, Some(&context.workflow_id), "workflow_id", &mut event.ext);
    set_kept(&mut event.workflow_version, context.workflow_version.as_ref(), "workflow_version", &mut event.ext);
}

/// An event is of its execution's workflow; where it names another that is kept beside it.
fn set_kept(field: &mut Option<String>, value: Option<&String>, name: &str, ext: &mut BTreeMap<String, Json>) {
    if field.as_ref() == value {
        return;
    }
    if let Some(own) = std::mem::replace(field, value.cloned()) {
        ext.insert(name.to_owned(), Json::from(&serde_json::Value::from(own)));
    }
}

pub(super) struct Place {
    late: bool,
    pub answers: Option<String>,
    /// The type that was waited for, where a command stands for an event of it.
    answered_as: Option<String>,
    /// The task whose wait it answers.
    asked_by: Option<String>,
    /// The child whose end it tells.
    pub ends: Option<Child>,
}

/// Finds the branch of an event from outside: by its fields, else by its parent event, else by the wait that it answers.
pub(super) fn place(execution: &mut Execution, event: &mut Event, from_outside: bool, step: &Step) -> Place {
    let (mut answers, mut answered_as, mut asked_by, mut ends) = (None, None, None, None);
    if from_outside && event.event_type == child::ENDED {
        ends = end_of_child(execution, event);
        if ends.is_none() {
            // It was given up while its end was on the way.
            return Place { late: true, answers, answered_as, asked_by, ends };
        }
    } else if from_outside && let Some(context) = &execution.records.context {
        let (scope, branch) = origin(context, event);
        let (scope, branch) = (scope.cloned(), branch.cloned());
        (event.scope, event.branch) = (scope, branch);
        let resumed = task_command::wait_of(context, event);
        let wait = resumed.or_else(|| wait_of(context, event, (event.scope.as_ref(), event.branch.as_ref())));
        answered_as = resumed.map(|wait| wait.event_type.clone());
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
    let late = event.place().is_some_and(|(scope, branch)| admit::is_late(execution, scope, branch, step));
    Place { late, answers, answered_as, asked_by, ends }
}

/// The child whose end it tells: it belongs to where that was started.
fn end_of_child(execution: &Execution, event: &mut Event) -> Option<Child> {
    let child = children::ended(execution.context()?, event)?.clone();
    event.scope.clone_from(&child.scope);
    event.branch.clone_from(&child.branch);
    event.correlation_id = Some(child.correlation_id.clone());
    Some(child)
}

/// A branch, where there is one: scope and name.
type Origin<'a> = (Option<&'a String>, Option<&'a String>);

/// The branch of an event from outside, by its fields, else by its parent event.
pub(super) fn origin<'a>(context: &'a Context, event: &'a Event) -> Origin<'a> {
    let parent = event.parent_event_id.as_ref().filter(|_| event.scope.is_none());
    match parent.and_then(|parent| context.processed.iter().find(|processed| processed.event_id == *parent)) {
        Some(known) => (known.scope.as_ref(), known.branch.as_ref()),
        None => (event.scope.as_ref(), event.branch.as_ref()),
    }
}

/// The open wait that an event from outside answers.
pub(super) fn wait_of<'a>(context: &'a Context, event: &Event, (scope, branch): Origin<'_>) -> Option<&'a Wait> {
    let approval = if event.event_type == DECIDED { Approval::of(event).ok() } else { None };
    context.waits.iter().find(|wait| {
        wait.event_type == event.event_type
            && approval.as_ref().is_none_or(|approval| approval.answers(wait))
            && wait.correlation_key.as_ref().is_none_or(|key| event.correlation_id.as_ref() == Some(key))
            && (scope.is_none() || (scope == wait.scope.as_ref() && branch == wait.branch.as_ref()))
    })
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
        tracked: context.tracked.is_some(),
        reply_to: ReplyTo::of(&current.event),
        budgets: current.event.ext.get(admit::BUDGETS).map(|budgets| budgets.as_str().to_owned()),
        parent: child::parent_of(&current.event),
    };
    actions.push(Action::Notice(Notice::Started { workflow_id: context.workflow_id.clone() }));
    let sequence = context.sequence;
    reply::acknowledge(execution, current, step);
    current.add(execution, Effect::Created(Box::new(created)));
    budget::limit_time(execution, current, step);
    if let Some(context) = &mut execution.records.context {
        context.sequence = sequence;
    }
}

/// The tasks that the current event goes to: those that a command names, else those that handle its type.
pub(super) fn route(execution: &Execution, current: &mut Current, step: &Step) {
    let Some(workflow) = workflow_of(execution, step) else { return };
    if segment::begins(&current.event) {
        return route_as(execution, current, STARTED, step);
    }
    match task_command::commanded(workflow, &current.event) {
        Some(tasks) => current.tasks = tasks.into(),
        None => {
            let event = Arc::clone(&current.event);
            route_as(execution, current, &event.event_type, step);
        }
    }
}

/// It goes to the tasks that handle events of this type.
fn route_as(execution: &Execution, current: &mut Current, event_type: &str, step: &Step) {
    if let Some(workflow) = workflow_of(execution, step) {
        current.tasks = workflow.handlers(event_type).map(|task| TaskRef(Arc::clone(task))).collect();
    }
}

fn workflow_of<'a>(execution: &Execution, step: &Step<'a>) -> Option<&'a Workflow> {
    step.workflows.get(&execution.context()?.workflow_id)
}

/// Asks for the next task of the current event, or finishes the event.
pub(super) fn next_task(execution: &mut Execution, step: &Step, actions: &mut Vec<Action>) {
    let Some(mut current) = execution.current.take() else { return };
    let (Some(task), Some(context)) = (current.tasks.pop_front(), &execution.records.context) else {
        outcome::finish(execution, current, step, actions);
        return;
    };
    let Attempt { number, redrive, .. } = current.attempt;
    let call = TaskCall {
        task: Arc::clone(&task.0),
        event: Arc::clone(&current.event),
        context: TaskContext::new(
            context.data.clone(),
            Arc::clone(&current.event),
            Arc::clone(&task.0),
            redrive,
            number,
            step.now,
        ),
    };
    current.running = Some(task);
    execution.current = Some(current);
    actions.push(Action::RunTask(call));
}
