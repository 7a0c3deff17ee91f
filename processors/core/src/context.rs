//! What is kept of an execution: its root record, as its schema describes it, and beside it its scopes and branches.

mod record_key;
mod scope;
mod stub;
mod summary;
mod tracked_task;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use record_key::{ContextKey, RecordKey};
pub use scope::{Branch, Scope, ScopeSummary};
pub use stub::Stub;
pub use summary::ContextSummary;
pub use tracked_task::{PlanProgress, TrackedTask};

use crate::budget::Used;
use crate::child::ParentClosePolicy;
use crate::data::Data;
use crate::event::Micros;
use crate::limits::INPUT_IDS_MAX;
use crate::original_record::OriginalRecord;
use crate::status::{ReportedStatus, TaskStatus, WorkflowStatus};
use crate::timer::{Timer, TimerEvent};

/// The root record of an execution (`schemas/context.avsc`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct Context {
    pub execution_id: String,
    pub workflow_id: String,
    #[serde(default)]
    pub workflow_version: Option<String>,
    pub status: WorkflowStatus,
    pub data: Data,
    pub correlation_id: String,
    #[serde(with = "crate::timestamp")]
    pub created_at: Micros,
    #[serde(with = "crate::timestamp")]
    pub updated_at: Micros,
    #[serde(default, with = "crate::timestamp::optional")]
    pub completed_at: Option<Micros>,
    pub sequence: i64,
    pub applied_offset: i64,
    #[serde(with = "serde_bytes")]
    pub start_id: Vec<u8>,
    #[serde(default)]
    pub stalled: bool,
    #[serde(default)]
    pub tasks: Vec<TaskState>,
    #[serde(default)]
    pub scopes: Vec<String>,
    #[serde(default)]
    pub waits: Vec<Wait>,
    #[serde(default, with = "serde_bytes")]
    pub input_ids: Vec<u8>,
    #[serde(default)]
    pub processed: Vec<ProcessedEvent>,
    #[serde(default)]
    pub pending: Vec<Pending>,
    #[serde(default)]
    pub timers: Vec<Timer>,
    #[serde(default)]
    pub timer_events: Vec<TimerEvent>,
    #[serde(default)]
    pub early: Vec<EarlyEvent>,
    #[serde(default)]
    pub tracked: Option<Vec<TrackedTask>>,
    #[serde(default)]
    pub reply_to: Option<ReplyTo>,
    #[serde(default)]
    pub budgets: Option<String>,
    #[serde(default)]
    pub used: Vec<Used>,
    #[serde(default)]
    pub children: Vec<Child>,
    #[serde(default)]
    pub parent: Option<Parent>,
    #[serde(default)]
    pub end: Option<String>,
    #[serde(default)]
    pub tool_calls: Vec<String>,
    #[serde(default)]
    pub segment: i32,
}

impl Context {
    /// That of an execution that has not started.
    pub fn unstarted(execution_id: &str, now: Micros) -> Context {
        Context {
            execution_id: execution_id.to_owned(),
            workflow_id: String::new(),
            workflow_version: None,
            status: WorkflowStatus::Pending,
            data: serde_json::json!({}).into(),
            correlation_id: execution_id.to_owned(),
            created_at: now,
            updated_at: now,
            completed_at: None,
            sequence: 0,
            applied_offset: -1,
            start_id: Vec::new(),
            stalled: false,
            tasks: Vec::new(),
            scopes: Vec::new(),
            waits: Vec::new(),
            input_ids: Vec::new(),
            processed: Vec::new(),
            pending: Vec::new(),
            timers: Vec::new(),
            timer_events: Vec::new(),
            early: Vec::new(),
            tracked: None,
            reply_to: None,
            budgets: None,
            used: Vec::new(),
            children: Vec::new(),
            parent: None,
            end: None,
            tool_calls: Vec::new(),
            segment: 0,
        }
    }

    /// Does it hold no more than events that came before the start?
    pub fn is_unstarted(&self) -> bool {
        self.status == WorkflowStatus::Pending && self.start_id.is_empty()
    }

    /// What a new segment takes along of it beside its data: what the fold knows.
    pub(crate) fn carried(&self) -> Context {
        Context {
            data: serde_json::json!({}).into(),
            input_ids: Vec::new(),
            processed: Vec::new(),
            pending: Vec::new(),
            timer_events: Vec::new(),
            early: Vec::new(),
            ..self.clone()
        }
    }

    /// Is it paused, so that nothing is routed to its tasks? One whose work is done elsewhere follows its reports then,
    /// too.
    pub fn is_paused(&self) -> bool {
        self.status == WorkflowStatus::Paused && self.tracked.is_none()
    }

