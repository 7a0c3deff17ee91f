//! Step 3: a batch of inputs and due work becomes one transaction's content. Nothing here touches Kafka.

mod letters;

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::time::Instant;

use thalweg_core::apply::{Action, Step, drive};
use thalweg_core::context::{RecordKey, Stub};
use thalweg_core::identity::execution_hash;
use thalweg_core::inbound::{
    self, HEADER_EVENT_TYPE, HEADER_INPUT, HEADER_ORIGIN, HEADER_REDRIVE, Inbound, InboxRecord, Reading, Refusal,
};
use thalweg_core::task::{TaskCall, TaskRun};
use thalweg_core::{Channel, ErrorCode, Event, Execution, WorkflowStatus, partition_of};

use super::partition::Partition;
use super::retention::Found;
use super::tally::{Tally, TaskNote};
use super::wanted::Wanted;
use super::{Fixtures, LaneError};
use crate::cache::{ByExecution, CachedRecords};
use crate::clock::wall_clock;
use crate::kafka::{InboxMessage, KafkaFault, Outgoing, OutgoingRef, Records};

/// Records that one transaction writes at most, roughly: a producer holds many more.
const OUTPUTS_MAX: usize = 50_000;

/// An execution that the batch has worked on. Boxed: the map moves its entries when it grows.
struct Touched {
    execution: Box<Execution>,
    partition: i32,
}

/// An execution that has succeeded in this batch, its records written: no more than its stub is needed.
struct Succeeded {
    id: String,
    stub: Stub,
    partition: i32,
}

/// A record of a context that changed: its place among the records to write, and where the cache takes it in.
struct Changed {
    partition: i32,
    key: RecordKey,
    /// Hash of its execution.
    execution: u128,
    place: usize,
}

/// An execution by its id, and by the hash of that, which takes some time to make.
#[derive(Clone, Copy)]
struct Of<'a> {
    id: &'a str,
    hash: u128,
}

impl Of<'_> {
    fn new(id: &str) -> Of<'_> {
        Of { id, hash: execution_hash(id) }
    }
}

/// A topic that a transaction writes to.
#[derive(Clone, Copy, Debug)]
pub enum Topic {
    Channel(Channel),
    Contexts,
    Inbox,
}

/// The content of one transaction.
pub struct Batch<'a> {
    fixtures: &'a Fixtures,
    began: Instant,
    touched: ByExecution<u128, Touched>,
    succeeded: ByExecution<u128, Succeeded>,
    records: Records<Topic>,
    changed: Vec<Changed>,
    dead_letters: Vec<Outgoing>,
    pub forwards: Vec<Outgoing>,
    /// The next inbox offset of each partition that the batch read from or writes executions of.
    pub offsets: BTreeMap<i32, i64>,
    pub tally: Tally,
    /// The records that it forgets: partition and key.
    pub forgotten: Vec<(i32, Found)>,
    /// The executions that it went on with, in order: partition and execution.
    pub gone_on: Vec<(i32, String)>,
    /// Partitions with an execution of a workflow that this router does not run: nothing more is taken from them.
    pub unlisted: BTreeMap<i32, String>,
    /// Partitions with a record whose schema could not be looked up, and why: nothing more is taken from them.
    pub held: BTreeMap<i32, KafkaFault>,
    /// Partitions that are to be restored with the records of these executions before more is taken from them.
    pub wanted: BTreeMap<i32, Wanted>,
}

