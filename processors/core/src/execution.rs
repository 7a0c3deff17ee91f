//! One execution while it is worked on: its records, what is queued, and what has changed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use crate::apply::Current;
use crate::by_branch::ByBranch;
use crate::codec::{self, CodecError};
use crate::context::{Branch, BranchOpening, Context, ContextKey, EarlyEvent, Pending, RecordKey, Scope, Stub};
use crate::event::{Event, Micros};
use crate::inbound::{Inbound, InputRef};
use crate::json;
use crate::limits::Limits;
use crate::original_record::OriginalRecord;
use crate::record_store::RecordStore;
use crate::records::Records;
use crate::redrive::REQUESTED;
use crate::status::WorkflowStatus;
use crate::timer::{Purpose, Timer, TimerEvent};

/// What is known of an execution before an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Life {
    Unknown,
    Open,
    Closed(Stub),
}

/// An event in the queue.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    /// Shared: an event is some hundred bytes wide, and is handed on several times.
    pub event: Arc<Event>,
    pub depth: i32,
    pub input: Option<InputRef>,
    pub opens: Option<BranchOpening>,
    /// The log already tells that it is pending.
    pub logged: bool,
}

/// An event that came before its wait.
#[derive(Clone, Debug)]
pub(crate) struct Early {
    pub queued: Queued,
    /// When it is handled without the wait.
    pub until: Micros,
    /// The record that it came as, where it may yet be refused.
    pub original: Option<OriginalRecord>,
}

/// An execution that is being worked on. [`crate::apply`] changes it; [`Execution::changed_records`] says what to write.
#[derive(Debug)]
pub struct Execution {
    pub(crate) id: String,
    pub(crate) life: Life,
    pub(crate) records: Records,
    pub(crate) queue: VecDeque<Queued>,
    /// How many of the queue belong to each branch.
    pub(crate) queued_in: ByBranch<usize>,
    /// The events that timers keep, by the timer.
    pub(crate) timer_events: BTreeMap<String, Arc<Event>>,
    /// What came before its wait, oldest first.
    pub(crate) early: VecDeque<Early>,
    /// What came before its start, oldest first.
    pub(crate) before_start: VecDeque<Early>,
    /// It did not start in time: nothing of it is to stay.
    pub(crate) is_given_up: bool,
    /// Bytes that `data` has at most, where they were counted: patches add to it what they could have added.
    data_bytes: Option<usize>,
    pub(crate) current: Option<Box<Current>>,
    /// The newest published event, held until it is known whether what it left is pending.
    pub(crate) held: Option<(Arc<Event>, Option<InputRef>)>,
    pub(crate) handled_in_step: u32,
    pub(crate) root_changed: bool,
    pub(crate) scopes_changed: BTreeSet<String>,
    pub(crate) branches_changed: ByBranch<()>,
    /// Scopes that no record was written of yet.
    pub(crate) scopes_unwritten: BTreeSet<String>,
}

impl Execution {
    fn with_life(id: &str, life: Life) -> Execution {
        Execution {
            id: id.to_owned(),
            life,
            records: Records::default(),
            queue: VecDeque::new(),
            queued_in: ByBranch::default(),
            timer_events: BTreeMap::new(),
            early: VecDeque::new(),
            before_start: VecDeque::new(),
            is_given_up: false,
            data_bytes: None,
            current: None,
            held: None,
            handled_in_step: 0,
            root_changed: false,
            scopes_changed: BTreeSet::new(),
            branches_changed: ByBranch::default(),
            scopes_unwritten: BTreeSet::new(),
        }
    }

    /// An execution that nothing is known of.
    pub fn unknown(id: &str) -> Execution {
        Execution::with_life(id, Life::Unknown)
    }

    /// A closed execution.
    pub fn closed(id: &str, stub: Stub) -> Execution {
        Execution::with_life(id, Life::Closed(stub))
    }

