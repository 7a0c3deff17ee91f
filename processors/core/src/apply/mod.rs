//! The step: an input in, actions out. Pure; one file for each kind of input or consequence.

mod admit;
mod approval;
mod branch;
pub(crate) mod budget;
mod cancel;
mod child;
mod close;
mod command;
mod current;
mod cut;
mod decision;
mod early;
mod emission;
mod for_each;
mod handle;
mod made;
mod outcome;
mod plan;
mod publication;
mod redrive;
mod reply;
mod report;
mod report_usage;
mod retry;
mod scope_timeout;
mod segment;
mod system_error;
mod task_command;
#[cfg(test)]
mod tests;
mod timer;
mod tool_call;
mod unstarted;
mod wait;

use std::sync::Arc;

pub(crate) use current::{Attempt, Current};
pub use report::{TASK_TABLE, WORKFLOW_TABLE};
pub use segment::CONTINUED;

use crate::error_code::ErrorCode;
use crate::event::{Event, Micros};
use crate::execution::Execution;
use crate::inbound::Inbound;
use crate::join_policy::JoinPolicy;
use crate::limits::Limits;
use crate::original_record::OriginalRecord;
use crate::record_store::RecordStore;
use crate::status::{ScopeStatus, WorkflowStatus};
use crate::task::{TaskCall, TaskRef, TaskRun};
use crate::workflow::Workflows;

/// What the step may look at beside the execution.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// The time that is recorded, in microseconds since the epoch.
    pub now: Micros,
    /// The workflows that this router knows.
    pub workflows: &'a Workflows,
    /// The limits in force.
    pub limits: &'a Limits,
    /// Where scopes and branches are found.
    pub store: &'a dyn RecordStore,
}

/// What the step is given.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "made and taken apart at once: a box would cost an allocation a task")]
pub enum Input {
    /// A record of the inbox, checked; it is queued behind what the execution has yet to handle.
    Event(Box<Inbound>),
    /// Handle the next queued event.
    Next,
    /// What became of the task that was to be run.
    TaskRan(TaskRun),
    /// The first timer that is due at [`Step::now`] fires; where none is, nothing happens.
    TimerDue,
    /// The rest of the queue waits for the next transaction.
    Cut,
}

/// What the step asks for.
#[derive(Debug)]
pub enum Action {
    /// Write this event to its channel; `input` is the position of the inbox record that it is, where it is one.
    Publish(Arc<Event>, Option<String>),
    /// Run this task and hand back what became of it.
    RunTask(TaskCall),
    /// Write this to the inbox, for another execution, with the same transaction.
    Send(Box<Event>),
    /// Write this to the dead letters.
    DeadLetter(Box<DeadLetter>),
    /// The input was handled before: drop it.
    Duplicate,
    /// Something worth counting.
    Notice(Notice),
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Why.
    pub code: ErrorCode,
    /// A sentence for people.
    pub message: String,
    /// The inbox record, where it is that which is refused; none: a task gave up on `event`.
    pub input: Option<String>,
    /// The event.
    pub event: Event,
    /// The inbox record that `event` came with, where it came with one.
    pub event_input: Option<String>,
    /// The task that gave up.
    pub task_id: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// How often what is refused, or what the task gave up on, had been redriven.
    pub redrive: u32,
    /// The inbox record as it came, where it was kept; else it is the one at hand.
    pub original: Option<OriginalRecord>,
}

/// An occurrence for the metrics.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Notice {
    Started {
        workflow_id: String,
    },
    Closed {
        workflow_id: String,
        status: WorkflowStatus,
        micros: Micros,
    },
    ScopeOpened,
    /// A scope was decided, or given up with what it is part of.
    ScopeClosed {
        policy: JoinPolicy,
        status: ScopeStatus,
        canceled: bool,
    },
    /// An event came when its branch or scope was done.
    Late,
    /// A tool's result came without its call.
    OrphanResult,
    Stalled {
        workflow_id: String,
    },
    Redriven {
        task_id: String,
    },
    RetryScheduled {
        task_id: String,
    },
}

/// How an execution is about to end.
#[derive(Clone, Debug)]
pub(crate) struct Closing {
    pub status: WorkflowStatus,
    pub result: Option<crate::json::Json>,
    pub error: Option<crate::event::EventError>,
}

impl Closing {
    /// The execution fails, for this reason.
    fn failed(code: &str, message: &str) -> Closing {
        Closing { status: WorkflowStatus::Failed, result: None, error: Some(outcome::error_of(code, message)) }
    }
}

/// Actions of most steps at most: room that a step begins with.
const ACTIONS: usize = 32;

/// Turns an input into actions and changes `execution` accordingly.
///
/// After [`Action::RunTask`] the next input must be [`Input::TaskRan`]; while [`Execution::has_queued`],
/// [`Input::Next`] goes on or [`Input::Cut`] leaves the rest as `pending`.
pub fn apply(execution: &mut Execution, input: Input, step: &Step) -> Vec<Action> {
    let mut actions = Vec::new();
    take(execution, input, step, &mut actions);
    actions
}

fn take(execution: &mut Execution, input: Input, step: &Step, actions: &mut Vec<Action>) {
    match input {
        Input::Event(inbound) => admit::admit(execution, *inbound, step, actions),
        Input::Next => handle::begin(execution, step, actions),
        Input::TaskRan(run) => outcome::fold(execution, run, step, actions),
        Input::TimerDue => timer::fire(execution, step, actions),
        Input::Cut => cut::cut(execution, step, actions),
    }
}

/// Runs a step to its end: the input, then what it queued, until the queue is empty or `cut` says to stop. Without an
/// input the timers that are due fire, each after what was queued before it.
///
/// `run` runs one task; `cut` is asked between events. The limit of events per step holds besides.
pub fn drive(
    execution: &mut Execution,
    first: Option<Inbound>,
    step: &Step,
    run: &mut dyn FnMut(TaskCall) -> TaskRun,
    cut: &mut dyn FnMut() -> bool,
) -> Vec<Action> {
    let waited = execution.has_queued();
    // A command is carried out at once.
    let joins_pending = waited && first.is_some();
    let fires = first.is_none();
    execution.handled_in_step = 0;
    let mut actions = Vec::with_capacity(ACTIONS);
    if let Some(inbound) = first {
        take(execution, Input::Event(Box::new(inbound)), step, &mut actions);
    }
    while !joins_pending && (execution.has_queued() || (fires && timer::is_due(execution, step.now))) {
        // A start is handled in the step that takes it in: until then there is nothing that could be left pending.
        // And one that a command reopens counts as closed until the command is handled.
        let starts = execution.context().is_some_and(|context| context.sequence == 0 || context.status.is_closed());
        if !starts && (execution.handled_in_step >= step.limits.step_max_events || cut()) {
            break;
        }
        let input = if execution.has_queued() { Input::Next } else { Input::TimerDue };
        take(execution, input, step, &mut actions);
        while let Some(call) = task_to_run(&mut actions) {
            take(execution, Input::TaskRan(run(call)), step, &mut actions);
        }
    }
    take(execution, Input::Cut, step, &mut actions);
    actions
}

/// The task that the last action asks for, where it asks for one.
fn task_to_run(actions: &mut Vec<Action>) -> Option<TaskCall> {
    match actions.pop_if(|action| matches!(action, Action::RunTask(_)))? {
        Action::RunTask(call) => Some(call),
        _ => None,
    }
}