impl<'a> Batch<'a> {
    /// A batch without content. Of `records` it uses the memory.
    pub fn new(fixtures: &'a Fixtures, mut records: Records<Topic>) -> Batch<'a> {
        records.clear();
        Batch {
            fixtures,
            began: Instant::now(),
            touched: ByExecution::default(),
            succeeded: ByExecution::default(),
            records,
            changed: Vec::new(),
            dead_letters: Vec::new(),
            forwards: Vec::new(),
            offsets: BTreeMap::new(),
            tally: Tally::default(),
            forgotten: Vec::new(),
            gone_on: Vec::new(),
            unlisted: BTreeMap::new(),
            held: BTreeMap::new(),
            wanted: BTreeMap::new(),
        }
    }

    /// No room for more: its time is over, or its transaction is large enough.
    pub fn is_full(&self) -> bool {
        self.began.elapsed() >= self.fixtures.step_max || self.records.len() + self.dead_letters.len() >= OUTPUTS_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Goes on with an execution whose queue an earlier transaction has left.
    pub fn go_on(&mut self, partition: &Partition, execution_id: String) -> Result<(), LaneError> {
        let of = Of::new(&execution_id);
        if self.is_unlisted(partition, of)? {
            return Ok(());
        }
        self.offsets.entry(partition.number).or_insert(partition.next_offset);
        self.step(partition, of, None, None)?;
        self.gone_on.push((partition.number, execution_id));
        Ok(())
    }

    /// Writes the tombstone of a record of a closed execution.
    pub fn forget(&mut self, partition: i32, next_offset: i64, found: Found) {
        self.offsets.entry(partition).or_insert(next_offset);
        self.records.add_tombstone(Topic::Contexts, partition, &found.key);
        self.forgotten.push((partition, found));
    }

    /// Lets the timers of an execution fire that are due.
    pub fn fire(&mut self, partition: &Partition, execution_id: &str) -> Result<(), LaneError> {
        let of = Of::new(execution_id);
        if self.is_unlisted(partition, of)? {
            return Ok(());
        }
        self.offsets.entry(partition.number).or_insert(partition.next_offset);
        self.step(partition, of, None, None)
    }

    /// Handles one inbox record.
    pub fn handle(&mut self, partition: &Partition, message: &InboxMessage) -> Result<(), LaneError> {
        if self.unlisted.contains_key(&partition.number) || self.held.contains_key(&partition.number) {
            return Ok(());
        }
        let reading = match self.read(partition, message) {
            Ok(reading) => reading,
            // Its schema may be registered all the same: it is neither taken nor refused.
            Err(fault) => {
                self.held.insert(partition.number, fault);
                return Ok(());
            }
        };
        if let Ok(Reading::Event(inbound)) = reading {
            return self.take_in(partition, message, *inbound);
        }
        // What comes after a record that has to wait waits with it.
        if self.wanted.contains_key(&partition.number) {
            return Ok(());
        }
        self.offsets.insert(partition.number, message.offset + 1);
        match reading {
            Ok(Reading::Event(_)) => Ok(()),
            Ok(Reading::Elsewhere { partition: to, execution_id, event_id }) => {
                self.forward(&position(partition, message), message, to, &execution_id, &event_id);
                Ok(())
            }
            Err(refusal) => {
                self.refuse(position(partition, message), message, &refusal);
                Ok(())
            }
        }
    }

    /// Takes in an event of this partition, unless it has to wait.
    fn take_in(&mut self, partition: &Partition, message: &InboxMessage, inbound: Inbound) -> Result<(), LaneError> {
        let id = inbound.event.execution_id.clone();
        let of = Of::new(&id);
        let waits = self.is_unlisted(partition, of)? || self.is_wanted(partition, of, &inbound);
        if waits || self.wanted.contains_key(&partition.number) {
            return Ok(());
        }
        self.offsets.insert(partition.number, message.offset + 1);
        self.step(partition, of, Some(inbound), Some(message))
    }

    fn read(&self, partition: &Partition, message: &InboxMessage) -> Result<Result<Reading, Refusal>, KafkaFault> {
        let fixtures = self.fixtures;
        let redrive = match message.header(HEADER_REDRIVE).map(|text| (text, text.parse())) {
            None => 0,
            Some((_, Ok(redrive))) => redrive,
            Some((text, Err(_))) => {
                let message = format!("header {HEADER_REDRIVE} is no number: {text:?}");
                return Ok(Err(Refusal::new(ErrorCode::EventInvalid, message)));
            }
        };
        let record = InboxRecord {
            topic: &partition.inbox,
            partition: message.partition,
            offset: message.offset,
            timestamp: message.timestamp,
            key: message.key.as_deref(),
            value: message.value.as_deref(),
            origin: message.header(HEADER_ORIGIN),
            redrive,
            headers: &message.headers,
        };
        let read = || inbound::read(&record, fixtures.partitions, &fixtures.schemas, &fixtures.limits);
        match read() {
            Err(refusal) if refusal.code == ErrorCode::SchemaUnknown => {
                fixtures.registry.refresh()?;
                Ok(read())
            }
            reading => Ok(reading),
        }
    }

    /// Makes an execution known to the batch.
    fn touch(&mut self, partition: &Partition, Of { id, hash }: Of) -> Result<(), LaneError> {
        if let Entry::Vacant(entry) = self.touched.entry(hash) {
            let execution = match self.succeeded.get(&hash) {
                Some(succeeded) => Ok(Execution::closed(id, succeeded.stub)),
                None => partition.cache.execution(id, hash, &self.fixtures.schemas),
            };
            let execution = execution.map_err(|error| LaneError::Contexts { partition: partition.number, error })?;
            entry.insert(Touched { execution: Box::new(execution), partition: partition.number });
        }
        Ok(())
    }

    /// Is it open and of a workflow that this router does not run? Then its partition has to wait for one that does.
    fn is_unlisted(&mut self, partition: &Partition, of: Of) -> Result<bool, LaneError> {
        self.touch(partition, of)?;
        let touched = self.touched.get(&of.hash);
        let context = touched.filter(|touched| !touched.execution.is_closed()).and_then(|t| t.execution.context());
        // What is tracked is done elsewhere: it needs no workflow here.
        let run_here = context.filter(|context| context.tracked.is_none() && !context.is_unstarted());
        let unlisted = run_here.map(|c| &c.workflow_id).filter(|id| self.fixtures.workflows.get(id).is_none());
        if let Some(workflow_id) = unlisted {
            self.unlisted.insert(partition.number, workflow_id.clone());
            return Ok(true);
        }
        Ok(false)
    }

    /// Does it need records of a closed execution that the cache has no more? Then its partition is restored with them.
    fn is_wanted(&mut self, partition: &Partition, of: Of, inbound: &Inbound) -> bool {
        let lacks = self.touched.get(&of.hash).is_some_and(|touched| touched.execution.lacks_records_for(inbound));
        if lacks {
            self.wanted.entry(partition.number).or_default().add(of.id);
        }
        lacks
    }

    fn step(
        &mut self,
        partition: &Partition,
        of: Of,
        inbound: Option<Inbound>,
        message: Option<&InboxMessage>,
    ) -> Result<(), LaneError> {
        let fixtures = self.fixtures;
        let Some(touched) = self.touched.get_mut(&of.hash) else { return Ok(()) };
        let limits = partition.unstarted.limits(fixtures.limits);
        let records = CachedRecords::new(&partition.cache, &fixtures.schemas, of.hash);
        let step = Step { now: wall_clock(), workflows: &fixtures.workflows, limits: &limits, store: &records };
        let (began, tasks) = (self.began, &mut self.tally.tasks);
        let mut run = |call: TaskCall| -> TaskRun {
            let task = call.task.task_id().to_owned();
            let run = fixtures.tasks.run(call);
            let failure = run.result.as_ref().err().map(|failure| failure.code);
            tasks.push(TaskNote { task, failure, seconds: run.duration_ms / 1000.0 });
            run
        };
        let mut cut = || began.elapsed() >= fixtures.step_max;
        let actions = drive(&mut touched.execution, inbound, &step, &mut run, &mut cut);
        if let Some(message) = message {
            touched.execution.keep_original(&fixtures.limits, || message.original());
        }
        for action in actions {
            self.act(partition, of.id, action, message)?;
        }
        self.release(of)
    }

    /// Of an execution that has succeeded the records are written at once, and only the stub is kept: what a thousand
    /// executions hold would leave the processor's caches before the batch ends.
    fn release(&mut self, of: Of) -> Result<(), LaneError> {
        let Entry::Occupied(entry) = self.touched.entry(of.hash) else { return Ok(()) };
        let Some(stub) = entry.get().execution.stub().filter(|stub| stub.status == WorkflowStatus::Success) else {
            return Ok(());
        };
        let (hash, Touched { mut execution, partition }) = entry.remove_entry();
        self.write_records(&mut execution, hash, partition)?;
        self.succeeded.insert(hash, Succeeded { id: of.id.to_owned(), stub, partition });
        Ok(())
    }

    fn write_records(&mut self, execution: &mut Execution, hash: u128, partition: i32) -> Result<(), LaneError> {
        let schemas = &self.fixtures.schemas;
        if execution.is_given_up() {
            let key = RecordKey::Root(execution.id().to_owned());
            self.records.add_tombstone(
                Topic::Contexts,
                partition,
                &schemas.write_key(&key).map_err(LaneError::Record)?,
            );
        }
        for (key, value) in execution.changed_records(schemas).map_err(LaneError::Record)? {
            let place = self.records.len();
            let key_bytes = schemas.write_key(&key).map_err(LaneError::Record)?;
            let write = |bytes: &mut Vec<u8>| -> Result<(), LaneError> {
                bytes.extend_from_slice(&value);
                Ok(())
            };
            self.records.add(Topic::Contexts, partition, &key_bytes, &[], write)?;
            self.changed.push(Changed { partition, key, execution: hash, place });
        }
        Ok(())
    }

    fn act(
        &mut self,
        partition: &Partition,
        execution_id: &str,
        action: Action,
        message: Option<&InboxMessage>,
    ) -> Result<(), LaneError> {
        match action {
            Action::Publish(event, input) => self.publish(partition.number, &event, input),
            Action::Send(event) => self.send(&event),
            Action::DeadLetter(letter) => self.dead_letter(partition, &letter, message),
            Action::Duplicate => {
                self.tally.duplicates += 1;
                Ok(())
            }
            Action::Notice(notice) => {
                self.tally.notices.push((execution_id.to_owned(), notice));
                Ok(())
            }
            Action::RunTask(_) => Ok(()),
        }
    }

    fn publish(&mut self, partition: i32, event: &Event, input: Option<String>) -> Result<(), LaneError> {
        let channel = event.channel.parse().unwrap_or(Channel::SystemEvents);
        *self.tally.events.entry(channel).or_default() += 1;
        if input.is_some() {
            let rejected = event.event_type == "transition.rejected";
            self.tally.rejected += u64::from(rejected);
            self.tally.applied += u64::from(!rejected);
        }
        let position = input.as_deref().unwrap_or_default();
        let headers = [(HEADER_EVENT_TYPE, event.event_type.as_bytes()), (HEADER_INPUT, position.as_bytes())];
        let headers = if input.is_some() { &headers[..] } else { &headers[..1] };
        let schemas = &self.fixtures.schemas;
        let write = |bytes: &mut Vec<u8>| schemas.append_event(event, bytes).map_err(LaneError::Record);
        self.records.add(Topic::Channel(channel), partition, event.execution_id.as_bytes(), headers, write)
    }

    /// Writes an event to the inbox for another execution: it comes with the transaction or not at all.
    fn send(&mut self, event: &Event) -> Result<(), LaneError> {
        let schemas = &self.fixtures.schemas;
        let partition = partition_of(event.execution_id.as_bytes(), self.fixtures.partitions);
        let headers = [(HEADER_EVENT_TYPE, event.event_type.as_bytes())];
        let write = |bytes: &mut Vec<u8>| schemas.append_event(event, bytes).map_err(LaneError::Record);
        self.records.add(Topic::Inbox, partition, event.execution_id.as_bytes(), &headers, write)
    }

    /// The context records that the batch changed, each written once however many events touched it.
    pub fn write_changed(&mut self) -> Result<(), LaneError> {
        let mut touched = std::mem::take(&mut self.touched);
        for (hash, Touched { execution, partition }) in &mut touched {
            self.write_records(execution, *hash, *partition)?;
        }
        self.touched = touched;
        Ok(())
    }

    /// What the transaction is to write, in order.
    pub fn records(&self) -> impl Iterator<Item = OutgoingRef<'_>> {
        let name = |topic: &Topic| -> &str {
            match topic {
                Topic::Channel(channel) => self.fixtures.channel(*channel),
                Topic::Contexts => &self.fixtures.contexts,
                Topic::Inbox => &self.fixtures.inbox,
            }
        };
        self.records.iter(name).chain(self.dead_letters.iter().map(OutgoingRef::from))
    }

    /// The memory of its records.
    pub fn into_records(self) -> Records<Topic> {
        self.records
    }

    /// The context records that it changed of executions that are open when it is done: partition, key and value.
    pub fn changed(&self) -> impl Iterator<Item = (i32, &RecordKey, &[u8])> {
        let open = self.changed.iter().filter(|changed| {
            let touched = self.touched.get(&changed.execution);
            touched.is_some_and(|touched| !touched.execution.is_closed())
        });
        open.map(|changed| (changed.partition, &changed.key, self.records.value(changed.place)))
    }

    /// The executions that are closed when it is done: partition, hash, id and stub.
    pub fn closed(&self) -> impl Iterator<Item = (i32, u128, &str, Stub)> {
        let failed = self.touched.iter().filter_map(|(hash, touched)| {
            Some((touched.partition, *hash, touched.execution.id(), touched.execution.stub()?))
        });
        failed.chain(self.succeeded.iter().map(|(hash, ended)| (ended.partition, *hash, &*ended.id, ended.stub)))
    }

    /// Those that are open: partition and execution.
    pub fn open(&self) -> impl Iterator<Item = (i32, &Execution)> {
        let open = self.touched.values().filter(|touched| !touched.execution.is_closed());
        open.map(|touched| (touched.partition, touched.execution.as_ref()))
    }
}

/// Where a record of the inbox lies.
fn position(partition: &Partition, message: &InboxMessage) -> String {
    format!("{}/{}/{}", partition.inbox, message.partition, message.offset)
}