    /// An open execution from its root record.
    ///
    /// # Errors
    /// Where an event in `pending` or of a timer can't be read.
    pub fn open(mut context: Context, schemas: &codec::Schemas) -> Result<Execution, CodecError> {
        let mut execution = Execution::with_life(&context.execution_id, Life::Open);
        for pending in std::mem::take(&mut context.pending) {
            let input = pending.input.map(|position| InputRef { position, redrive: pending.redrive.max(0) as u32 });
            execution.push(Queued {
                event: Arc::new(schemas.read_event(&pending.event)?),
                depth: pending.depth,
                logged: input.is_none(),
                input,
                opens: pending.opens,
            });
        }
        for kept in std::mem::take(&mut context.timer_events) {
            let event = schemas.read_event(&kept.event)?;
            execution.timer_events.insert(kept.timer_id, Arc::new(event));
        }
        for early in std::mem::take(&mut context.early) {
            let input = InputRef { position: early.input, redrive: early.redrive.max(0) as u32 };
            let event = Arc::new(schemas.read_event(&early.event)?);
            let queued = Queued { event, depth: 0, input: Some(input), opens: None, logged: false };
            execution.early.push_back(Early { queued, until: early.until, original: early.original });
        }
        if context.is_unstarted() {
            execution.life = Life::Unknown;
            execution.before_start = std::mem::take(&mut execution.early);
        }
        execution.records.context = Some(context);
        Ok(execution)
    }

    /// A closed execution with its root record, as a task that gave up needs it to run again.
    ///
    /// # Errors
    /// As [`Execution::open`].
    pub fn closed_with(context: Context, schemas: &codec::Schemas) -> Result<Execution, CodecError> {
        let life = Life::Closed(Stub::of(&context));
        Ok(Execution { life, ..Execution::open(context, schemas)? })
    }

