//! The table (dialect, type) to verdict: what a foreign type is to Thalweg, and how a native one is called elsewhere.

use super::Dialect;
use crate::channel::Channel;
use crate::inbound::{STARTED, is_reserved};
use crate::message_class::MessageClass;

/// What begins the types of reports: what another engine says of its own state.
pub const REPORT: &str = "report.";

/// What a foreign event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It starts an execution.
    Start,
    /// It asks for something.
    Command,
    /// Another engine tells a state of its own.
    Report,
    /// It is kept and changes nothing.
    Log,
    /// Something that happened.
    Fact,
}

impl Kind {
    /// The class of its events.
    pub fn class(self) -> MessageClass {
        match self {
            Kind::Start | Kind::Report => MessageClass::State,
            Kind::Command => MessageClass::Command,
            Kind::Log => MessageClass::Log,
            Kind::Fact => MessageClass::Fact,
        }
    }
}

/// What a foreign type is to Thalweg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What the event is.
    pub kind: Kind,
    /// Its native type.
    pub event_type: String,
    /// Its channel, where the format itself names none.
    pub channel: Option<Channel>,
}

/// A row: the foreign type, what it is, its native type, its channel.
type Row = (&'static str, Kind, &'static str, Option<Channel>);

const SYSTEM: Option<Channel> = Some(Channel::SystemEvents);
const TASKS: Option<Channel> = Some(Channel::TaskEvents);
const PLANS: Option<Channel> = Some(Channel::PlanEvents);
const PEOPLE: Option<Channel> = Some(Channel::NotificationEvents);
const REQUESTS: Option<Channel> = Some(Channel::ActionRequests);

/// State events as `entity.state`, commands and the log by their names.
const COMPOZY: &[Row] = &[
    ("workflow.started", Kind::Report, "report.workflow.started", SYSTEM),
    ("workflow.paused", Kind::Report, "report.workflow.paused", SYSTEM),
    ("workflow.resumed", Kind::Report, "report.workflow.resumed", SYSTEM),
    ("workflow.success", Kind::Report, "report.workflow.success", SYSTEM),
    ("workflow.failed", Kind::Report, "report.workflow.failed", SYSTEM),
    ("workflow.canceled", Kind::Report, "report.workflow.canceled", SYSTEM),
    ("workflow.timed_out", Kind::Report, "report.workflow.timed_out", SYSTEM),
    ("task.dispatched", Kind::Report, "report.task.dispatched", TASKS),
    ("task.started", Kind::Report, "report.task.started", TASKS),
    ("task.waiting_started", Kind::Report, "report.task.waiting_started", TASKS),
    ("task.waiting_ended", Kind::Report, "report.task.waiting_ended", TASKS),
    ("task.waiting_timed_out", Kind::Report, "report.task.waiting_timed_out", TASKS),
    ("task.success", Kind::Report, "report.task.success", TASKS),
    ("task.failed", Kind::Report, "report.task.failed", TASKS),
    ("task.retry_scheduled", Kind::Report, "report.task.retry_scheduled", TASKS),
    ("agent.started", Kind::Report, "report.agent.started", TASKS),
    ("agent.success", Kind::Report, "report.agent.success", TASKS),
    ("agent.failed", Kind::Report, "report.agent.failed", TASKS),
    ("tool.started", Kind::Report, "report.tool.started", TASKS),
    ("tool.success", Kind::Report, "report.tool.success", TASKS),
    ("tool.failed", Kind::Report, "report.tool.failed", TASKS),
    ("runtime.registered", Kind::Report, "report.runtime.registered", SYSTEM),
    ("runtime.deregistered", Kind::Report, "report.runtime.deregistered", SYSTEM),
    ("WorkflowTrigger", Kind::Start, STARTED, SYSTEM),
    ("WorkflowTriggerAsync", Kind::Start, STARTED, SYSTEM),
    ("WorkflowExecute", Kind::Start, STARTED, SYSTEM),
    ("WorkflowExecuteAsync", Kind::Start, STARTED, SYSTEM),
    ("WorkflowPause", Kind::Command, "workflow.pause.requested", REQUESTS),
    ("WorkflowResume", Kind::Command, "workflow.resume.requested", REQUESTS),
    ("WorkflowCancel", Kind::Command, "workflow.cancel.requested", REQUESTS),
    ("TaskTrigger", Kind::Command, "task.trigger.requested", REQUESTS),
    ("TaskTriggerAsync", Kind::Command, "task.trigger.requested", REQUESTS),
    ("TaskExecute", Kind::Command, "task.execute.requested", REQUESTS),
    ("TaskResume", Kind::Command, "task.resume.requested", REQUESTS),
    ("AgentExecute", Kind::Command, "agent.execute.requested", REQUESTS),
    ("ToolExecute", Kind::Command, "tool.execute.requested", REQUESTS),
    ("LogEmitted", Kind::Log, "log.emitted", SYSTEM),
];

