//! What a router does around the step, in memory: it reads inbox records, saves the records that changed, and reopens
//! executions from the saved bytes.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::task::{Context as Polling, Poll, Waker};

use serde_json::Value;
use thalweg_core::apply::{Action, DeadLetter, Notice, Step, drive};
use thalweg_core::codec::Schemas;
use thalweg_core::context::{Branch, Context, ContextKey, ContextSummary, RecordKey, Scope, Stub};
use thalweg_core::effect::PendingRef;
use thalweg_core::inbound::{self, Inbound, InboxRecord, Reading, Refusal};
use thalweg_core::records::Records;
use thalweg_core::task::{TaskCall, TaskRun};
use thalweg_core::{Event, Execution, Limits, RecordStore, WorkflowStatus, Workflows};

/// The one set of schemas of the tests.
pub static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| Schemas::new().unwrap());

/// The time of every step and record.
pub const NOW: i64 = 1_700_000_000_000_000;

/// The contexts topic, compacted: the newest bytes of each record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contexts(BTreeMap<RecordKey, Vec<u8>>);

impl Contexts {
    fn forget(&mut self, id: &str) {
        self.0.remove(&RecordKey::Root(id.to_owned()));
    }

    fn save(&mut self, key: &RecordKey, value: Vec<u8>) {
        let key = SCHEMAS.read_key(&SCHEMAS.write_key(key).unwrap()).unwrap();
        self.0.insert(key, value);
    }

    /// The root record of an execution.
    pub fn root(&self, id: &str) -> Option<Context> {
        self.0.get(&RecordKey::Root(id.to_owned())).map(|bytes| SCHEMAS.read_context(bytes).unwrap())
    }

    /// An execution as it was saved.
    pub fn open(&self, id: &str) -> Execution {
        match self.root(id) {
            None => Execution::unknown(id),
            // As after a restore that a redrive has asked for.
            Some(context) if context.status == WorkflowStatus::Failed => {
                Execution::closed_with(context, &SCHEMAS).unwrap()
            }
            Some(context) if context.status.is_closed() => Execution::closed(id, Stub::of(&context)),
            Some(context) => Execution::open(context, &SCHEMAS).unwrap(),
        }
    }

    fn inner(&self, execution_id: &str, scope: &str, branch: Option<&str>) -> Option<&Vec<u8>> {
        self.0.get(&inner_key(execution_id, scope, branch))
    }

    /// The saved scopes and branches of an execution, in the shape in which its events fold.
    pub fn inner_records(&self, id: &str) -> Records {
        let mut records = Records::default();
        for (key, bytes) in &self.0 {
            let RecordKey::Inner(key) = key else { continue };
            if key.execution_id != id {
                continue;
            }
            match &key.branch {
                None => {
                    records.scopes.insert(key.scope.clone(), SCHEMAS.read_scope(bytes).unwrap());
                }
                Some(branch) => {
                    records.branches.insert(&key.scope, branch, SCHEMAS.read_branch(bytes).unwrap());
                }
            }
        }
        records
    }

    /// Bytes of the largest record.
    pub fn largest_record(&self) -> usize {
        self.0.values().map(Vec::len).max().unwrap_or(0)
    }
}

fn inner_key(execution_id: &str, scope: &str, branch: Option<&str>) -> RecordKey {
    RecordKey::Inner(ContextKey {
        execution_id: execution_id.to_owned(),
        scope: scope.to_owned(),
        branch: branch.map(str::to_owned),
    })
}

impl RecordStore for Contexts {
    fn scope(&self, execution_id: &str, scope: &str) -> Option<Scope> {
        self.inner(execution_id, scope, None).map(|bytes| SCHEMAS.read_scope(bytes).unwrap())
    }

    fn branch(&self, execution_id: &str, scope: &str, branch: &str) -> Option<Branch> {
        self.inner(execution_id, scope, Some(branch)).map(|bytes| SCHEMAS.read_branch(bytes).unwrap())
    }

    fn branches(&self, execution_id: &str, scope: &str) -> Vec<Branch> {
        let from = inner_key(execution_id, scope, Some(""));
        let of_scope = self.0.range(from..).take_while(
            |(key, _)| matches!(key, RecordKey::Inner(key) if key.execution_id == execution_id && key.scope == scope),
        );
        of_scope.map(|(_, bytes)| SCHEMAS.read_branch(bytes).unwrap()).collect()
    }
}

/// What became of one execution, as the topics tell it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// Its events, in order, as they are read back.
    pub published: Vec<Event>,
    /// Events without a sequence: rejections.
    pub rejected: Vec<Event>,
    /// Its dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// Inputs that were dropped.
    pub duplicates: usize,
    /// Occurrences for the metrics.
    pub notices: Vec<Notice>,
    /// What it wrote to the inbox for others, and was not delivered yet.
    pub sent: Vec<Event>,
    /// The fold of its events.
    pub folded: Records,
    /// Bytes of the largest event.
    pub largest_event: usize,
}

