//! What would happen to what is sent, as the contexts are now.

use std::collections::BTreeSet;

use thalweg_core::inbound::{Inbound, STARTED};
use thalweg_core::redrive::{Request, allows};
use thalweg_core::{ErrorCode, WorkflowStatus, identity};

use super::executions::Executions;
use super::sendable::Sendable;

/// Foretells, letter by letter in the order of sending.
pub struct Foresight {
    executions: Executions,
    /// Executions that an earlier letter starts.
    started: BTreeSet<String>,
}

/// What is known of a letter's event, and what would happen to it.
pub struct Prospect {
    pub event_type: String,
    pub execution_id: String,
    pub what: String,
}

impl Foresight {
    /// From the executions as they are.
    pub fn new(executions: Executions) -> Foresight {
        Foresight { executions, started: BTreeSet::new() }
    }

    /// What would happen to this.
    pub fn prospect(&mut self, sendable: &Sendable, redrive: u32) -> Prospect {
        let unknown = |what: String| Prospect { event_type: String::new(), execution_id: String::new(), what };
        match sendable {
            Sendable::Nothing(why) => unknown(format!("can't be redriven: {why}")),
            Sendable::Record { reading, .. } => match reading.as_ref() {
                Err(refusal) => unknown(format!("would be {} again: {}", refusal.code, refusal.message)),
                Ok(inbound) => Prospect {
                    event_type: inbound.event.event_type.clone(),
                    execution_id: inbound.event.execution_id.clone(),
                    what: self.of_record(inbound, redrive),
                },
            },
            Sendable::Command { request, command, .. } => Prospect {
                event_type: request.event.event_type.clone(),
                execution_id: request.event.execution_id.clone(),
                what: self.of_command(request, &command.event_id, redrive),
            },
        }
    }

    fn of_record(&mut self, inbound: &Inbound, redrive: u32) -> String {
        let event = &inbound.event;
        let execution_id = &event.execution_id;
        let workflow = event.workflow_id.as_deref().unwrap_or_default();
        let Some(root) = self.executions.root(execution_id) else {
            if event.event_type == STARTED {
                let first = self.started.insert(execution_id.clone());
                return match first {
                    true => format!("handled again as the start of it, where a router runs workflow {workflow:?}"),
                    false => "would be rejected: an earlier one of these starts the execution".to_owned(),
                };
            }
            return match self.started.contains(execution_id) {
                true => "handled again, after its start, which is an earlier one of these".to_owned(),
                false => format!("execution is unknown: would be {} again", ErrorCode::ExecutionUnknown),
            };
        };
        let id = identity::input_id(&event.event_id, redrive);
        let started = event.event_type == STARTED;
        if root.has_input(&id) || (started && root.start_id == id) {
            return format!("would be a duplicate: redrive {redrive} of it has arrived");
        }
        if root.status.is_closed() {
            return format!("would be rejected: the execution is {}", root.status);
        }
        if started {
            return format!("would be rejected: the execution has started already ({})", root.status);
        }
        if let (Some(scope), Some(branch)) = (&event.scope, &event.branch)
            && !self.executions.has(execution_id, scope, Some(branch))
        {
            return format!("the execution has no such branch: would be {} again", ErrorCode::ScopeUnknown);
        }
        format!("handled again; execution is {}", root.status)
    }

    fn of_command(&self, request: &Request, command_id: &str, redrive: u32) -> String {
        let Some(root) = self.executions.root(&request.event.execution_id) else {
            return format!("execution is gone: would be {}", ErrorCode::ExecutionUnknown);
        };
        if !root.status.is_closed() || root.status == WorkflowStatus::Failed {
            let id = identity::input_id(command_id, redrive);
            if root.has_input(&id) {
                return format!("would be a duplicate: redrive {redrive} of it has arrived");
            }
        }
        let task = &request.task_id;
        match allows(root, task, &request.event.event_id) {
            Err(reason) => format!("would be rejected: {reason}"),
            Ok(()) if root.status == WorkflowStatus::Failed => {
                format!("task {task} runs again; execution goes FAILED -> RUNNING")
            }
            Ok(()) => format!("task {task} runs again; execution is {}", root.status),
        }
    }
}
