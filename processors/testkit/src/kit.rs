//! A router in memory, whose clock the test moves.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use thalweg_core::apply::{Action, Step, drive};
use thalweg_core::codec::Schemas;
use thalweg_core::inbound::{self, Inbound, InboxRecord, Reading, Refusal, STARTED};
use thalweg_core::task::TaskError;
use thalweg_core::{Limits, Micros, Workflow, Workflows};
use tokio::runtime::Runtime;

use crate::execution::{SeenExecution, Written};
use crate::fault::Faults;
use crate::records::Records;

/// The time at which every test begins: 2023-11-14T22:13:20Z.
const BEGIN: Micros = 1_700_000_000_000_000;

/// The inbox of every test.
const INBOX: &str = "testkit.inbox";

/// Runs workflows in memory. Each input is handled to its end before the call returns, with all that it leads to but
/// for what waits for an event or for time.
pub struct TestKit {
    workflows: Workflows,
    /// The workflow that [`TestKit::start`] starts.
    first: String,
    limits: Limits,
    now: Micros,
    next_offset: i64,
    records: Records,
    written: BTreeMap<String, Written>,
    faults: Faults,
    runtime: Runtime,
}

impl TestKit {
    /// A router of this workflow.
    ///
    /// # Panics
    /// Where this machine can't start the runtime that tasks may await with.
    #[allow(clippy::expect_used, reason = "a test fails by panicking")]
    pub fn new(workflow: Workflow) -> TestKit {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a tokio runtime");
        TestKit {
            first: workflow.id.clone(),
            workflows: Workflows::new().with(workflow),
            limits: Limits::default(),
            now: BEGIN,
            next_offset: 0,
            records: Records::new(Schemas::new().expect("the schemas that are compiled in")),
            written: BTreeMap::new(),
            faults: Faults::default(),
            runtime,
        }
    }

    /// The same with another workflow, for children.
    pub fn with(mut self, workflow: Workflow) -> TestKit {
        self.workflows = self.workflows.with(workflow);
        self
    }

    /// The same under other limits.
    pub fn limits(mut self, limits: Limits) -> TestKit {
        self.limits = limits;
        self
    }

    /// Starts an execution of the workflow on these data.
    ///
    /// # Errors
    /// Why a router would refuse the start: its dead letter.
    pub fn start(&mut self, execution_id: &str, payload: Value) -> Result<(), Refusal> {
        let start = json!({"event_type": STARTED, "workflow_id": self.first, "payload": payload});
        self.send(execution_id, start)
    }

    /// Sends an event to the inbox, in its JSON form or that of any dialect, with the execution as its key.
    ///
    /// # Errors
    /// Why a router would refuse it before it looks for the execution. What it refuses or rejects after that is told by
    /// the execution.
    pub fn send(&mut self, execution_id: &str, event: Value) -> Result<(), Refusal> {
        let inbound = self.read(execution_id, event.to_string().as_bytes())?;
        self.handle(inbound);
        Ok(())
    }

    /// Lets time pass: what is due by then happens, each at its time.
    pub fn advance(&mut self, time: Duration) {
        let until = self.now.saturating_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
        while let Some((due, id)) = self.next_due().filter(|(due, _)| *due <= until) {
            self.now = self.now.max(due);
            let sent = self.step(&id, None);
            self.handle_all(sent);
        }
        self.now = until;
    }

    /// The next runs of a task fail with this error, whatever it would do.
    pub fn fail_task(&mut self, task_id: &str, times: u32, error: TaskError) {
        self.faults.add(task_id, times, error);
    }

    /// What became of an execution.
    pub fn execution(&self, execution_id: &str) -> SeenExecution {
        let written = self.written.get(execution_id).cloned().unwrap_or_default();
        SeenExecution { written, context: self.records.root(execution_id) }
    }

    /// The executions that there are, children among them.
    pub fn executions(&self) -> Vec<String> {
        self.records.ids()
    }

    /// When something is due first, and of which execution.
    fn next_due(&self) -> Option<(Micros, String)> {
        let due = |id: String| Some((self.records.open(&id).ok()?.timers()?.0, id));
        self.records.ids().into_iter().filter_map(due).min()
    }

    fn read(&mut self, key: &str, value: &[u8]) -> Result<Inbound, Refusal> {
        let record = InboxRecord {
            topic: INBOX,
            partition: 0,
            offset: self.next_offset,
            timestamp: self.now,
            key: Some(key.as_bytes()),
            value: Some(value),
            origin: None,
            redrive: 0,
            headers: &[],
        };
        self.next_offset += 1;
        match inbound::read(&record, 1, self.records.schemas(), &self.limits)? {
            Reading::Event(inbound) => Ok(*inbound),
            Reading::Elsewhere { execution_id, .. } => {
                unreachable!("one partition has every execution, {execution_id} too")
            }
        }
    }

    /// Handles an input, and what it leads to in other executions.
    fn handle(&mut self, inbound: Inbound) {
        let id = inbound.event.execution_id.clone();
        let sent = self.step(&id, Some(inbound));
        self.handle_all(sent);
    }

    /// Handles what executions wrote to the inbox for others.
    fn handle_all(&mut self, sent: Vec<(String, Vec<u8>)>) {
        let mut on_the_way = VecDeque::from(sent);
        while let Some((id, value)) = on_the_way.pop_front() {
            if let Ok(inbound) = self.read(&id, &value) {
                on_the_way.extend(self.step(&id, Some(inbound)));
            }
        }
    }

    /// One transaction: an input, or what is due, and all that is pending; returns what is for others.
    #[allow(clippy::panic, reason = "a test fails by panicking")]
    fn step(&mut self, id: &str, first: Option<Inbound>) -> Vec<(String, Vec<u8>)> {
        let opened = self.records.open(id);
        let mut execution = opened.unwrap_or_else(|error| panic!("the records of {id} can't be read: {error}"));
        let step = Step { now: self.now, workflows: &self.workflows, limits: &self.limits, store: &self.records };
        let (faults, runtime) = (&mut self.faults, &self.runtime);
        let mut actions = drive(&mut execution, first, &step, &mut |call| faults.run(call, runtime), &mut || false);
        while execution.has_queued() {
            actions.extend(drive(&mut execution, None, &step, &mut |call| faults.run(call, runtime), &mut || false));
        }
        let written = self.written.entry(id.to_owned()).or_default();
        let mut sent = Vec::new();
        for action in actions {
            match action {
                Action::Publish(event, _) if event.sequence == 0 => written.rejections.push((*event).clone()),
                Action::Publish(event, _) => written.events.push((*event).clone()),
                Action::Send(event) => match self.records.schemas().write_event(&event) {
                    Ok(value) => sent.push((event.execution_id, value)),
                    Err(error) => panic!("an event can't be written: {error}"),
                },
                Action::DeadLetter(letter) => written.dead_letters.push(*letter),
                Action::Duplicate => written.duplicates += 1,
                Action::RunTask(_) | Action::Notice(_) => {}
            }
        }
        if let Err(error) = self.records.save(execution) {
            panic!("the records of {id} can't be written: {error}");
        }
        sent
    }
}
