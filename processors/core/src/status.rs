//! Statuses of workflows, tasks, scopes and branches.

use crate::string_enum::string_enum;

string_enum! {
    /// Status of an execution.
    WorkflowStatus {
        /// Known, not begun.
        Pending = "PENDING",
        /// At work.
        Running = "RUNNING",
        /// At least one wait is open.
        Waiting = "WAITING",
        /// Held by a command.
        Paused = "PAUSED",
        /// Closed: it completed.
        Success = "SUCCESS",
        /// Closed: a task failed it.
        Failed = "FAILED",
        /// Closed: its time was over.
        TimedOut = "TIMED_OUT",
        /// Closed by a command.
        Canceled = "CANCELED",
        /// Closed: it ran into a limit.
        LimitExceeded = "LIMIT_EXCEEDED",
    }
}

impl WorkflowStatus {
    /// No event changes it any more.
    pub fn is_closed(self) -> bool {
        use WorkflowStatus::*;
        matches!(self, Success | Failed | TimedOut | Canceled | LimitExceeded)
    }
}

string_enum! {
    /// Status of a task's attempt. FAILED and RETRY_SCHEDULED are written in events, and not in contexts yet: older
    /// builds do not know them.
    TaskStatus {
        /// It returned an outcome.
        Success = "SUCCESS",
        /// An attempt failed.
        Failed = "FAILED",
        /// It failed, and will be tried again.
        RetryScheduled = "RETRY_SCHEDULED",
        /// It failed, and is not tried again.
        PermanentlyFailed = "PERMANENTLY_FAILED",
        /// It ran past its deadline.
        TimedOut = "TIMED_OUT",
    }
}

string_enum! {
    /// Status of a task that is worked on elsewhere.
    ReportedStatus {
        /// Known, not begun.
        Pending = "PENDING",
        /// Given to someone.
        Dispatched = "DISPATCHED",
        /// At work.
        Running = "RUNNING",
        /// Waits for someone or something.
        Waiting = "WAITING",
        /// Failed, and is tried again.
        RetryScheduled = "RETRY_SCHEDULED",
        /// Done.
        Success = "SUCCESS",
        /// Failed; it may be tried again.
        Failed = "FAILED",
        /// Failed, and is not tried again.
        PermanentlyFailed = "PERMANENTLY_FAILED",
        /// What it waited for did not come in time.
        TimedOut = "TIMED_OUT",
        /// Called off.
        Canceled = "CANCELED",
        /// Not needed.
        Skipped = "SKIPPED",
    }
}

string_enum! {
    /// Status of a scope.
    ScopeStatus {
        /// Branches are still at work.
        Open = "OPEN",
        /// Its policy was met.
        Joined = "JOINED",
        /// Its policy can't be met.
        Failed = "FAILED",
    }
}

string_enum! {
    /// Status of a branch.
    BranchStatus {
        /// At work.
        Open = "OPEN",
        /// Done.
        Success = "SUCCESS",
        /// A task failed it.
        Failed = "FAILED",
    }
}
