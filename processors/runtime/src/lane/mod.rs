//! The lane: one thread, one consumer, two transactional producers, in a loop of five numbered phases.
//!
//! Only this thread touches Kafka. What it must hold to is written in ARCHITECTURE.md, "Invariants".

mod assignment;
mod batch;
mod due;
mod ending;
mod gathering;
mod partition;
mod retention;
mod tally;
mod timers;
mod unstarted;
mod wanted;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thalweg_core::codec::{CodecError, Schemas};
use thalweg_core::{Channel, Limits, Workflows};

use crate::clock::wall_clock;
use crate::fail_point::{FailPoint, FailPoints};
use crate::health::LaneHealth;
use crate::kafka::{Ended, InboxMessage, Kafka, KafkaFault, Polled, Records};
use crate::registry::Registry;
use crate::tasks::InlineTasks;
use crate::telemetry::{LagSeen, PartitionGauges, RestoresWaiting};
use batch::{Batch, Topic};
pub use gathering::Gathering;
use partition::Partition;
pub use retention::Retention;

/// How long a lane without work waits for a record before it looks round.
const IDLE_POLL: Duration = Duration::from_millis(50);
/// How long one look at the contexts lasts while a partition is restored.
const RESTORE_SLICE: Duration = Duration::from_millis(50);
/// The same while only sweeps are under way, so that inputs wait for little.
const SWEEP_SLICE: Duration = Duration::from_millis(2);
/// Bytes of inbox records in one batch.
const BATCH_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Executions with pending work, and with timers that are due, that one batch goes on with: inputs get their turn.
const DUE_PER_BATCH: usize = 256;
/// The pauses after transactions that failed in a row, doubling.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// Before a record is looked at again whose schema could not be looked up.
const HELD: Duration = Duration::from_secs(1);
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
    /// How long a restore may wait for others' transactions before it is told.
    pub restore_patience: Duration,
    /// How long closed executions are remembered.
    pub retention: Retention,
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
    /// Memory for the records of a transaction.
    records: Records<Topic>,
    gathering: Gathering,
    inputs_first: bool,
    backoff: Duration,
    lag_told: Instant,
    restores_waiting: RestoresWaiting,
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
            gathering: Gathering::new(fixtures.commit_interval),
            kafka,
            fixtures,
            health,
            fail_points,
            stop,
            partitions: BTreeMap::new(),
            generation: None,
            waiting: VecDeque::new(),
            records: Records::default(),
            inputs_first: false,
            backoff: BACKOFF.0,
            lag_told: Instant::now(),
            restores_waiting: RestoresWaiting::none(),
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
            let gathered = self.waiting.len();
            let mut batch = self.step(&fixtures)?;
            let wanted = std::mem::take(&mut batch.wanted);
            if batch.is_empty() {
                self.records = batch.into_records();
                self.restore_with(wanted);
                continue;
            }
            self.pass(FailPoint::AfterStep);
            // 4 commit
            batch.write_changed()?;
            let began = Instant::now();
            let ended = self.commit(&batch);
            self.gathering.ended(gathered, began.elapsed());
            // 5 publish to the caches
            self.records = self.publish(batch, ended, began)?;
            self.restore_with(wanted);
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

    /// Gathers records until the poll runs dry and no more are expected, the batch is full, or its interval is over.
    fn poll(&mut self) -> Result<(), LaneError> {
        self.tell_lag();
        let fixtures = Arc::clone(&self.fixtures);
        let began = Instant::now();
        let mut bytes: usize = self.waiting.iter().map(InboxMessage::bytes).sum();
        let mut timeout = if self.waiting.is_empty() { self.idle_time(IDLE_POLL) } else { Duration::ZERO };
        let mut dry_since: Option<Instant> = None;
        let full = |waiting: &VecDeque<InboxMessage>, bytes: usize| {
            waiting.len() >= fixtures.batch_max_records || bytes >= BATCH_MAX_BYTES
        };
        while !full(&self.waiting, bytes) && began.elapsed() < fixtures.commit_interval {
            match self.kafka.poll(timeout).map_err(LaneError::Kafka)? {
                Polled::Idle => {
                    let waited = dry_since.get_or_insert_with(Instant::now).elapsed();
                    timeout = self.idle_time(self.gathering.left(self.waiting.len(), waited));
                    if timeout.is_zero() {
                        return Ok(());
                    }
                    continue;
                }
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

    /// How long there is nothing to do but to wait for a record, at most `longest`.
    fn idle_time(&self, longest: Duration) -> Duration {
        if longest.is_zero() {
            return longest;
        }
        let now = wall_clock();
        self.partitions.values().map(|partition| partition.idle_time(now)).fold(longest, Duration::min)
    }

    fn step<'a>(&mut self, fixtures: &'a Fixtures) -> Result<Batch<'a>, LaneError> {
        let mut batch = Batch::new(fixtures, std::mem::take(&mut self.records));
        if self.generation.is_none() {
            return Ok(batch);
        }
        self.forget(&mut batch);
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
        self.hold_partitions(&batch);
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
        let now = wall_clock();
        for partition in self.partitions.values().filter(|partition| partition.is_served()) {
            for id in partition.timers.due(now).take(left) {
                if batch.is_full() {
                    return Ok(());
                }
                batch.fire(partition, id)?;
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

    /// One transaction: its records, the offsets right after the last of them, and the commit.
    fn commit(&mut self, batch: &Batch) -> Ended {
        let Some(generation) = self.generation.clone() else {
            return Ended::Aborted(KafkaFault::Rebalance("no generation".to_owned()));
        };
        if let Err(fault) = self.kafka.begin() {
            return match fault {
                KafkaFault::InstanceInUse(_) | KafkaFault::NotAuthorized(_) | KafkaFault::Fatal(_) => {
                    Ended::Fatal(fault)
                }
                fault => Ended::Unknown(fault),
            };
        }
        if let Err(fault) = self.fill(batch, &generation) {
            return match self.kafka.abort() {
                Ended::Aborted(_) => Ended::Aborted(fault),
                other => other,
            };
        }
        self.pass(FailPoint::BeforeCommit);
        self.kafka.commit()
    }

    fn fill(&mut self, batch: &Batch, generation: &K::Generation) -> Result<(), KafkaFault> {
        for record in &batch.forwards {
            self.kafka.forward(&record.into())?;
        }
        for record in batch.records() {
            self.kafka.write(&record)?;
        }
        self.pass(FailPoint::AfterProduce);
        self.kafka.forwarded()?;
        let offsets: Vec<(i32, i64)> = batch.offsets.iter().map(|(partition, offset)| (*partition, *offset)).collect();
        self.kafka.send_offsets(&offsets, generation)?;
        self.pass(FailPoint::AfterOffsets);
        self.kafka.drain();
        Ok(())
    }

    fn tell_lag(&mut self) {
        if self.lag_told.elapsed() < LAG_INTERVAL {
            return;
        }
        self.lag_told = Instant::now();
        for partition in self.partitions.values().filter(|partition| partition.is_restored()) {
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
        timers: partition.timers.count() as u64,
        bytes: partition.cache.bytes() as u64,
    }
    .emit();
}