/// Members of `EventType` by name.
const DREAMOS: &[Row] = &[
    ("TASK_RECEIVED", Kind::Report, "report.task.received", TASKS),
    ("TASK_ASSIGNED", Kind::Report, "report.task.assigned", TASKS),
    ("TASK_ACCEPTED", Kind::Report, "report.task.dispatched", TASKS),
    ("TASK_REJECTED", Kind::Report, "report.task.rejected", TASKS),
    ("TASK_STARTED", Kind::Report, "report.task.started", TASKS),
    ("TASK_PROGRESS", Kind::Report, "report.task.progress", TASKS),
    ("TASK_COMPLETED", Kind::Report, "report.task.success", TASKS),
    ("TASK_FAILED", Kind::Report, "report.task.failed", TASKS),
    ("TASK_PERMANENTLY_FAILED", Kind::Report, "report.task.permanently_failed", TASKS),
    ("TASK_CANCELLED", Kind::Report, "report.task.canceled", TASKS),
    ("TASK_VALIDATION_FAILED", Kind::Report, "report.task.validation_failed", TASKS),
    ("TASK_STATUS_UPDATE", Kind::Report, "report.task.status_updated", TASKS),
    ("SYSTEM_ERROR", Kind::Report, "report.system.error", SYSTEM),
    ("SYSTEM_AGENT_REGISTERED", Kind::Report, "report.agent.registered", SYSTEM),
    ("SYSTEM_AGENT_UNREGISTERED", Kind::Report, "report.agent.unregistered", SYSTEM),
    ("SYSTEM_AGENT_STATUS_CHANGE", Kind::Report, "report.agent.status_changed", SYSTEM),
    ("AGENT_ERROR", Kind::Report, "report.agent.error", SYSTEM),
    ("AGENT_STARTED", Kind::Report, "report.agent.started", SYSTEM),
    ("AGENT_STOPPED", Kind::Report, "report.agent.stopped", SYSTEM),
    ("AGENT_STATUS_UPDATE", Kind::Report, "report.agent.status_updated", SYSTEM),
    ("AGENT_HEARTBEAT", Kind::Report, "report.agent.heartbeat", SYSTEM),
    ("TOOL_CALL", Kind::Report, "report.tool.called", TASKS),
    ("TOOL_RESULT", Kind::Report, "report.tool.result", TASKS),
];

/// Kinds by their tag.
const JAMJET: &[Row] = &[
    ("workflow_started", Kind::Report, "report.workflow.started", SYSTEM),
    ("workflow_completed", Kind::Report, "report.workflow.success", SYSTEM),
    ("workflow_failed", Kind::Report, "report.workflow.failed", SYSTEM),
    ("workflow_cancelled", Kind::Report, "report.workflow.canceled", SYSTEM),
    ("node_scheduled", Kind::Report, "report.task.dispatched", TASKS),
    ("node_started", Kind::Report, "report.task.started", TASKS),
    ("node_completed", Kind::Report, "report.task.success", TASKS),
    ("node_failed", Kind::Report, "report.task.failed", TASKS),
    ("node_skipped", Kind::Report, "report.task.skipped", TASKS),
    ("node_cancelled", Kind::Report, "report.task.canceled", TASKS),
    ("retry_scheduled", Kind::Report, "report.task.retry_scheduled", TASKS),
    ("interrupt_raised", Kind::Report, "report.interrupt.raised", PEOPLE),
    ("approval_received", Kind::Report, "report.approval.received", SYSTEM),
    ("timer_created", Kind::Report, "report.timer.created", SYSTEM),
    ("timer_fired", Kind::Report, "report.timer.fired", SYSTEM),
    ("external_event_received", Kind::Report, "report.external_event.received", Some(Channel::BusinessFacts)),
    ("child_workflow_started", Kind::Report, "report.child_workflow.started", SYSTEM),
    ("child_workflow_completed", Kind::Report, "report.child_workflow.success", SYSTEM),
    ("child_workflow_failed", Kind::Report, "report.child_workflow.failed", SYSTEM),
    ("budget_exceeded", Kind::Report, "report.budget.exceeded", SYSTEM),
    ("token_budget_exceeded", Kind::Report, "report.token_budget.exceeded", SYSTEM),
    ("cost_budget_exceeded", Kind::Report, "report.cost_budget.exceeded", SYSTEM),
    ("autonomy_limit_reached", Kind::Report, "report.autonomy_limit.reached", SYSTEM),
    ("circuit_breaker_tripped", Kind::Report, "report.circuit_breaker.tripped", SYSTEM),
    ("escalation_required", Kind::Report, "report.escalation.required", PEOPLE),
    ("policy_violation", Kind::Report, "report.policy.violation", SYSTEM),
    ("tool_approval_required", Kind::Report, "report.tool_approval.required", PEOPLE),
    ("strategy_started", Kind::Report, "report.strategy.started", PLANS),
    ("plan_generated", Kind::Report, "report.plan.generated", PLANS),
    ("iteration_started", Kind::Report, "report.iteration.started", PLANS),
    ("tool_called", Kind::Report, "report.tool.called", TASKS),
    ("critic_verdict", Kind::Report, "report.critic.verdict", PLANS),
    ("iteration_completed", Kind::Report, "report.iteration.completed", PLANS),
    ("strategy_limit_hit", Kind::Report, "report.strategy.limit_hit", PLANS),
    ("strategy_completed", Kind::Report, "report.strategy.completed", PLANS),
    ("coordinator_discovery", Kind::Report, "report.coordinator.discovery", SYSTEM),
    ("coordinator_scoring", Kind::Report, "report.coordinator.scoring", SYSTEM),
    ("coordinator_decision", Kind::Report, "report.coordinator.decision", SYSTEM),
    ("agent_tool_invoked", Kind::Report, "report.agent_tool.invoked", TASKS),
    ("agent_tool_progress", Kind::Report, "report.agent_tool.progress", TASKS),
    ("agent_tool_turn", Kind::Report, "report.agent_tool.turn", TASKS),
    ("agent_tool_completed", Kind::Report, "report.agent_tool.completed", TASKS),
    ("agent_tool_terminated", Kind::Report, "report.agent_tool.terminated", TASKS),
    ("agent_tool_failed", Kind::Report, "report.agent_tool.failed", TASKS),
];