    /// Does this input need more than the stub that is known of it?
    pub fn lacks_records_for(&self, inbound: &Inbound) -> bool {
        let failed = self.stub().is_some_and(|stub| stub.status == WorkflowStatus::Failed);
        failed && self.records.context.is_none() && inbound.event.event_type == REQUESTED
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Is there an event to handle? Not once it has ended: what is left then waits for a redrive. Nor while it is
    /// paused.
    pub fn has_queued(&self) -> bool {
        !self.queue.is_empty() && !self.is_closed() && !self.is_paused()
    }

    /// Is it paused?
    pub fn is_paused(&self) -> bool {
        self.context().is_some_and(Context::is_paused)
    }

    /// WAITING while a wait is open or a child is at work, and no task is to be tried again, else RUNNING.
    pub(crate) fn status_at_work(&self) -> WorkflowStatus {
        let is_retry = |timer: &Timer| timer.purpose == Purpose::Retry.as_str();
        let waits = self.context().is_some_and(|context| {
            let idle = context.waits.is_empty() && context.children.is_empty();
            !idle && !context.timers.iter().any(is_retry)
        });
        if waits { WorkflowStatus::Waiting } else { WorkflowStatus::Running }
    }

    /// Has it ended?
    pub fn is_closed(&self) -> bool {
        matches!(self.life, Life::Closed(_))
    }

    /// Its root record as it stands, `pending` left out.
    pub fn context(&self) -> Option<&Context> {
        self.records.context.as_ref()
    }

    /// Its records as they stand.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// When its next timer is due, or something else by the clock, and how many timers it has; none of one that is
    /// closed or paused.
    pub fn timers(&self) -> Option<(Micros, usize)> {
        let context = self.records.context.as_ref().filter(|_| !self.is_closed() && !self.is_paused())?;
        let early = self.kept().map(|early| early.until).min();
        Some((context.next_due().into_iter().chain(early).min()?, context.timers.len()))
    }

    /// What came before its start, and before its wait.
    fn kept(&self) -> impl Iterator<Item = &Early> {
        self.before_start.iter().chain(&self.early)
    }

    /// Does it hold events that came before its start, and is it not started?
    pub fn awaits_start(&self) -> bool {
        self.life == Life::Unknown && self.records.context.is_some()
    }

    /// Takes in the record of the newest event that came before the start, where that is at hand and there is room for
    /// it: it is what a dead letter holds.
    pub fn keep_original(&mut self, limits: &Limits, record: impl FnOnce() -> OriginalRecord) {
        if self.life != Life::Unknown || self.before_start.back().is_none_or(|early| early.original.is_some()) {
            return;
        }
        let record = record();
        if self.kept_bytes() + record.bytes() <= limits.context_max_bytes
            && let Some(early) = self.before_start.back_mut()
        {
            early.original = Some(record);
        }
    }

    /// Did it not start in time, so that its root record is to be taken back?
    pub fn is_given_up(&self) -> bool {
        self.is_given_up && self.records.context.is_none()
    }

    /// Bytes of the events that timers keep, and of those that came before their wait, roughly.
    pub(crate) fn kept_bytes(&self) -> usize {
        let early = self.kept().map(|early| kept_bytes(&early.queued.event));
        let originals = self.kept().filter_map(|early| early.original.as_ref()).map(OriginalRecord::bytes);
        self.timer_events.values().map(|event| kept_bytes(event)).chain(early).chain(originals).sum()
    }

    /// Bytes that `data` has at most. Counted once: a patch adds no more than its own length.
    pub(crate) fn data_bytes_at_most(&mut self) -> usize {
        let data = self.records.context.as_ref().map(|context| &context.data);
        *self.data_bytes.get_or_insert_with(|| data.map_or(0, |data| json::length(data)))
    }

    /// A patch of so many bytes is folded in.
    pub(crate) fn data_grew(&mut self, bytes: usize) {
        self.data_bytes = self.data_bytes.map(|known| known + bytes);
    }

    /// The event ids and depths of what it emitted and has not handled, as the log tells them once the step is cut.
    pub fn pending_emissions(&self) -> impl Iterator<Item = (&str, i32)> {
        self.queue.iter().filter(|q| q.input.is_none()).map(|q| (q.event.event_id.as_str(), q.depth))
    }

    pub(crate) fn push(&mut self, queued: Queued) {
        if let Some((scope, branch)) = queued.event.place() {
            match self.queued_in.get_mut(scope, branch) {
                Some(count) => *count += 1,
                None => self.queued_in.insert(scope, branch, 1),
            }
        }
        self.queue.push_back(queued);
    }

    pub(crate) fn pop(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front()?;
        if let Some((scope, branch)) = queued.event.place()
            && let Some(count) = self.queued_in.get_mut(scope, branch)
        {
            *count -= 1;
        }
        Some(queued)
    }

    /// Makes a scope's record known, where it exists.
    pub(crate) fn load_scope(&mut self, scope: &str, store: &dyn RecordStore) -> Option<&Scope> {
        if !self.records.scopes.contains_key(scope)
            && let Some(found) = store.scope(&self.id, scope)
        {
            self.records.scopes.insert(scope.to_owned(), found);
        }
        self.records.scopes.get(scope)
    }

    /// Makes a branch's record known, where it exists.
    pub(crate) fn load_branch(&mut self, scope: &str, branch: &str, store: &dyn RecordStore) -> Option<&Branch> {
        if self.records.branches.get(scope, branch).is_none()
            && let Some(found) = store.branch(&self.id, scope, branch)
        {
            self.records.branches.insert(scope, branch, found);
        }
        self.records.branches.get(scope, branch)
    }

    /// All branches of a scope that have begun, each once, in any order.
    pub(crate) fn all_branches<'a>(
        &'a self,
        scope: &str,
        store: &dyn RecordStore,
    ) -> impl Iterator<Item = Cow<'a, Branch>> {
        let mut stored = store.branches(&self.id, scope);
        stored.retain(|branch| self.records.branches.get(scope, &branch.branch).is_none());
        let known = self.records.branches.of_scope(scope).map(|(_, branch)| Cow::Borrowed(branch));
        known.chain(stored.into_iter().map(Cow::Owned))
    }

    /// The records that changed since the last call, encoded; afterwards none has changed.
    ///
    /// Of an execution that has succeeded nothing is read any more but its root record, and the branches of a scope
    /// whose completion event refers to them: scopes that were opened and closed since the last call leave no record.
    ///
    /// # Errors
    /// Where a record does not fit its schema, which a test of each schema rules out.
    pub fn changed_records(&mut self, schemas: &codec::Schemas) -> Result<Vec<(RecordKey, Vec<u8>)>, CodecError> {
        let mut changed = Vec::new();
        let unwritten = std::mem::take(&mut self.scopes_unwritten);
        if self.stub().is_some_and(|stub| stub.status == WorkflowStatus::Success) {
            self.scopes_changed.retain(|scope| !unwritten.contains(scope));
            self.branches_changed.retain_scopes(|scope| !unwritten.contains(scope));
        }
        for scope in std::mem::take(&mut self.scopes_changed) {
            if let Some(record) = self.records.scopes.get(&scope) {
                changed.push((self.inner_key(&scope, None), schemas.write_scope(record)?));
            }
        }
        for (scope, branch, ()) in std::mem::take(&mut self.branches_changed).iter() {
            if let Some(record) = self.records.branches.get(scope, branch) {
                changed.push((self.inner_key(scope, Some(branch.to_owned())), schemas.write_branch(record)?));
            }
        }
        if std::mem::take(&mut self.root_changed)
            && let Some(mut context) = self.records.context.take()
        {
            if !self.timer_events.is_empty() {
                context.timer_events = self.kept_by_timers(&context, schemas)?;
            }
            context.early = self.kept().map(|early| early_event(early, schemas)).collect::<Result<_, _>>()?;
            context.pending = self.queue.iter().map(|queued| pending(queued, schemas)).collect::<Result<_, _>>()?;
            changed.push((RecordKey::Root(self.id.clone()), schemas.write_context(&context)?));
            context.pending = Vec::new();
            context.timer_events = Vec::new();
            context.early = Vec::new();
            self.records.context = Some(context);
        }
        Ok(changed)
    }

    /// What the pending timers keep; what others had kept is dropped.
    fn kept_by_timers(&mut self, context: &Context, schemas: &codec::Schemas) -> Result<Vec<TimerEvent>, CodecError> {
        let pending: HashSet<&str> = context.timers.iter().map(|timer| timer.timer_id.as_str()).collect();
        self.timer_events.retain(|timer_id, _| pending.contains(timer_id.as_str()));
        let kept = self.timer_events.iter();
        kept.map(|(id, event)| Ok(TimerEvent { timer_id: id.clone(), event: schemas.write_event(event)? })).collect()
    }

    fn inner_key(&self, scope: &str, branch: Option<String>) -> RecordKey {
        RecordKey::Inner(ContextKey { execution_id: self.id.clone(), scope: scope.to_owned(), branch })
    }

    /// The stub of a closed execution.
    pub fn stub(&self) -> Option<Stub> {
        match self.life {
            Life::Closed(stub) => Some(stub),
            Life::Unknown | Life::Open => None,
        }
    }

    /// When it was created, in microseconds since the epoch.
    pub fn created_at(&self) -> Option<Micros> {
        self.records.context.as_ref().map(|context| context.created_at)
    }
}

