//! Effects: what handling an event did to the context. The context is the fold of them, and nothing else changes it,
//! but for `applied_offset`, the window of input ids, the list of newest events and the content of `pending`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::budget::Usage;
use crate::context::{Child, Context, Parent, ReplyTo, Scope, TaskState, TrackedTask, Wait};
use crate::event::{EventError, RecordedEffect};
use crate::json::Json;
use crate::status::{BranchStatus, ScopeStatus, TaskStatus, WorkflowStatus};
use crate::timer::Timer;

/// One change. The field of an event that records it holds the variant's name as `kind` and its fields as `json`.
///
/// A change is handed on several times: what is large is in a box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "json", rename_all = "snake_case")]
pub enum Effect {
    /// The execution began; its data is the payload of the event.
    Created(Box<Created>),
    /// A task changed `data`: an RFC 7396 merge patch.
    Patch(Map<String, Value>),
    /// The status changed without closing.
    Status(StatusChanged),
    /// A task was tried.
    Task(TaskState),
    /// A wait was opened.
    WaitAdded(Box<Wait>),
    /// A wait was answered.
    WaitTaken(WaitTaken),
    /// A task fanned out.
    ScopeOpened(Box<Scope>),
    /// A branch handled its first event.
    BranchOpened(BranchOpened),
    /// The newest event of a branch was handled by a task, or by none.
    BranchHandled(BranchHandled),
    /// A branch is done.
    BranchDone(BranchDone),
    /// A scope is done.
    ScopeClosed(ScopeClosed),
    /// More branches of a for-each begin.
    BranchesBegun(BranchesBegun),
    /// A task used something up.
    Used(Box<UsedMore>),
    /// A limit was run into, and told.
    LimitReached(LimitReached),
    /// The event came when its branch or scope was done: it changes nothing.
    Late {},
    /// Events were left for the next transaction.
    PendingAdded(Vec<PendingRef>),
    /// An event left by an earlier transaction is handled.
    PendingTaken(PendingRef),
    /// The execution has nothing left to do and nothing to wait for.
    Stalled {},
    /// The execution ended.
    Closed(Closed),
    /// A task that gave up is run again; where that had failed the execution, it goes on.
    Redriven(Redriven),
    /// A task that is worked on elsewhere was reported on.
    Tracked(TrackedTask),
    /// A timer was set.
    TimerSet(Box<Timer>),
    /// A timer fired.
    TimerFired(TimerRef),
    /// A timer was set and will not fire.
    TimerCancelled(TimerRef),
    /// A child was started.
    ChildStarted(Box<Child>),
    /// A child has ended.
    ChildEnded(ChildRef),
    /// The execution's end waits for its children.
    EndHeld(Box<EndHeld>),
    /// A tool was called elsewhere.
    ToolCalled(ToolCallRef),
    /// It has answered.
    ToolReturned(ToolCallRef),
    /// The event is a tool's result without its call.
    Orphan {},
    /// The execution continues as new.
    Continued(Box<Continued>),
}

/// Fields of [`Effect::Continued`]: what a fold that begins here begins with, but for `data`, which is the payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "two fields")]
pub struct Continued {
    pub context: Context,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<PendingRef>,
}

/// A call of a tool: its run, or its name and correlation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "one field")]
pub struct ToolCallRef {
    pub call: String,
}

/// A child, by its execution's id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "one field")]
pub struct ChildRef {
    pub execution_id: String,
}

/// Fields of [`Effect::EndHeld`]: the end that will be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in an event")]
pub struct EndHeld {
    pub status: WorkflowStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<EventError>,
}

/// A timer, by its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "one field")]
pub struct TimerRef {
    pub timer_id: String,
}

