//! One assigned partition: being restored, or served.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thalweg_core::codec::Schemas;
use thalweg_core::context::RecordKey;
use thalweg_core::identity::execution_hash;
use thalweg_core::{ErrorCode, Micros, WorkflowStatus};

use super::LaneError;
use super::due::DueQueue;
use super::retention::Sweep;
use super::timers::TimerQueue;
use super::unstarted::UnstartedExecutions;
use super::wanted::Wanted;
use crate::cache::PartitionCache;
use crate::inbox_position::InboxPosition;
use crate::kafka::{Kafka, KafkaFault};

/// A partition that the lane owns.
pub struct Partition {
    pub number: i32,
    /// What positions in it call the inbox.
    pub inbox: Arc<str>,
    pub cache: PartitionCache,
    pub phase: Phase,
    /// The lane's own next inbox offset: set by restore, moved by committed batches, always at least 0.
    pub next_offset: i64,
    /// Executions with `pending` events: work that needs no poll to go on, oldest first.
    pub due: DueQueue,
    /// Executions that have not started and of which events are kept.
    pub unstarted: UnstartedExecutions,
    /// Executions with timers.
    pub timers: TimerQueue,
    /// Finds closed executions that are to be forgotten.
    pub sweep: Sweep,
    /// Closed executions whose records a restore keeps.
    pub wanted: Wanted,
    /// What the restore waits for.
    pub waits_for: Option<WaitsFor>,
}

/// What keeps a restore from reading.
pub enum WaitsFor {
    /// The committed offset of the inbox: why it is not told.
    Offset(String),
    /// The end of a transaction in the contexts, which begins at this offset.
    TransactionAt(i64),
}

/// How far a partition is.
pub enum Phase {
    /// Its committed offset, and then the end of its contexts, are asked for.
    Locating { since: Instant },
    /// What is committed of its contexts must reach `end`, so that no older owner's transaction is open any more.
    Settling { since: Instant, end: i64 },
    /// Its contexts are read up to `end`.
    Reading(Reading),
    /// Inputs are taken.
    Served,
    /// It is restored, and nothing is taken for a while: a record needs a schema that can't be looked up now.
    Held { until: Instant },
    /// It is restored, and nothing is taken: it holds work that this router can't do.
    Stopped,
}

/// A read of the contexts that is under way.
pub struct Reading {
    since: Instant,
    records: u64,
    newest_applied: i64,
    pending: BTreeSet<String>,
}

/// A restored partition, for the telemetry.
pub struct Restored {
    pub contexts: u64,
    pub seconds: f64,
}

impl Partition {
    pub fn new(number: i32, inbox: Arc<str>) -> Partition {
        Partition {
            number,
            inbox,
            cache: PartitionCache::default(),
            phase: Phase::Locating { since: Instant::now() },
            next_offset: -1,
            due: DueQueue::default(),
            unstarted: UnstartedExecutions::default(),
            timers: TimerQueue::default(),
            sweep: Sweep::new(),
            wanted: Wanted::default(),
            waits_for: None,
        }
    }

    /// For how long a restore has waited, and what for.
    pub fn waiting(&self) -> Option<(Duration, &WaitsFor)> {
        match self.phase {
            Phase::Locating { since } | Phase::Settling { since, .. } => {
                Some((since.elapsed(), self.waits_for.as_ref()?))
            }
            Phase::Reading(_) | Phase::Served | Phase::Held { .. } | Phase::Stopped => None,
        }
    }

    pub fn is_locating(&self) -> bool {
        matches!(self.phase, Phase::Locating { .. })
    }

    /// How long there is nothing to do without an input: no due work, no timer, no restore to go on with.
    pub fn idle_time(&self, now: Micros) -> Duration {
        match self.phase {
            Phase::Served if self.due.is_empty() && !self.sweep.has_work() => {
                self.timers.until_next(now).unwrap_or(Duration::MAX)
            }
            Phase::Held { .. } | Phase::Stopped => Duration::MAX,
            Phase::Served | Phase::Locating { .. } | Phase::Settling { .. } | Phase::Reading(_) => Duration::ZERO,
        }
    }