/// Types with dots, as Soorma, WorkflowEvent and others write them: those under prefixes that are the engine's here.
const DOTTED: &[Row] = &[
    (STARTED, Kind::Start, STARTED, SYSTEM),
    ("workflow.completed", Kind::Report, "report.workflow.success", SYSTEM),
    ("workflow.success", Kind::Report, "report.workflow.success", SYSTEM),
    ("workflow.failed", Kind::Report, "report.workflow.failed", SYSTEM),
    ("workflow.cancelled", Kind::Report, "report.workflow.canceled", SYSTEM),
    ("workflow.canceled", Kind::Report, "report.workflow.canceled", SYSTEM),
    ("workflow.timed_out", Kind::Report, "report.workflow.timed_out", SYSTEM),
    ("workflow.paused", Kind::Report, "report.workflow.paused", SYSTEM),
    ("workflow.resumed", Kind::Report, "report.workflow.resumed", SYSTEM),
    ("task.accepted", Kind::Report, "report.task.dispatched", TASKS),
    ("task.completed", Kind::Report, "report.task.success", TASKS),
    ("task.cancelled", Kind::Report, "report.task.canceled", TASKS),
];

fn rows(dialect: Dialect) -> &'static [Row] {
    match dialect {
        Dialect::Compozy => COMPOZY,
        Dialect::Dreamos => DREAMOS,
        Dialect::Jamjet => JAMJET,
        Dialect::Soorma | Dialect::Workflow => DOTTED,
        Dialect::Cloudevents | Dialect::Native => &[],
    }
}

/// Every row of the table.
pub fn table() -> impl Iterator<Item = (Dialect, &'static str, Verdict)> {
    Dialect::ALL.iter().flat_map(|dialect| {
        rows(*dialect).iter().map(|(foreign, kind, native, channel)| {
            (*dialect, *foreign, Verdict { kind: *kind, event_type: (*native).to_owned(), channel: *channel })
        })
    })
}

/// What a foreign type is.
///
/// One that no row names is a fact of its own name; a type that only the engine may write becomes a report. CloudEvents
/// are an envelope and no engine: their types are native ones.
pub fn verdict(dialect: Dialect, foreign: &str) -> Verdict {
    let row = rows(dialect).iter().chain(fallback(dialect)).find(|(known, ..)| *known == foreign);
    if let Some((_, kind, native, channel)) = row {
        return Verdict { kind: *kind, event_type: (*native).to_owned(), channel: *channel };
    }
    let own = |kind| Verdict { kind, event_type: foreign.to_owned(), channel: None };
    match dialect {
        Dialect::Cloudevents | Dialect::Native => own(if foreign == STARTED { Kind::Start } else { Kind::Fact }),
        Dialect::Jamjet => Verdict { event_type: format!("{REPORT}{foreign}"), channel: SYSTEM, ..own(Kind::Report) },
        _ if is_reserved(foreign) && foreign.ends_with(".requested") => own(Kind::Command),
        _ if is_reserved(foreign) => {
            let channel = if foreign.starts_with("task.") { TASKS } else { SYSTEM };
            Verdict { event_type: format!("{REPORT}{foreign}"), channel, ..own(Kind::Report) }
        }
        _ => own(Kind::Fact),
    }
}

