//! Commands to a task, an agent or a tool of an execution: it runs on the command itself, or goes on with it.

use std::sync::Arc;

use super::Step;
use crate::command::TaskCommand;
use crate::context::{Context, Wait};
use crate::event::Event;
use crate::task::TaskRef;
use crate::workflow::Workflow;

/// Why an open execution does not allow this event, where it is such a command; none: it does.
pub(super) fn refused(context: &Context, event: &Event, step: &Step) -> Option<String> {
    let command = TaskCommand::named(&event.event_type)?;
    // What is done elsewhere has its own tasks.
    let workflow = step.workflows.get(&context.workflow_id).filter(|_| context.tracked.is_none())?;
    let Some(target) = command.target(event) else {
        return Some(format!("{command} names no {}", command.entity()));
    };
    if command == TaskCommand::Resume {
        if context.is_paused() {
            return Some(format!("the execution is {}", context.status));
        }
        return wait_of(context, event).is_none().then(|| format!("task {target:?} waits for nothing"));
    }
    if tasks(workflow, command, &target).next().is_some() {
        return None;
    }
    let known: Vec<&str> = workflow.tasks().iter().map(|task| task.task_id()).collect();
    let what = command.entity();
    Some(format!("workflow {:?} has no {what} {target:?}; its tasks are {}", workflow.id, known.join(", ")))
}

/// The tasks that a command runs; none: the event is no such command.
pub(super) fn commanded(workflow: &Workflow, event: &Event) -> Option<Vec<TaskRef>> {
    let command = TaskCommand::named(&event.event_type).filter(|command| *command != TaskCommand::Resume)?;
    let target = command.target(event)?;
    Some(tasks(workflow, command, &target).collect())
}

fn tasks<'a>(workflow: &'a Workflow, command: TaskCommand, target: &'a str) -> impl Iterator<Item = TaskRef> + 'a {
    let is_meant = move |agent: Option<&str>, task: &str| match command {
        TaskCommand::AgentExecute => agent == Some(target) || task == target,
        TaskCommand::Trigger | TaskCommand::Execute | TaskCommand::ToolExecute | TaskCommand::Resume => task == target,
    };
    let meant = workflow.tasks().iter().filter(move |task| is_meant(task.agent(), task.task_id()));
    meant.map(|task| TaskRef(Arc::clone(task)))
}

/// The first open wait of the task that a command resumes.
pub(super) fn wait_of<'a>(context: &'a Context, event: &Event) -> Option<&'a Wait> {
    let resume = TaskCommand::named(&event.event_type).filter(|command| *command == TaskCommand::Resume)?;
    let target = resume.target(event)?;
    context.waits.iter().find(|wait| wait.task_id == target)
}