/// Fields of [`Effect::Created`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the context's schema")]
pub struct Created {
    pub workflow_id: String,
    pub workflow_version: Option<String>,
    pub correlation_id: String,
    /// The start's input id, in hexadecimal.
    pub start_id: String,
    /// The work is done elsewhere: reports move the state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tracked: bool,
    /// Where the start wants its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyTo>,
    /// The budgets that the start gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budgets: Option<String>,
    /// Who wants to know how it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

/// A new status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "one field")]
pub struct StatusChanged {
    pub status: WorkflowStatus,
}

/// Fields of [`Effect::Closed`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the context's schema")]
pub struct Closed {
    pub status: WorkflowStatus,
    /// A task gave up, and may be run again: what was waited for, what is open and what is left stays in the record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumable: bool,
}

/// Fields of [`Effect::Redriven`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "one field")]
pub struct Redriven {
    pub task_id: String,
}

/// Fields of [`Effect::WaitTaken`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "one field")]
pub struct WaitTaken {
    pub wait_id: String,
}

/// Fields of [`Effect::BranchOpened`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the branch's schema")]
pub struct BranchOpened {
    pub scope: String,
    pub branch: String,
    pub ordinal: i32,
    pub ends_on: Option<String>,
}

/// Fields of [`Effect::BranchHandled`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the branch's schema")]
pub struct BranchHandled {
    pub scope: String,
    pub branch: String,
    pub handled: bool,
    pub result: Option<Json>,
}

/// Fields of [`Effect::BranchDone`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the branch's schema")]
pub struct BranchDone {
    pub scope: String,
    pub branch: String,
    pub status: BranchStatus,
    /// None: what a task said last stands.
    pub result: Option<Json>,
    /// The payload of the event that records this is the result. It is not said twice: both together need not fit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub payload_is_result: bool,
}

/// Fields of [`Effect::ScopeClosed`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the scope's schema")]
pub struct ScopeClosed {
    pub scope: String,
    pub status: ScopeStatus,
    /// It was given up with the branch that it is part of: no event tells its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub canceled: bool,
}

/// Fields of [`Effect::Used`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsedMore {
    /// The agent that used it; none: nobody but the execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// How much.
    pub usage: Usage,
    /// The task gave up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Microseconds that it took.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub wall_time_micros: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Fields of [`Effect::LimitReached`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LimitReached {
    /// Whose; none: the execution's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Which.
    pub name: String,
}

/// Fields of [`Effect::BranchesBegun`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the scope's schema")]
pub struct BranchesBegun {
    pub scope: String,
    pub count: i32,
}

/// An event that the execution emitted and has not handled yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as in the context's schema")]
pub struct PendingRef {
    pub event_id: String,
    pub depth: i32,
}

impl Effect {
    /// As an event records it.
    pub fn record(&self) -> RecordedEffect {
        let content = match self {
            Effect::Created(created) => serde_json::to_string(created),
            Effect::Patch(patch) => serde_json::to_string(patch),
            Effect::Status(changed) => serde_json::to_string(changed),
            Effect::Task(state) => serde_json::to_string(state),
            Effect::WaitAdded(wait) => serde_json::to_string(wait),
            Effect::WaitTaken(taken) => serde_json::to_string(taken),
            Effect::ScopeOpened(scope) => serde_json::to_string(scope),
            Effect::BranchOpened(opened) => serde_json::to_string(opened),
            Effect::BranchHandled(handled) => serde_json::to_string(handled),
            Effect::BranchDone(done) => serde_json::to_string(done),
            Effect::ScopeClosed(closed) => serde_json::to_string(closed),
            Effect::BranchesBegun(begun) => serde_json::to_string(begun),
            Effect::Used(used) => serde_json::to_string(used),
            Effect::LimitReached(reached) => serde_json::to_string(reached),
            Effect::PendingAdded(added) => serde_json::to_string(added),
            Effect::PendingTaken(taken) => serde_json::to_string(taken),
            Effect::Stalled {} | Effect::Late {} | Effect::Orphan {} => Ok("{}".to_owned()),
            Effect::Closed(closed) => serde_json::to_string(closed),
            Effect::Redriven(redriven) => serde_json::to_string(redriven),
            Effect::TimerSet(timer) => serde_json::to_string(timer),
            Effect::TimerFired(timer) | Effect::TimerCancelled(timer) => serde_json::to_string(timer),
            Effect::Tracked(task) => serde_json::to_string(task),
            Effect::ChildStarted(child) => serde_json::to_string(child),
            Effect::ChildEnded(child) => serde_json::to_string(child),
            Effect::EndHeld(end) => serde_json::to_string(end),
            Effect::ToolCalled(call) | Effect::ToolReturned(call) => serde_json::to_string(call),
            Effect::Continued(continued) => serde_json::to_string(continued),
        };
        RecordedEffect { kind: self.kind().into(), json: Json::trusted(content.unwrap_or_default()) }
    }