    /// How far each plan is whose tasks were reported on, in the order in which they were heard of.
    pub fn plans(&self) -> Vec<PlanProgress> {
        let mut plans: Vec<PlanProgress> = Vec::new();
        for task in self.tracked.iter().flatten() {
            let Some(plan_id) = &task.plan_id else { continue };
            let place = plans.iter().position(|plan| plan.plan_id == *plan_id).unwrap_or_else(|| {
                plans.push(PlanProgress { plan_id: plan_id.clone(), total: 0, done: 0, failed: 0, open: 0 });
                plans.len() - 1
            });
            let plan = &mut plans[place];
            plan.total += 1;
            match task.status {
                ReportedStatus::Success | ReportedStatus::Skipped => plan.done += 1,
                ReportedStatus::Failed
                | ReportedStatus::PermanentlyFailed
                | ReportedStatus::TimedOut
                | ReportedStatus::Canceled => plan.failed += 1,
                _ => plan.open += 1,
            }
        }
        plans
    }

    /// Is this input id in the window?
    pub fn has_input(&self, id: &[u8; 16]) -> bool {
        self.input_ids.chunks_exact(16).any(|known| known == id)
    }

    /// Bytes of what grows beside `data` and the events that are kept: waits, scopes, timers, children, tracked tasks.
    pub fn bytes_beside_data(&self) -> usize {
        let waits: usize = self.waits.iter().map(Wait::bytes).sum();
        let timers: usize = self.timers.iter().map(Timer::bytes).sum();
        let tracked: usize = self.tracked.iter().flatten().map(TrackedTask::bytes).sum();
        let children: usize = self.children.iter().map(Child::bytes).sum();
        let end = self.end.as_ref().map_or(0, String::len);
        let calls: usize = self.tool_calls.iter().map(String::len).sum();
        waits + timers + tracked + children + end + calls + self.scopes.iter().map(String::len).sum::<usize>()
    }

    /// Forgets an input id.
    pub fn forget_input(&mut self, id: &[u8; 16]) {
        if let Some(place) = self.input_ids.chunks_exact(16).position(|known| known == id) {
            self.input_ids.drain(place * 16..(place + 1) * 16);
        }
    }

    /// Remembers an input id; the oldest leaves the window of [`INPUT_IDS_MAX`].
    pub fn remember_input(&mut self, id: &[u8; 16]) {
        if self.input_ids.len() >= INPUT_IDS_MAX * 16 {
            self.input_ids.drain(..16);
        }
        self.input_ids.extend_from_slice(id);
    }
}

/// Where the request that started an execution wants its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct ReplyTo {
    pub event_id: String,
    #[serde(default)]
    pub request_id: Option<String>,
    #[serde(default)]
    pub trace_id: Option<String>,
    pub response_event: String,
    #[serde(default)]
    pub response_topic: Option<String>,
    #[serde(default)]
    pub response_schema_name: Option<String>,
}

/// The last attempt of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct TaskState {
    pub task_id: String,
    pub status: TaskStatus,
    pub attempt: i32,
    pub failures: i32,
}

/// An open wait for an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct Wait {
    pub wait_id: String,
    pub event_type: String,
    #[serde(default)]
    pub correlation_key: Option<String>,
    pub correlation_id: String,
    pub task_id: String,
    #[serde(default)]
    pub scope: Option<String>,
    #[serde(default)]
    pub branch: Option<String>,
}

impl Wait {
    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.wait_id.len()
            + self.event_type.len()
            + optional(&self.correlation_key)
            + self.correlation_id.len()
            + self.task_id.len()
            + optional(&self.scope)
            + optional(&self.branch)
    }
}

/// A child that is at work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct Child {
    pub execution_id: String,
    pub workflow_id: String,
    pub completed_event: String,
    pub failed_event: String,
    pub parent_close: ParentClosePolicy,
    pub correlation_id: String,
    #[serde(default)]
    pub scope: Option<String>,
    #[serde(default)]
    pub branch: Option<String>,
}

/// The execution that started this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct Parent {
    pub execution_id: String,
    pub depth: i32,
}

/// One of the newest handled events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct ProcessedEvent {
    pub event_id: String,
    pub event_type: String,
    #[serde(with = "crate::timestamp")]
    pub processed_at: Micros,
    pub processed_by: String,
    pub result: Cow<'static, str>,
    #[serde(default)]
    pub scope: Option<String>,
    #[serde(default)]
    pub branch: Option<String>,
}

/// An event that waits to be handled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct Pending {
    #[serde(with = "serde_bytes")]
    pub event: Vec<u8>,
    pub event_id: String,
    pub depth: i32,
    #[serde(default)]
    pub input: Option<String>,
    #[serde(default)]
    pub redrive: i32,
    #[serde(default)]
    pub opens: Option<BranchOpening>,
}

/// An event that came before its wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct EarlyEvent {
    #[serde(with = "serde_bytes")]
    pub event: Vec<u8>,
    pub event_id: String,
    pub input: String,
    #[serde(default)]
    pub redrive: i32,
    #[serde(with = "crate::timestamp")]
    pub until: Micros,
    #[serde(default)]
    pub original: Option<OriginalRecord>,
}

/// What the first event of a branch opens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct BranchOpening {
    pub ordinal: i32,
    #[serde(default)]
    pub ends_on: Option<String>,
}
