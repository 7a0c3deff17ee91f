//! The rules of Thalweg: events, contexts, and the step that turns an input into actions.
//!
//! Pure: no I/O, no clock, no Kafka, no randomness. The same step serves the router, tests and replay.

pub mod apply;
pub mod approval;
pub mod budget;
mod by_branch;
mod channel;
pub mod codec;
pub mod command;
pub mod context;
mod data;
pub mod dialect;
pub mod effect;
mod error_code;
pub mod event;
mod execution;
pub mod identity;
pub mod inbound;
mod join_policy;
pub mod json;
pub mod limits;
pub mod merge_patch;
mod message_class;
pub mod outcome;
mod partition;
mod pattern;
pub mod redrive;
pub mod retry;
mod status;
mod string_enum;
pub mod task;
pub mod timer;
pub mod timestamp;
pub mod usd;
mod workflow;

pub use async_trait::async_trait;
pub use by_branch::ByBranch;
pub use channel::Channel;
pub use command::WorkflowCommand;
pub use data::Data;
pub use dialect::Dialect;
pub use error_code::ErrorCode;
pub use event::{Event, Micros};
pub use execution::{EmptyStore, Execution, RecordStore};
pub use join_policy::{BranchCounts, JoinPolicy};
pub use json::Json;
pub use limits::Limits;
pub use message_class::MessageClass;
pub use outcome::{FanOut, ForEach, Items, NewEvent, NewTimer, Outcome, WaitFor};
pub use partition::partition_of;
pub use pattern::Pattern;
pub use retry::RetryPolicy;
pub use status::{BranchStatus, ReportedStatus, ScopeStatus, TaskStatus, WorkflowStatus};
pub use task::{OnFailure, Task, TaskContext, TaskError};
pub use workflow::{Workflow, Workflows};