impl Log {
    /// The types of its events.
    pub fn types(&self) -> Vec<&str> {
        self.published.iter().map(|event| event.event_type.as_str()).collect()
    }

    /// Does an event send its reader to the branch records of this scope?
    fn refers_to(&self, scope: &str) -> bool {
        self.published.iter().any(|event| event.payload_value()["results_in"]["scope"] == scope)
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Publish(event, _) => {
                let bytes = SCHEMAS.write_event(&event).unwrap();
                self.largest_event = self.largest_event.max(bytes.len());
                let read = SCHEMAS.read_event(&bytes).unwrap();
                assert_eq!(read, *event, "an event is read as it was written");
                self.folded.fold_event(&read).unwrap();
                if read.sequence == 0 { self.rejected.push(read) } else { self.published.push(read) }
            }
            Action::DeadLetter(letter) => self.dead_letters.push(*letter),
            Action::Duplicate => self.duplicates += 1,
            Action::Notice(notice) => self.notices.push(notice),
            Action::Send(event) => self.sent.push(*event),
            Action::RunTask(call) => panic!("{call:?} was not run"),
        }
    }
}

/// A router of one partition whose transactions end where the test says.
pub struct MemoryRouter<'a> {
    pub workflows: &'a Workflows,
    pub limits: Limits,
    /// The time of the next step.
    pub now: i64,
    pub contexts: Contexts,
    pub logs: BTreeMap<String, Log>,
    touched: BTreeMap<String, Execution>,
}

impl<'a> MemoryRouter<'a> {
    pub fn new(workflows: &'a Workflows, limits: Limits) -> MemoryRouter<'a> {
        MemoryRouter {
            workflows,
            limits,
            now: NOW,
            contexts: Contexts::default(),
            logs: BTreeMap::new(),
            touched: BTreeMap::new(),
        }
    }

    /// Another router that goes on from the saved contexts, with logs of its own.
    pub fn successor(&self) -> MemoryRouter<'a> {
        let contexts = self.contexts.clone();
        MemoryRouter { now: self.now, contexts, ..MemoryRouter::new(self.workflows, self.limits) }
    }

    /// Reads a record of the inbox as the only partition's.
    pub fn read(&self, offset: i64, value: &[u8]) -> Result<Inbound, Refusal> {
        read_record(None, offset, value, &self.limits)
    }

    /// Handles `inbound`, or goes on with what is pending.
    pub fn step(&mut self, id: &str, inbound: Option<Inbound>, cut: &mut dyn FnMut() -> bool) {
        let execution = self.touched.entry(id.to_owned()).or_insert_with(|| self.contexts.open(id));
        let step = Step { now: self.now, workflows: self.workflows, limits: &self.limits, store: &self.contexts };
        let log = self.logs.entry(id.to_owned()).or_default();
        for action in drive(execution, inbound, &step, &mut run_now, cut) {
            log.take(action);
        }
    }

    /// Handles an event in its JSON form.
    pub fn send(&mut self, id: &str, offset: i64, event: &Value) {
        let inbound = self.read(offset, event.to_string().as_bytes()).unwrap();
        self.step(id, Some(inbound), &mut || false);
    }

    /// Hands over what an execution wrote to the inbox for others, each event `times` times, at offsets from here on;
    /// returns the next offset.
    pub fn deliver(&mut self, from: &str, mut offset: i64, times: usize) -> i64 {
        let sent = std::mem::take(&mut self.logs.entry(from.to_owned()).or_default().sent);
        for event in sent {
            for _ in 0..times {
                let inbound = self.read(offset, &SCHEMAS.write_event(&event).unwrap()).unwrap();
                self.step(&event.execution_id, Some(inbound), &mut || false);
                offset += 1;
            }
        }
        offset
    }

    /// Goes on until nothing is pending.
    pub fn drain(&mut self, id: &str) {
        while self.has_queued(id) {
            self.step(id, None, &mut || false);
        }
    }

    /// Is there something pending?
    pub fn has_queued(&self, id: &str) -> bool {
        match self.touched.get(id) {
            Some(execution) => execution.has_queued(),
            None => self.contexts.open(id).has_queued(),
        }
    }

    /// When the next timer of an execution is due.
    pub fn next_due(&self, id: &str) -> Option<i64> {
        match self.touched.get(id) {
            Some(execution) => execution.timers().map(|(due, _)| due),
            None => self.contexts.open(id).timers().map(|(due, _)| due),
        }
    }

    /// Lets time pass until `now`, and lets every timer of the execution fire that is due by then, each at its time.
    pub fn pass_until(&mut self, id: &str, now: i64) {
        while let Some(due) = self.next_due(id).filter(|due| *due <= now) {
            self.now = self.now.max(due);
            self.step(id, None, &mut || false);
            self.drain(id);
        }
        self.now = self.now.max(now);
    }

