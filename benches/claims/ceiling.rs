//! The ceiling: what the same client could do at best. It reads the inbox as a lane does, and writes for each claim the
//! very records that the engine wrote for such a claim, through the same transactions.
//!
//! It has the lane's client with the same settings, the same number of lanes, the same rules for a batch (until the
//! poll runs dry and no more is expected, `batch.max.records`, `commit.interval.ms`), two producers in turn, an offset for
//! each partition, the same wait for the producer. It leaves out all the rest: it reads no context and keeps none, decodes and encodes
//! nothing, runs no step and no task, and counts nothing. The bytes of values and headers are those of the recorded
//! claims, in turn; key and partition are the claim's own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use thalweg_runtime::kafka::{Ended, InboxMessage, Kafka, KafkaFault, KafkaSettings, Polled, RdKafka};
use thalweg_runtime::{Config, DEAD_LETTER_RECORD_MAX_BYTES, Gathering, Overrides, Topics, init_processor_log};

use crate::recording::{self, Recorded};

/// How long a lane without work waits for a record: the lane's own.
const IDLE_POLL: Duration = Duration::from_millis(50);

/// The process: as many lanes as the configuration says, until SIGTERM.
pub fn serve(recorded_in: &str) {
    init_processor_log().expect("a log");
    let config = Config::load(None, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"));
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stop)).expect("a signal handler");
    let lanes: Vec<_> = (0..config.lane_count())
        .map(|number| {
            let mut lane = Lane::connect(&config, number, recorded_in, Arc::clone(&stop));
            thread::Builder::new().name(format!("lane-{number}")).spawn(move || lane.run()).expect("a thread")
        })
        .collect();
    for lane in lanes {
        lane.join().expect("a lane that was asked to stop");
    }
}

/// A lane's client, with the settings of the router's lanes, as a member of `group`.
pub fn connect(config: &Config, group: &str, lane: usize) -> RdKafka {
    let topics = Topics::new(config);
    let settings = KafkaSettings {
        client: config.client(),
        inbox: topics.inbox().to_owned(),
        contexts: topics.contexts().to_owned(),
        group: group.to_owned(),
        transactional_id: format!("{}.ceiling.{lane}", config.namespace),
        transaction_timeout_ms: config.transaction_timeout_ms,
        session_timeout_ms: config.session_timeout_ms,
        message_max_bytes: DEAD_LETTER_RECORD_MAX_BYTES,
    };
    RdKafka::connect(settings).unwrap_or_else(|error| panic!("{error}"))
}

struct Lane {
    kafka: RdKafka,
    config: Config,
    stop: Arc<AtomicBool>,
    claims: Vec<Recorded>,
    /// The recorded claim that the next one is written like.
    turn: usize,
    generation: Option<<RdKafka as Kafka>::Generation>,
    assigned: BTreeSet<i32>,
    /// The next inbox offset of each partition that is served.
    next: BTreeMap<i32, i64>,
    waiting: Vec<InboxMessage>,
    gathering: Gathering,
}

impl Lane {
    fn connect(config: &Config, number: usize, recorded_in: &str, stop: Arc<AtomicBool>) -> Lane {
        let topics = Topics::new(config);
        let recorded = Config { namespace: recorded_in.to_owned(), ..config.clone() };
        Lane {
            claims: recording::claims(&recorded, &topics),
            kafka: connect(config, topics.group(), number),
            config: config.clone(),
            stop,
            turn: 0,
            generation: None,
            assigned: BTreeSet::new(),
            next: BTreeMap::new(),
            waiting: Vec::new(),
            gathering: Gathering::new(Duration::from_millis(config.commit_interval_ms)),
        }
    }