    /// Reads a recorded effect; a kind that this version does not know is none.
    ///
    /// # Errors
    /// Where the kind is known and the JSON does not fit it.
    pub fn read(recorded: &RecordedEffect) -> Result<Option<Effect>, serde_json::Error> {
        if !KINDS.contains(&&*recorded.kind) {
            return Ok(None);
        }
        serde_json::from_str(&format!("{{\"kind\":\"{}\",\"json\":{}}}", recorded.kind, recorded.json)).map(Some)
    }

    fn kind(&self) -> &'static str {
        match self {
            Effect::Created(_) => "created",
            Effect::Patch(_) => "patch",
            Effect::Status(_) => "status",
            Effect::Task(_) => "task",
            Effect::WaitAdded(_) => "wait_added",
            Effect::WaitTaken(_) => "wait_taken",
            Effect::ScopeOpened(_) => "scope_opened",
            Effect::BranchOpened(_) => "branch_opened",
            Effect::BranchHandled(_) => "branch_handled",
            Effect::BranchDone(_) => "branch_done",
            Effect::ScopeClosed(_) => "scope_closed",
            Effect::BranchesBegun(_) => "branches_begun",
            Effect::Used(_) => "used",
            Effect::LimitReached(_) => "limit_reached",
            Effect::Late {} => "late",
            Effect::PendingAdded(_) => "pending_added",
            Effect::PendingTaken(_) => "pending_taken",
            Effect::Stalled {} => "stalled",
            Effect::Closed(_) => "closed",
            Effect::Redriven(_) => "redriven",
            Effect::TimerSet(_) => "timer_set",
            Effect::TimerFired(_) => "timer_fired",
            Effect::TimerCancelled(_) => "timer_cancelled",
            Effect::Tracked(_) => "tracked",
            Effect::ChildStarted(_) => "child_started",
            Effect::ChildEnded(_) => "child_ended",
            Effect::EndHeld(_) => "end_held",
            Effect::ToolCalled(_) => "tool_called",
            Effect::ToolReturned(_) => "tool_returned",
            Effect::Orphan {} => "orphan",
            Effect::Continued(_) => "continued",
        }
    }
}

/// The kinds that this version knows.
pub const KINDS: [&str; 31] = [
    "created",
    "patch",
    "status",
    "task",
    "wait_added",
    "wait_taken",
    "scope_opened",
    "branch_opened",
    "branch_handled",
    "branch_done",
    "scope_closed",
    "branches_begun",
    "used",
    "limit_reached",
    "late",
    "pending_added",
    "pending_taken",
    "stalled",
    "closed",
    "redriven",
    "timer_set",
    "timer_fired",
    "timer_cancelled",
    "tracked",
    "child_started",
    "child_ended",
    "end_held",
    "tool_called",
    "tool_returned",
    "orphan",
    "continued",
];

/// A task's state after one more attempt.
pub fn tried(context: &Context, task_id: &str, status: TaskStatus, attempt: i32) -> TaskState {
    let before = context.tasks.iter().find(|task| task.task_id == task_id).map_or(0, |task| task.failures);
    // The failed attempts of a series are told together, by its last one.
    let failures = before + attempt - 1;
    TaskState {
        task_id: task_id.to_owned(),
        status,
        attempt,
        failures: failures + i32::from(status != TaskStatus::Success),
    }
}

/// Bytes as lower-case hexadecimal.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |four_bits: u8| char::from(DIGITS[usize::from(four_bits)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