/// Rows that hold where the dialect's own do not.
fn fallback(dialect: Dialect) -> &'static [Row] {
    match dialect {
        Dialect::Compozy | Dialect::Dreamos => DOTTED,
        _ => &[],
    }
}

/// How a native type is called in a dialect: by the first row that gives it, else by its own name.
pub fn foreign_type(dialect: Dialect, native: &str) -> String {
    if let Some((foreign, ..)) = rows(dialect).iter().find(|(_, _, known, _)| *known == native) {
        return (*foreign).to_owned();
    }
    match native.strip_prefix(REPORT) {
        Some(own) if verdict(dialect, own).event_type == native => own.to_owned(),
        _ => native.to_owned(),
    }
}

/// The report that says of another engine what this event of ours says of this one.
pub fn as_report(native: &str) -> Option<&'static str> {
    Some(match native {
        STARTED => "report.workflow.started",
        "workflow.completed" => "report.workflow.success",
        "workflow.failed" | "workflow.limit_exceeded" => "report.workflow.failed",
        "workflow.canceled" => "report.workflow.canceled",
        "workflow.timed_out" => "report.workflow.timed_out",
        "workflow.paused" => "report.workflow.paused",
        "workflow.resumed" => "report.workflow.resumed",
        "task.dispatched" => "report.task.dispatched",
        "task.started" => "report.task.started",
        "task.completed" => "report.task.success",
        "task.failed" => "report.task.failed",
        "task.retry_scheduled" => "report.task.retry_scheduled",
        "task.permanently_failed" => "report.task.permanently_failed",
        _ => return None,
    })
}

/// The status that a report tells by its type.
pub fn status_of(report: &str) -> Option<&'static str> {
    let action = report.strip_prefix(REPORT)?.rsplit('.').next()?;
    Some(match action {
        "started" | "resumed" | "waiting_ended" | "progress" => "RUNNING",
        "paused" => "PAUSED",
        "success" => "SUCCESS",
        "failed" | "error" => "FAILED",
        "permanently_failed" => "PERMANENTLY_FAILED",
        "canceled" => "CANCELED",
        "timed_out" | "waiting_timed_out" => "TIMED_OUT",
        "dispatched" => "DISPATCHED",
        "waiting_started" => "WAITING",
        "retry_scheduled" => "RETRY_SCHEDULED",
        "skipped" => "SKIPPED",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_its_own_type_and_is_no_type_of_the_engine_unless_it_asks_for_something() {
        let mut seen = std::collections::BTreeSet::new();
        for (dialect, foreign, verdict) in table() {
            assert!(seen.insert((dialect, foreign)), "{dialect} {foreign} twice");
            let native = verdict.event_type.as_str();
            let allowed = match verdict.kind {
                Kind::Start => native == STARTED,
                Kind::Command => native.ends_with(".requested"),
                Kind::Report => native.starts_with(REPORT),
                Kind::Log | Kind::Fact => !is_reserved(native),
            };
            assert!(allowed, "{dialect} {foreign} is {verdict:?}");
        }
        assert_eq!(table().filter(|(dialect, ..)| *dialect == Dialect::Jamjet).count(), 44);
    }

    #[test]
    fn a_native_type_that_a_row_gives_comes_back_as_a_type_that_gives_it() {
        for (dialect, _, told) in table() {
            let foreign = foreign_type(dialect, &told.event_type);
            assert_eq!(verdict(dialect, &foreign).event_type, told.event_type, "{dialect} {foreign}");
        }
    }

    #[test]
    fn types_that_no_row_names() {
        assert_eq!(verdict(Dialect::Soorma, "order.placed").event_type, "order.placed");
        assert_eq!(verdict(Dialect::Soorma, "task.progress").event_type, "report.task.progress");
        assert_eq!(verdict(Dialect::Workflow, "workflow.cancel.requested").kind, Kind::Command);
        assert_eq!(verdict(Dialect::Jamjet, "node_parked").event_type, "report.node_parked");
        assert_eq!(verdict(Dialect::Cloudevents, "workflow.completed").event_type, "workflow.completed");
        assert_eq!(foreign_type(Dialect::Soorma, "report.task.progress"), "task.progress");
        assert_eq!(foreign_type(Dialect::Soorma, "report.generated"), "report.generated");
    }
}