    /// Restored, whether it is served or stopped.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.phase, Phase::Served | Phase::Stopped)
    }

    /// It has a cache, and an offset to go on from.
    pub fn is_restored(&self) -> bool {
        matches!(self.phase, Phase::Served | Phase::Held { .. } | Phase::Stopped)
    }

    pub fn is_served(&self) -> bool {
        matches!(self.phase, Phase::Served)
    }

    /// Goes one move further; `committed` is the stable committed offset, where it is known now. The order of the moves is what makes a restore complete.
    ///
    /// An owner whose transaction is still open when this one takes over either commits it, and then the stable
    /// committed offset is its, or can commit it no more. So: the offset first, then the end of contexts with
    /// uncommitted records counted, then all that is committed up to that end.
    pub fn locate<K: Kafka>(&mut self, kafka: &mut K, committed: Option<Option<i64>>) -> Result<(), LaneError> {
        match self.phase {
            Phase::Locating { since } => {
                let Some(committed) = committed else { return Ok(()) };
                let Some(end) = tolerate(kafka.contexts_end(self.number))? else { return Ok(()) };
                self.next_offset = committed.unwrap_or(self.next_offset);
                self.waits_for = None;
                self.phase = Phase::Settling { since, end };
            }
            Phase::Settling { since, end } => {
                let Some(stable) = tolerate(kafka.contexts_stable_end(self.number))? else { return Ok(()) };
                self.waits_for = (stable < end).then_some(WaitsFor::TransactionAt(stable));
                if stable >= end && tolerate(kafka.read_contexts(self.number))?.is_some() {
                    let reading = Reading { since, records: 0, newest_applied: -1, pending: BTreeSet::new() };
                    self.phase = Phase::Reading(reading);
                }
            }
            Phase::Held { until } if until <= Instant::now() => {
                if tolerate(kafka.serve(&[(self.number, self.next_offset)]))?.is_some() {
                    self.phase = Phase::Served;
                }
            }
            Phase::Reading(_) | Phase::Served | Phase::Held { .. } | Phase::Stopped => {}
        }
        Ok(())
    }

    /// Takes in a record of the contexts: on restore, or for a sweep.
    pub fn take(&mut self, key: &[u8], value: Option<&[u8]>, schemas: &Schemas) -> Result<(), LaneError> {
        let Phase::Reading(reading) = &mut self.phase else {
            self.sweep.take(key, &self.cache, schemas);
            return Ok(());
        };
        reading.records += 1;
        let unreadable = |error| LaneError::Contexts { partition: self.number, error };
        let key = schemas.read_key(key).map_err(unreadable)?;
        let Some(value) = value else {
            if let RecordKey::Root(id) = &key {
                self.timers.set(id, None);
                self.unstarted.set(id, false);
            }
            return self.cache.remove(&key).map_err(unreadable);
        };
        let RecordKey::Root(id) = &key else {
            return self.cache.put(&key, value, schemas).map_err(unreadable);
        };
        let context = schemas.read_context_summary(value).map_err(unreadable)?;
        // An adoption writes every context of the partition anew, without an offset; what was before it is of another
        // inbox.
        reading.newest_applied = match context.applied_offset {
            ..0 => -1,
            applied => reading.newest_applied.max(applied),
        };
        self.unstarted.set(id, context.is_unstarted());
        self.timers.set(id, context.next_due().map(|due| (due, context.timers())));
        // What a failure has left is not due: it waits for a redrive.
        if context.has_pending() && !context.status.is_closed() {
            reading.pending.insert(id.clone());
        } else {
            reading.pending.remove(id);
        }
        if context.status == WorkflowStatus::Failed {
            let root = self.wanted.contains(id).then_some(value);
            return self.cache.fail(id, context.stub(), root).map_err(unreadable);
        }
        if context.status.is_closed() {
            self.cache.close(execution_hash(id), context.stub());
            return Ok(());
        }
        self.cache.put(&key, value, schemas).map_err(unreadable)
    }

    /// The contexts were read to their end: checks them against the inbox, and serves the partition.
    pub fn finish<K: Kafka>(&mut self, kafka: &mut K) -> Result<Option<Restored>, LaneError> {
        let Phase::Reading(reading) = &mut self.phase else { return Ok(None) };
        let Some((begin, end)) = tolerate(kafka.inbox_range(self.number))? else { return Ok(None) };
        let position = InboxPosition {
            begin,
            end,
            committed: (self.next_offset >= 0).then_some(self.next_offset),
            has_contexts: reading.records > 0,
            newest_applied: reading.newest_applied,
        };
        let replaced = |what| LaneError::InboxReplaced { partition: self.number, what };
        let offset = position.next_offset().map_err(replaced)?;
        if tolerate(kafka.serve(&[(self.number, offset)]))?.is_none() {
            return Ok(None);
        }
        tolerate(kafka.leave_contexts(self.number))?;
        self.cache.drop_orphans();
        for id in &reading.pending {
            self.due.push(id);
        }
        self.next_offset = offset;
        let restored = Restored { contexts: reading.records, seconds: reading.since.elapsed().as_secs_f64() };
        self.phase = Phase::Served;
        Ok(Some(restored))
    }
}

/// A fault that the next round may not meet is none; another one ends the lane.
pub fn tolerate<T>(answer: Result<T, KafkaFault>) -> Result<Option<T>, LaneError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(fault @ (KafkaFault::Fatal(_) | KafkaFault::InstanceInUse(_) | KafkaFault::NotAuthorized(_))) => {
            Err(LaneError::Kafka(fault))
        }
        Err(fault) => {
            tracing::debug!(%fault, "restore goes on in the next round");
            Ok(None)
        }
    }
}

impl LaneError {
    /// The code of the error, where it has one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            LaneError::InboxReplaced { .. } => Some(ErrorCode::InboxReplaced),
            LaneError::Kafka(KafkaFault::InstanceInUse(_)) => Some(ErrorCode::InstanceInUse),
            LaneError::Kafka(KafkaFault::NotAuthorized(_)) => Some(ErrorCode::NotAuthorized),
            LaneError::Kafka(_) | LaneError::Contexts { .. } | LaneError::Record(_) => None,
        }
    }
}
