//! Commands to an execution as a whole, and which of them its state allows.

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
    commands.chain(redrive).chain(approval).chain(["*"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_legal() {
        let cases = [
            (
                WorkflowStatus::Running,
                vec!["workflow.cancel.requested", "workflow.pause.requested", "task.redrive.requested", "*"],
            ),
            (WorkflowStatus::Paused, vec!["workflow.cancel.requested", "workflow.resume.requested", "*"]),
            (WorkflowStatus::Failed, vec!["task.redrive.requested"]),
            (WorkflowStatus::Canceled, vec![]),
        ];
        for (status, expected) in cases {
            assert_eq!(legal(status), expected, "{status}");
        }
    }
}
