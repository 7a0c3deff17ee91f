//! The events of one execution as a tree: a chain of events runs straight down, what goes on side by side branches off.

mod tree;

use thalweg_core::effect::Effect;
use thalweg_core::timestamp::rfc3339;
use thalweg_core::{BranchStatus, Event};

pub use tree::{Line, draw};

/// What an event did to its execution, as far as this version knows it.
pub fn effects(event: &Event) -> impl Iterator<Item = Effect> {
    event.effects.iter().filter_map(|recorded| Effect::read(recorded).ok().flatten())
}

/// The tasks that handled an event, or the one that it is about.
pub fn tasks(event: &Event) -> String {
    let handled = effects(event).filter_map(|effect| match effect {
        Effect::Task(task) => Some(task.task_id),
        _ => None,
    });
    let about = event.entities.get("task").and_then(|task| task.id.clone());
    handled.chain(about).collect::<Vec<_>>().join(", ")
}

/// What is worth saying of an event beside its type.
pub fn remark(event: &Event) -> String {
    let mut said: Vec<String> = event.status.clone().into_iter().collect();
    if let Some(error) = &event.error {
        let code = error.code.as_ref().map_or_else(String::new, |code| format!("{code}: "));
        said.push(format!("{code}{}", error.message));
    }
    for effect in effects(event) {
        match effect {
            Effect::WaitAdded(wait) => said.push(format!("waits for {}", wait.event_type)),
            Effect::TimerSet(timer) if timer.name.is_some() => {
                said.push(format!("timer {} at {}", timer.name.unwrap_or_default(), rfc3339(timer.due_at)));
            }
            Effect::WaitTaken(_) => said.push("was waited for".to_owned()),
            Effect::ChildStarted(child) => said.push(format!("starts {} {}", child.workflow_id, child.execution_id)),
            Effect::ChildEnded(child) => said.push(format!("of {}", child.execution_id)),
            Effect::BranchDone(done) if done.status == BranchStatus::Failed => said.push("branch FAILED".to_owned()),
            _ => {}
        }
    }
    said.join(", ")
}

/// The tree as text, an event a line: what is drawn, its type, the tasks that handled it, and what is worth saying.
pub fn text(events: &[Event]) -> String {
    let mut lines = Vec::new();
    for Line { drawing, event, not_required } in draw(events) {
        let said = match event {
            Some(event) => {
                let tasks = Some(tasks(event)).filter(|tasks| !tasks.is_empty()).map(|tasks| format!("[{tasks}]"));
                let remark = Some(remark(event)).filter(|remark| !remark.is_empty());
                let parts = [Some(event.event_type.clone()), tasks, remark];
                parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
            }
            None => if not_required { "  not required" } else { "" }.to_owned(),
        };
        lines.push(format!("{drawing}{said}"));
    }
    lines.join("\n")
}