    fn run(&mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            self.poll();
            self.serve_assigned();
            if self.waiting.is_empty() || self.generation.is_none() {
                continue;
            }
            let batch = std::mem::take(&mut self.waiting);
            let mut next = BTreeMap::new();
            for message in &batch {
                next.insert(message.partition, message.offset + 1);
            }
            let began = Instant::now();
            let ended = self.commit(&batch, &next);
            self.gathering.ended(batch.len(), began.elapsed());
            match ended {
                Ended::Committed => self.next.append(&mut next),
                // The group has moved on: these partitions are read again from where they were.
                Ended::Aborted(_) => self.assigned.extend(next.into_keys()),
                ended => panic!("{ended:?}"),
            }
        }
        self.kafka.close();
    }

    fn poll(&mut self) {
        let began = Instant::now();
        let mut timeout = if self.assigned.is_empty() { IDLE_POLL } else { Duration::ZERO };
        let mut dry_since: Option<Instant> = None;
        let interval = Duration::from_millis(self.config.commit_interval_ms);
        while self.waiting.len() < self.config.batch_max_records && began.elapsed() < interval {
            match self.kafka.poll(timeout).expect("a consumer that goes on") {
                Polled::Idle => {
                    let waited = dry_since.get_or_insert_with(Instant::now).elapsed();
                    timeout = self.gathering.left(self.waiting.len(), waited);
                    if timeout.is_zero() {
                        return;
                    }
                    continue;
                }
                Polled::Record(message) => {
                    if self.next.contains_key(&message.partition) {
                        self.waiting.push(message);
                    }
                }
                Polled::Assigned(partitions, generation) => {
                    self.generation = Some(generation);
                    self.assigned.extend(partitions);
                }
                Polled::Revoked(partitions) => {
                    self.generation = None;
                    self.waiting.retain(|message| !partitions.contains(&message.partition));
                    for partition in partitions {
                        self.assigned.remove(&partition);
                        self.next.remove(&partition);
                    }
                }
            }
            timeout = Duration::ZERO;
        }
    }

    /// Serves what was assigned from its committed offset on, else from the inbox's beginning.
    fn serve_assigned(&mut self) {
        let assigned: Vec<i32> = self.assigned.iter().copied().collect();
        if assigned.is_empty() {
            return;
        }
        // Not stable yet: it is asked for again in the next round.
        let Ok(committed) = self.kafka.committed(&assigned) else { return };
        for (partition, offset) in committed {
            let offset = offset.unwrap_or(0);
            if self.kafka.serve(&[(partition, offset)]).is_ok() {
                self.waiting.retain(|message| message.partition != partition);
                self.assigned.remove(&partition);
                self.next.insert(partition, offset);
            }
        }
    }

    fn commit(&mut self, batch: &[InboxMessage], next: &BTreeMap<i32, i64>) -> Ended {
        if let Err(fault) = self.kafka.begin() {
            return Ended::Fatal(fault);
        }
        if let Err(fault) = self.fill(batch, next) {
            return match self.kafka.abort() {
                Ended::Aborted(_) => Ended::Aborted(fault),
                other => other,
            };
        }
        self.kafka.commit()
    }

    fn fill(&mut self, batch: &[InboxMessage], next: &BTreeMap<i32, i64>) -> Result<(), KafkaFault> {
        let Some(generation) = self.generation.clone() else { return Ok(()) };
        let (first, count) = (self.turn, self.claims.len());
        self.turn = (first + batch.len()) % count;
        for (number, message) in batch.iter().enumerate() {
            for record in &mut self.claims[(first + number) % count].events {
                let record = record.of(message.partition, message.key.as_deref().unwrap_or_default());
                self.kafka.write(&record.into())?;
            }
        }
        for (number, message) in batch.iter().enumerate() {
            for record in &mut self.claims[(first + number) % count].contexts {
                let record = record.of(message.partition, message.key.as_deref().unwrap_or_default());
                self.kafka.write(&record.into())?;
            }
        }
        let offsets: Vec<(i32, i64)> = next.iter().map(|(partition, offset)| (*partition, *offset)).collect();
        self.kafka.send_offsets(&offsets, &generation)?;
        self.kafka.drain();
        Ok(())
    }
}
