//! The lane: one thread, one consumer, two transactional producers, in a loop of five numbered phases.
//!
//! Only this thread touches Kafka. What it must hold to is written in ARCHITECTURE.md, "Invariants".

mod batch;
mod due;
mod partition;
mod tally;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thalweg_core::codec::{CodecError, Schemas};
use thalweg_core::{Channel, Limits, Workflows};

use crate::fail_point::{FailPoint, FailPoints};
use crate::health::LaneHealth;
use crate::kafka::{ContextsPolled, Ended, InboxMessage, Kafka, KafkaFault, Polled};
use crate::registry::Registry;
use crate::tasks::InlineTasks;
use crate::telemetry::{
    LagSeen, PartitionAssigned, PartitionGauges, PartitionRestored, PartitionRevoked, TransactionEnded,
    TransactionOutcome,
};
use batch::{Batch, ChangedRecord};
use partition::{Partition, Phase, tolerate};

/// How long a lane without work waits for a record before it looks round.
const IDLE_POLL: Duration = Duration::from_millis(50);
/// How long one look at the contexts lasts while a partition is restored.
const RESTORE_SLICE: Duration = Duration::from_millis(50);
/// Bytes of inbox records in one batch.
const BATCH_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Executions with pending work that one batch goes on with, so that inputs get their turn.
const DUE_PER_BATCH: usize = 256;
/// The pauses after transactions that failed in a row, doubling.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// How often the lag is told.
const LAG_INTERVAL: Duration = Duration::from_secs(1);

/// What stays the same for the life of a lane.
pub struct Fixtures {
    /// Reads and writes records.
    pub schemas: Arc<Schemas>,
    /// Where unknown schemas are looked up.
    pub registry: Arc<Registry>,
    /// What this router runs.
    pub workflows: Arc<Workflows>,
    /// The limits in force.
    pub limits: Limits,
    /// Runs inline tasks.
    pub tasks: InlineTasks,
    /// The inbox topic.
    pub inbox: Arc<str>,
    /// The contexts topic.
    pub contexts: Arc<str>,
    /// The dead-letters topic.
    pub dead_letters: Arc<str>,
    /// The topic of each channel, in the order of [`Channel::ALL`].
    pub channels: Vec<Arc<str>>,
    /// Partitions of the inbox.
    pub partitions: i32,
    /// Inbox records of one batch at most.
    pub batch_max_records: usize,
    /// How long a batch is gathered under load.
    pub commit_interval: Duration,
    /// How long the step of one batch may take.
    pub step_max: Duration,
}

impl Fixtures {
    /// The topic that carries a channel.
    pub fn channel(&self, channel: Channel) -> &Arc<str> {
        &self.channels[channel as usize]
    }
}

/// Why a lane stopped.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// Kafka.
    #[error("{0}")]
    Kafka(KafkaFault),
    /// The inbox is not the one that the contexts were made from.
    #[error("INBOX_REPLACED: partition {partition}: {what}; if that is meant, accept it with `thalweg topics --adopt`")]
    InboxReplaced {
        /// The partition.
        partition: i32,
        /// What does not fit.
        what: String,
    },
    /// A record of the contexts topic can't be read.
    #[error("a record in partition {partition} of the contexts can't be read: {error}")]
    Contexts {
        /// The partition.
        partition: i32,
        /// Why.
        error: CodecError,
    },
    /// A record could not be encoded.
    #[error("{0}")]
    Record(CodecError),
}

/// One lane.
pub struct Lane<K: Kafka> {
    kafka: K,
    fixtures: Arc<Fixtures>,
    health: LaneHealth,
    fail_points: Option<FailPoints>,
    stop: Arc<AtomicBool>,
    partitions: BTreeMap<i32, Partition>,
    /// The group's generation; none from a revoke to the assign that follows: no transaction begins without it.
    generation: Option<K::Generation>,
    /// Records that were polled and not stepped, oldest first.
    waiting: VecDeque<InboxMessage>,
    inputs_first: bool,
    backoff: Duration,
    lag_told: Instant,
}

impl<K: Kafka> Lane<K> {
    /// A lane that has not joined yet; it runs until `stop`.
    pub fn new(
        kafka: K,
        fixtures: Arc<Fixtures>,
        health: LaneHealth,
        fail_points: Option<FailPoints>,
        stop: Arc<AtomicBool>,
    ) -> Lane<K> {
        Lane {
            kafka,
            fixtures,
            health,
            fail_points,
            stop,
            partitions: BTreeMap::new(),
            generation: None,
            waiting: VecDeque::new(),
            inputs_first: false,
            backoff: BACKOFF.0,
            lag_told: Instant::now(),
        }
    }