    /// Ends the transaction: what changed is saved, and every execution is forgotten until it is needed again.
    pub fn commit(&mut self) {
        for (id, mut execution) in std::mem::take(&mut self.touched) {
            for (key, value) in execution.changed_records(&SCHEMAS).unwrap() {
                if matches!(key, RecordKey::Root(_)) {
                    assert_summary(&value);
                }
                self.contexts.save(&key, value);
            }
            if execution.is_given_up() {
                self.contexts.forget(&id);
            }
        }
    }

    /// What became of an execution.
    pub fn log(&self, id: &str) -> &Log {
        static NOTHING: LazyLock<Log> = LazyLock::new(Log::default);
        self.logs.get(id).unwrap_or(&NOTHING)
    }

    /// Holds that the fold of the execution's events is what the router has of it.
    pub fn assert_folded(&self, id: &str) {
        let folded = &self.log(id).folded;
        if let Some(execution) = self.touched.get(id) {
            let pending: Vec<PendingRef> = execution
                .pending_emissions()
                .map(|(event_id, depth)| PendingRef { event_id: event_id.to_owned(), depth })
                .collect();
            assert_eq!(folded.pending, pending, "pending in memory");
            if let Some(context) = execution.context().filter(|context| !context.is_unstarted()) {
                assert_eq!(folded.context, Some(told(context.clone())), "the context in memory");
            }
            for (scope, record) in &execution.records().scopes {
                assert_eq!(folded.scopes.get(scope), Some(record), "a scope in memory");
            }
            for (scope, branch, record) in execution.records().branches.iter() {
                assert_eq!(folded.branches.get(scope, branch), Some(record), "a branch in memory");
            }
            return;
        }
        let saved = self.contexts.inner_records(id);
        let (mut scopes, mut branches) = (folded.scopes.clone(), folded.branches.clone());
        if self.contexts.root(id).is_some_and(|root| root.status == WorkflowStatus::Success) {
            let is_left = |scope: &str| saved.scopes.contains_key(scope) || self.log(id).refers_to(scope);
            scopes.retain(|scope, _| is_left(scope));
            branches.retain_scopes(is_left);
        }
        assert_eq!(scopes, saved.scopes, "the saved scopes");
        assert_eq!(branches, saved.branches, "the saved branches");
        let Some(root) = self.contexts.root(id).filter(|root| !root.is_unstarted()) else {
            assert_eq!(folded.context, None, "events without a context");
            return;
        };
        let pending: Vec<PendingRef> = root
            .pending
            .iter()
            .filter(|pending| pending.input.is_none())
            .map(|pending| PendingRef { event_id: pending.event_id.clone(), depth: pending.depth })
            .collect();
        assert_eq!(folded.pending, pending, "the saved pending");
        assert_eq!(folded.context, Some(told(root)), "the saved context");
    }
}

/// Holds that what is read of a root record without the rest is what the whole record tells.
fn assert_summary(root: &[u8]) {
    let (summary, context) = (SCHEMAS.read_context_summary(root).unwrap(), SCHEMAS.read_context(root).unwrap());
    assert_eq!((summary.stub(), summary.is_unstarted()), (Stub::of(&context), context.is_unstarted()));
    assert_eq!((summary.has_pending(), summary.timers()), (!context.pending.is_empty(), context.timers.len()));
    assert_eq!(summary.next_due(), context.next_due());
    assert_eq!(summary, ContextSummary::from(context));
}

/// The part of a context that its events tell.
fn told(mut context: Context) -> Context {
    context.applied_offset = -1;
    context.input_ids.clear();
    context.processed.clear();
    context.pending.clear();
    context.timer_events.clear();
    context.early.clear();
    context
}

/// A record of the inbox's first partition.
pub fn record<'a>(key: Option<&'a [u8]>, offset: i64, value: &'a [u8]) -> InboxRecord<'a> {
    InboxRecord {
        topic: "inbox",
        partition: 0,
        offset,
        timestamp: NOW,
        key,
        value: Some(value),
        origin: None,
        redrive: 0,
        headers: &[],
    }
}

/// Reads a record of the inbox's only partition.
pub fn read_record(key: Option<&[u8]>, offset: i64, value: &[u8], limits: &Limits) -> Result<Inbound, Refusal> {
    match inbound::read(&record(key, offset, value), 1, &SCHEMAS, limits)? {
        Reading::Event(inbound) => Ok(*inbound),
        Reading::Elsewhere { .. } => panic!("one partition has every execution"),
    }
}

/// Runs a task that awaits nothing.
pub fn run_now(call: TaskCall) -> TaskRun {
    let TaskCall { task, event, mut context } = call;
    let mut handling = task.handle_event(&event, &mut context);
    let polled = handling.as_mut().poll(&mut Polling::from_waker(Waker::noop()));
    drop(handling);
    let Poll::Ready(result) = polled else { panic!("{} waits", task.task_id()) };
    TaskRun { result: result.map(|outcome| (outcome, context.data)).map_err(Into::into), duration_ms: 0.0 }
}
