//! A claim's way through the step without Kafka: inbox record in, the records that a lane would write out.

use std::sync::Arc;
use std::task::{Context as Polling, Poll, Waker};

use serde_json::json;
use thalweg_core::apply::{Action, Step, drive};
use thalweg_core::codec::Schemas;
use thalweg_core::context::RecordKey;
use thalweg_core::inbound::{self, Inbound, InboxRecord, Reading};
use thalweg_core::task::{TaskCall, TaskRun};
use thalweg_core::{EmptyStore, Event, Execution, Limits, Workflows};

/// The execution that every bench works on.
pub const EXECUTION_ID: &str = "00000000-0000-4000-8000-000000000000";

/// The time of every step and record.
const NOW: i64 = 1_700_000_000_000_000;

/// What a router keeps for all its executions.
pub struct Memory {
    pub schemas: Schemas,
    pub workflows: Workflows,
    limits: Limits,
}

/// What one input led to.
pub struct Written {
    pub events: Vec<Event>,
    pub execution: Execution,
}

impl Memory {
    pub fn new() -> Memory {
        Memory {
            schemas: Schemas::new().unwrap(),
            workflows: Workflows::new().with(claims::workflow()),
            limits: Limits::default(),
        }
    }

    /// Reads a value as the inbox record at an offset.
    pub fn read(&self, offset: i64, value: &[u8]) -> Inbound {
        let record = InboxRecord {
            topic: "thalweg.inbox",
            partition: 0,
            offset,
            timestamp: NOW,
            key: Some(EXECUTION_ID.as_bytes()),
            value: Some(value),
            origin: None,
            redrive: 0,
            headers: &[],
        };
        match inbound::read(&record, 1, &self.schemas, &self.limits).unwrap() {
            Reading::Event(inbound) => *inbound,
            Reading::Elsewhere { .. } => panic!("one partition has every execution"),
        }
    }

    /// Runs the step on an execution.
    pub fn step(&self, mut execution: Execution, inbound: Inbound) -> Written {
        let step = Step { now: NOW, workflows: &self.workflows, limits: &self.limits, store: &EmptyStore };
        let actions = drive(&mut execution, Some(inbound), &step, &mut run_now, &mut || false);
        let events = actions.into_iter().filter_map(|action| match action {
            Action::Publish(event, _) => Some(Arc::unwrap_or_clone(event)),
            Action::DeadLetter(letter) => panic!("{letter:?}"),
            _ => None,
        });
        Written { events: events.collect(), execution }
    }

    /// The root record of an execution.
    pub fn root(&self, written: &mut Written) -> Vec<u8> {
        let records = written.execution.changed_records(&self.schemas).unwrap();
        let root = records.into_iter().find(|(key, _)| matches!(key, RecordKey::Root(_)));
        root.map(|(_, value)| value).unwrap()
    }
}

/// The start of a claim, as the load writes it.
pub fn start(kind: claims::ExampleKind) -> Vec<u8> {
    json!({
        "event_type": "workflow.started", "workflow_id": claims::WORKFLOW_ID, "payload": claims::example(kind, 1),
    })
    .to_string()
    .into_bytes()
}

/// Runs a task that awaits nothing.
fn run_now(call: TaskCall) -> TaskRun {
    let TaskCall { task, event, mut context } = call;
    let mut handling = task.handle_event(&event, &mut context);
    let polled = handling.as_mut().poll(&mut Polling::from_waker(Waker::noop()));
    drop(handling);
    let Poll::Ready(result) = polled else { panic!("{} waits", task.task_id()) };
    TaskRun { result: result.map(|outcome| (outcome, context.data)).map_err(Into::into), duration_ms: 0.0 }
}