    /// Runs until it is asked to stop, then leaves the group.
    ///
    /// # Errors
    /// Why it can't go on; what it had not committed is undone by the broker and done by others.
    pub fn run(&mut self) -> Result<(), LaneError> {
        let fixtures = Arc::clone(&self.fixtures);
        while !self.is_stopped() {
            // 1 poll
            self.poll()?;
            self.pass(FailPoint::AfterPoll);
            // 2 restore what was assigned
            self.restore()?;
            // 3 step the batch
            let mut batch = self.step(&fixtures)?;
            if batch.is_empty() {
                continue;
            }
            self.pass(FailPoint::AfterStep);
            // 4 commit
            let changed = batch.changed_records()?;
            let began = Instant::now();
            let ended = self.commit(&batch, &changed);
            // 5 publish to the caches
            self.publish(batch, changed, ended, began)?;
        }
        self.kafka.close();
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Tells the fail points, where there is work that could be lost.
    fn pass(&self, point: FailPoint) {
        if let Some(fail_points) = &self.fail_points
            && (!self.waiting.is_empty() || point != FailPoint::AfterPoll)
        {
            fail_points(point);
        }
    }

    /// Gathers records until the poll runs dry, the batch is full, or its interval is over.
    fn poll(&mut self) -> Result<(), LaneError> {
        self.tell_lag();
        let fixtures = Arc::clone(&self.fixtures);
        let began = Instant::now();
        let mut bytes: usize = self.waiting.iter().map(InboxMessage::bytes).sum();
        let idle = self.waiting.is_empty() && !self.partitions.values().any(Partition::has_work);
        let mut timeout = if idle { IDLE_POLL } else { Duration::ZERO };
        let full = |waiting: &VecDeque<InboxMessage>, bytes: usize| {
            waiting.len() >= fixtures.batch_max_records || bytes >= BATCH_MAX_BYTES
        };
        while !full(&self.waiting, bytes) && began.elapsed() < fixtures.commit_interval {
            match self.kafka.poll(timeout).map_err(LaneError::Kafka)? {
                Polled::Idle => return Ok(()),
                Polled::Record(message) => {
                    bytes += message.bytes();
                    if self.partitions.get(&message.partition).is_some_and(Partition::is_served) {
                        self.waiting.push_back(message);
                    }
                }
                Polled::Assigned(partitions, generation) => self.assigned(partitions, generation),
                Polled::Revoked(partitions) => self.revoked(&partitions),
            }
            timeout = Duration::ZERO;
        }
        Ok(())
    }

    fn assigned(&mut self, partitions: Vec<i32>, generation: K::Generation) {
        self.generation = Some(generation);
        for number in partitions {
            PartitionAssigned { partition: number }.emit();
            self.health.assigned(&[number]);
            self.partitions.insert(number, Partition::new(number));
        }
        self.health.joined();
    }

    /// What is lost is forgotten at once: its records, its cache, its restore.
    fn revoked(&mut self, partitions: &[i32]) {
        self.generation = None;
        self.waiting.retain(|message| !partitions.contains(&message.partition));
        for number in partitions {
            if self.partitions.remove(number).is_some() {
                if let Err(fault) = self.kafka.leave_contexts(*number) {
                    tracing::debug!(%fault, "leaving the contexts of a revoked partition");
                }
                PartitionRevoked { partition: *number }.emit();
            }
            self.health.revoked(&[*number]);
        }
    }

    fn restore(&mut self) -> Result<(), LaneError> {
        if self.partitions.values().all(Partition::is_at_rest) {
            return Ok(());
        }
        let locating: Vec<i32> = self.partitions.values().filter(|p| p.is_locating()).map(|p| p.number).collect();
        let committed = match locating.as_slice() {
            [] => BTreeMap::new(),
            some => tolerate(self.kafka.committed(some))?.unwrap_or_default(),
        };
        for partition in self.partitions.values_mut() {
            partition.locate(&mut self.kafka, committed.get(&partition.number).copied())?;
        }
        let until = Instant::now() + RESTORE_SLICE;
        while self.partitions.values().any(|p| matches!(p.phase, Phase::Reading(_))) {
            let left = until.saturating_duration_since(Instant::now());
            match self.kafka.poll_contexts(left).map_err(LaneError::Kafka)? {
                ContextsPolled::Idle => break,
                ContextsPolled::Record(number, key, value) => {
                    if let Some(partition) = self.partitions.get_mut(&number) {
                        partition.take(&key, value, &self.fixtures.schemas)?;
                    }
                }
                ContextsPolled::End(number) => self.restored(number)?,
            }
            if left.is_zero() {
                break;
            }
        }
        Ok(())
    }

    fn restored(&mut self, number: i32) -> Result<(), LaneError> {
        let Some(partition) = self.partitions.get_mut(&number) else { return Ok(()) };
        match partition.finish(&mut self.kafka, &self.fixtures.schemas)? {
            Some(restored) => {
                PartitionRestored { partition: number, contexts: restored.contexts, seconds: restored.seconds }.emit();
                self.health.restored(number);
                gauges(partition);
            }
            // The end is told once: what could not be finished now starts over.
            None if matches!(partition.phase, Phase::Reading(_)) => self.start_over(number),
            None => {}
        }
        Ok(())
    }

    /// Forgets what is known of a partition and restores it as at its assignment.
    fn start_over(&mut self, number: i32) {
        self.waiting.retain(|message| message.partition != number);
        for answer in [self.kafka.pause(&[number]), self.kafka.leave_contexts(number)] {
            if let Err(fault) = answer {
                tracing::debug!(%fault, partition = number, "restore starts over");
            }
        }
        self.health.assigned(&[number]);
        self.partitions.insert(number, Partition::new(number));
    }

    fn step<'a>(&mut self, fixtures: &'a Fixtures) -> Result<Batch<'a>, LaneError> {
        let mut batch = Batch::new(fixtures);
        if self.generation.is_none() {
            return Ok(batch);
        }
        // In turn, so that neither due work nor inputs can keep the other from its turn.
        self.inputs_first = !self.inputs_first;
        if self.inputs_first {
            self.take_inputs(&mut batch)?;
            self.take_due(&mut batch)?;
        } else {
            self.take_due(&mut batch)?;
            self.take_inputs(&mut batch)?;
        }
        self.stop_partitions(&batch);
        Ok(batch)
    }

    fn take_due(&mut self, batch: &mut Batch) -> Result<(), LaneError> {
        let mut left = DUE_PER_BATCH;
        for partition in self.partitions.values_mut().filter(|partition| partition.is_served()) {
            // What this batch leaves pending is queued again after its commit, not now.
            for _ in 0..partition.due.len().min(left) {
                if batch.is_full() {
                    return Ok(());
                }
                let Some(id) = partition.due.take() else { break };
                left -= 1;
                batch.go_on(partition, id)?;
            }
        }
        Ok(())
    }

    fn take_inputs(&mut self, batch: &mut Batch) -> Result<(), LaneError> {
        for _ in 0..self.fixtures.batch_max_records.min(self.waiting.len()) {
            if batch.is_full() {
                return Ok(());
            }
            let Some(message) = self.waiting.pop_front() else { break };
            if let Some(partition) = self.partitions.get(&message.partition)
                && message.offset >= partition.next_offset
            {
                batch.handle(partition, &message)?;
            }
        }
        Ok(())
    }

    /// A partition with an execution whose workflow this router does not run waits for one that does.
    fn stop_partitions(&mut self, batch: &Batch) {
        for (number, workflow_id) in &batch.unlisted {
            let reason = format!("it holds an execution of workflow {workflow_id:?}, which this router does not run");
            tracing::error!(partition = number, reason, "a partition is stopped");
            if let Err(fault) = self.kafka.pause(&[*number]) {
                tracing::debug!(%fault, partition = number, "pausing a stopped partition");
            }
            self.health.stopped(*number, reason);
            self.waiting.retain(|message| message.partition != *number);
            if let Some(partition) = self.partitions.get_mut(number) {
                partition.phase = Phase::Stopped;
            }
        }
    }

    /// One transaction: its records, the offsets right after the last of them, and the commit.
    fn commit(&mut self, batch: &Batch, changed: &[ChangedRecord]) -> Ended {
        let Some(generation) = self.generation.clone() else {
            return Ended::Aborted(KafkaFault::Rebalance("no generation".to_owned()));
        };
        if let Err(fault) = self.kafka.begin() {
            return match fault {
                KafkaFault::InstanceInUse(_) | KafkaFault::Fatal(_) => Ended::Fatal(fault),
                fault => Ended::Unknown(fault),
            };
        }
        if let Err(fault) = self.fill(batch, changed, &generation) {
            return match self.kafka.abort() {
                Ended::Aborted(_) => Ended::Aborted(fault),
                other => other,
            };
        }
        self.pass(FailPoint::BeforeCommit);
        self.kafka.commit()
    }

    fn fill(&mut self, batch: &Batch, changed: &[ChangedRecord], generation: &K::Generation) -> Result<(), KafkaFault> {
        for record in &batch.forwards {
            self.kafka.forward(record)?;
        }
        for record in batch.outputs.iter().chain(changed.iter().map(|changed| &changed.outgoing)) {
            self.kafka.write(record)?;
        }
        self.pass(FailPoint::AfterProduce);
        self.kafka.forwarded()?;
        let offsets: Vec<(i32, i64)> = batch.offsets.iter().map(|(partition, offset)| (*partition, *offset)).collect();
        self.kafka.send_offsets(&offsets, generation)?;
        self.pass(FailPoint::AfterOffsets);
        self.kafka.drain();
        Ok(())
    }

    fn publish(
        &mut self,
        batch: Batch,
        changed: Vec<ChangedRecord>,
        ended: Ended,
        began: Instant,
    ) -> Result<(), LaneError> {
        let outcome = match &ended {
            Ended::Committed => TransactionOutcome::Committed,
            Ended::Aborted(_) => TransactionOutcome::Aborted,
            Ended::Unknown(_) | Ended::Fatal(_) => TransactionOutcome::Unknown,
        };
        let (seconds, inputs) = (began.elapsed().as_secs_f64(), batch.tally.inputs());
        TransactionEnded { outcome, seconds, inputs }.emit();
        match ended {
            Ended::Committed => {
                self.pass(FailPoint::AfterCommit);
                self.backoff = BACKOFF.0;
                self.take_effect(batch, changed)
            }
            Ended::Aborted(fault) => {
                drop(changed);
                self.undo(batch, &fault)
            }
            Ended::Unknown(fault) => {
                tracing::warn!(%fault, "the outcome of a transaction is unknown: its partitions are restored");
                let partitions: Vec<i32> = batch.offsets.keys().copied().collect();
                self.resolve()?;
                for number in partitions {
                    if self.partitions.contains_key(&number) {
                        self.start_over(number);
                    }
                }
                Ok(())
            }
            Ended::Fatal(fault) => Err(LaneError::Kafka(fault)),
        }
    }

    fn take_effect(&mut self, batch: Batch, changed: Vec<ChangedRecord>) -> Result<(), LaneError> {
        let schemas = Arc::clone(&self.fixtures.schemas);
        for record in changed {
            if let Some(partition) = self.partitions.get_mut(&record.outgoing.partition) {
                let value = record.outgoing.value.unwrap_or_default();
                partition.cache.put(&record.key, value, &schemas).map_err(LaneError::Record)?;
            }
        }
        for (number, execution) in batch.executions() {
            let Some(partition) = self.partitions.get_mut(&number) else { continue };
            if let Some(stub) = execution.stub() {
                partition.cache.close(execution.id(), stub, &schemas);
            } else if execution.has_queued() {
                partition.due.push(execution.id());
            }
        }
        for (number, offset) in &batch.offsets {
            if let Some(partition) = self.partitions.get_mut(number) {
                partition.next_offset = *offset;
                gauges(partition);
            }
        }
        batch.tally.emit();
        Ok(())
    }

    /// After an abort: nothing has happened. The caches never knew; the inbox is read again from where it was, and the
    /// executions with pending work are found again.
    fn undo(&mut self, batch: Batch, fault: &KafkaFault) -> Result<(), LaneError> {
        match fault {
            KafkaFault::Rebalance(_) => tracing::info!(%fault, "a transaction was aborted: the group has moved on"),
            _ => {
                tracing::warn!(%fault, "a transaction was aborted and is tried again");
                std::thread::sleep(self.backoff);
                self.backoff = (self.backoff * 2).min(BACKOFF.1);
            }
        }
        for (number, id) in batch.gone_on.into_iter().rev() {
            if let Some(partition) = self.partitions.get_mut(&number) {
                partition.due.put_back(id);
            }
        }
        self.waiting.retain(|message| !batch.offsets.contains_key(&message.partition));
        for number in batch.offsets.into_keys() {
            let Some(partition) = self.partitions.get(&number) else { continue };
            if let Err(fault) = self.kafka.serve(&[(number, partition.next_offset)]) {
                tracing::info!(%fault, partition = number, "could not go back after an abort: it is restored");
                self.start_over(number);
            }
        }
        Ok(())
    }

    fn resolve(&mut self) -> Result<(), LaneError> {
        while !self.is_stopped() {
            match self.kafka.resolve() {
                Ok(()) => return Ok(()),
                Err(fault @ (KafkaFault::Fatal(_) | KafkaFault::InstanceInUse(_))) => {
                    return Err(LaneError::Kafka(fault));
                }
                Err(fault) => tracing::warn!(%fault, "the broker does not answer; the transaction stays unknown"),
            }
        }
        Ok(())
    }

    fn tell_lag(&mut self) {
        if self.lag_told.elapsed() < LAG_INTERVAL {
            return;
        }
        self.lag_told = Instant::now();
        for partition in self.partitions.values().filter(|partition| partition.is_at_rest()) {
            // One that does not answer speaks for its broker: the others need not be waited for.
            let Ok((_, end)) = self.kafka.inbox_range(partition.number) else { break };
            LagSeen { partition: partition.number, lag: end - partition.next_offset }.emit();
        }
    }
}

fn gauges(partition: &Partition) {
    PartitionGauges {
        partition: partition.number,
        open: partition.cache.open_executions() as u64,
        scopes: partition.cache.open_scopes() as u64,
        bytes: partition.cache.bytes() as u64,
    }
    .emit();
}
