//! The codes that every error of Thalweg carries.

use crate::string_enum::string_enum;

string_enum! {
    /// What went wrong. The README has a line for each: what happened, what to do.
    ErrorCode {
        /// The bytes are no event in any encoding that the inbox takes.
        DecodeFailed = "DECODE_FAILED",
        /// The writer's schema is in no registry.
        SchemaUnknown = "SCHEMA_UNKNOWN",
        /// It decodes, but is not a valid event.
        EventInvalid = "EVENT_INVALID",
        /// Its payload is not what the event type asks for.
        PayloadInvalid = "PAYLOAD_INVALID",
        /// It names a channel that is none of the eight.
        ChannelUnknown = "CHANNEL_UNKNOWN",
        /// No router knows the workflow.
        WorkflowUnknown = "WORKFLOW_UNKNOWN",
        /// No execution has this id.
        ExecutionUnknown = "EXECUTION_UNKNOWN",
        /// The input is over a size limit.
        TooLarge = "TOO_LARGE",
        /// A task returned an error.
        TaskFailed = "TASK_FAILED",
        /// A task panicked.
        TaskPanicked = "TASK_PANICKED",
        /// A task ran past its deadline.
        TaskTimedOut = "TASK_TIMED_OUT",
        /// What a task returned is over a size limit.
        ResultTooLarge = "RESULT_TOO_LARGE",
        /// The execution's state does not allow it.
        TransitionRejected = "TRANSITION_REJECTED",
        /// The execution ran into a limit.
        LimitExceeded = "LIMIT_EXCEEDED",
        /// The event type is the engine's own.
        EventReserved = "EVENT_RESERVED",
        /// The execution has no such scope or branch.
        ScopeUnknown = "SCOPE_UNKNOWN",
        /// The inbox is not the one that the contexts were made from.
        InboxReplaced = "INBOX_REPLACED",
        /// Inbox and contexts differ in their partition counts.
        PartitionsChanged = "PARTITIONS_CHANGED",
        /// Another process uses this instance name.
        InstanceInUse = "INSTANCE_IN_USE",
        /// The user that a process connects as lacks a right.
        NotAuthorized = "NOT_AUTHORIZED",
    }
}