/// Bytes of an event in the root record, roughly: its texts, and Avro's framing.
pub(crate) fn kept_bytes(event: &Event) -> usize {
    event.envelope_bytes() + event.payload.as_ref().map_or(0, |json| json.as_str().len()) + KEPT_OVERHEAD_BYTES
}

/// Bytes of an event that is kept beside its texts: Avro framing, ids, numbers.
const KEPT_OVERHEAD_BYTES: usize = 256;

fn early_event(early: &Early, schemas: &codec::Schemas) -> Result<EarlyEvent, CodecError> {
    let Queued { event, input, .. } = &early.queued;
    Ok(EarlyEvent {
        event: schemas.write_event(event)?,
        event_id: event.event_id.clone(),
        input: input.as_ref().map(|input| input.position.clone()).unwrap_or_default(),
        redrive: input.as_ref().map_or(0, |input| input.redrive as i32),
        until: early.until,
        original: early.original.clone(),
    })
}

fn pending(queued: &Queued, schemas: &codec::Schemas) -> Result<Pending, CodecError> {
    Ok(Pending {
        event: schemas.write_event(&queued.event)?,
        event_id: queued.event.event_id.clone(),
        depth: queued.depth,
        input: queued.input.as_ref().map(|input| input.position.clone()),
        redrive: queued.input.as_ref().map_or(0, |input| input.redrive as i32),
        opens: queued.opens.clone(),
    })
}
