//! Commands to an execution as a whole, and which of them its state allows.

use crate::event::Event;
use crate::status::WorkflowStatus;
use crate::string_enum::string_enum;

string_enum! {
    /// A command to an execution. The inbox takes it as an event of this type, whose payload may be `{"reason": ...}`.
    WorkflowCommand {
        /// It ends: CANCELED.
        Cancel = "workflow.cancel.requested",
        /// Nothing more is routed to its tasks until it is resumed.
        Pause = "workflow.pause.requested",
        /// What came while it was paused is routed, in its order.
        Resume = "workflow.resume.requested",
    }
}

impl WorkflowCommand {
    /// The event that tells that it was carried out.
    pub fn done(self) -> &'static str {
        match self {
            WorkflowCommand::Cancel => "workflow.canceled",
            WorkflowCommand::Pause => "workflow.paused",
            WorkflowCommand::Resume => "workflow.resumed",
        }
    }

    /// May an execution with this status be given this command?
    pub fn is_legal(self, status: WorkflowStatus) -> bool {
        let paused = status == WorkflowStatus::Paused;
        !status.is_closed()
            && match self {
                WorkflowCommand::Cancel => true,
                WorkflowCommand::Pause => !paused,
                WorkflowCommand::Resume => paused,
            }
    }
}

string_enum! {
    /// A command to a part of an execution: the task, agent or tool that its `entities` name, a task also by `task_id` in
    /// its payload.
    TaskCommand {
        /// The task runs on the command.
        Trigger = "task.trigger.requested",
        /// The same, and whoever asks wants its result (`reply`).
        Execute = "task.execute.requested",
        /// What the task waits for has come: the command is it, whatever its type.
        Resume = "task.resume.requested",
        /// The tasks of the agent run on the command, or the task of that name.
        AgentExecute = "agent.execute.requested",
        /// The task of that name runs on the command.
        ToolExecute = "tool.execute.requested",
    }
}

impl TaskCommand {
    /// What it is a command to, as `entities` call it.
    pub fn entity(self) -> &'static str {
        match self {
            TaskCommand::Trigger | TaskCommand::Execute | TaskCommand::Resume => "task",
            TaskCommand::AgentExecute => "agent",
            TaskCommand::ToolExecute => "tool",
        }
    }

    /// Whom the event commands.
    pub fn target(self, event: &Event) -> Option<String> {
        let named = event.entities.get(self.entity()).and_then(|entity| entity.id.clone());
        named.or_else(|| event.payload_value().get(format!("{}_id", self.entity()))?.as_str().map(str::to_owned))
    }
}

/// The types of the events that an execution with this status takes: its requests by name, `*` for the workflow's own.
pub fn legal(status: WorkflowStatus) -> Vec<&'static str> {
    if status == WorkflowStatus::Failed {
        return vec![crate::redrive::REQUESTED];
    }
    if status.is_closed() {
        return Vec::new();
    }
    let commands = WorkflowCommand::ALL.iter().filter(|command| command.is_legal(status)).map(|c| c.as_str());
    let redrive = (status != WorkflowStatus::Paused).then_some(crate::redrive::REQUESTED);
    let approval = (status == WorkflowStatus::Waiting).then_some(crate::approval::DECIDED);
    let waits = status == WorkflowStatus::Waiting;
    let to_parts = TaskCommand::ALL.iter().filter(|command| waits || **command != TaskCommand::Resume);
    commands.chain(redrive).chain(approval).chain(to_parts.map(|command| command.as_str())).chain(["*"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_legal() {
        let parts = [
            "task.trigger.requested",
            "task.execute.requested",
            "task.resume.requested",
            "agent.execute.requested",
            "tool.execute.requested",
        ];
        let but_resume: Vec<&str> = parts.into_iter().filter(|part| *part != "task.resume.requested").collect();
        let of = |commands: &[&'static str], parts: &[&'static str]| [commands, parts, &["*"]].concat();
        let running = ["workflow.cancel.requested", "workflow.pause.requested", "task.redrive.requested"];
        let cases = [
            (WorkflowStatus::Running, of(&running, &but_resume)),
            (WorkflowStatus::Waiting, of(&[&running[..], &["workflow.approval.decided"]].concat(), &parts)),
            (WorkflowStatus::Paused, of(&["workflow.cancel.requested", "workflow.resume.requested"], &but_resume)),
            (WorkflowStatus::Failed, vec!["task.redrive.requested"]),
            (WorkflowStatus::Canceled, vec![]),
        ];
        for (status, expected) in cases {
            assert_eq!(legal(status), expected, "{status}");
        }
    }
}
