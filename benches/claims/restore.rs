//! A router that starts where there are many contexts: how fast it has them in memory, and how much they take there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::Serialize;
use serde_json::Value;
use thalweg_core::codec::Schemas;
use thalweg_core::context::RecordKey;
use thalweg_core::partition_of;
use thalweg_runtime::Config;

use crate::cluster::{Cluster, DEADLINE, Namespace};
use crate::load::{execution_id, send};
use crate::measure::Extent;
use crate::recording::contexts;
use crate::report::{decimals, drawn, grouped, median, new_table};
use crate::restore_ceiling;
use crate::support::{eventually, eventually_observed};
use crate::usage;
use crate::worker::{Side, Worker};

/// How long a restore may take; far beyond what it takes.
const RESTORE_DEADLINE: Duration = Duration::from_secs(600);
/// Memory has settled when it stays the same, but for this part, for so long.
const SETTLED: (f64, Duration) = (0.005, Duration::from_secs(2));

/// Executions in one state, restored: the fields of the JSON, medians of the rounds.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// `open` (they wait for an event) or `closed`.
    pub state: &'static str,
    pub executions: usize,
    pub partitions: i32,
    /// Context records of one execution: its root, and its scopes and branches.
    pub records_each: f64,
    /// Bytes of their values.
    pub record_bytes_each: f64,
    /// From the first partition's assignment until every partition is served.
    pub seconds: f64,
    /// Executions.
    pub contexts_per_s: f64,
    pub records_per_s: f64,
    /// Executions whose records the same client reads in a second, and does nothing with.
    pub ceiling_per_s: Option<f64>,
    /// `contexts_per_s` of `ceiling_per_s`.
    pub ratio: Option<f64>,
    /// Memory of the router above that of one without contexts.
    pub memory_bytes_each: f64,
    pub rounds: Vec<Round>,
}

/// One start of the router.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Round {
    pub seconds: f64,
    /// Of the ceiling.
    pub ceiling_seconds: Option<f64>,
    pub memory_bytes: u64,
}

/// A context record to be written for other executions, whose ids have the same length.
struct Template {
    key: Vec<u8>,
    value: Vec<u8>,
    /// Where the execution's id stands in both.
    ids_in_key: Vec<usize>,
    ids_in_value: Vec<usize>,
}

impl Template {
    fn new(id: &str, record: &OwnedMessage, schemas: &Schemas) -> Template {
        let key = record.key().unwrap_or_default().to_vec();
        let mut value = record.payload().unwrap_or_default().to_vec();
        if let RecordKey::Root(_) = schemas.read_key(&key).expect("a key of the engine") {
            // The inbox of those that are restored is empty.
            let mut context = schemas.read_context(&value).expect("a context of the engine");
            context.applied_offset = -1;
            value = schemas.write_context(&context).expect("a context");
        }
        let ids_in = |bytes: &[u8]| {
            let parts = bytes.windows(id.len()).enumerate();
            parts.filter(|(_, part)| *part == id.as_bytes()).map(|(at, _)| at).collect()
        };
        Template { ids_in_key: ids_in(&key), ids_in_value: ids_in(&value), key, value }
    }

    fn turn_into(&mut self, id: &[u8]) {
        for at in &self.ids_in_key {
            self.key[*at..at + id.len()].copy_from_slice(id);
        }
        for at in &self.ids_in_value {
            self.value[*at..at + id.len()].copy_from_slice(id);
        }
    }
}

/// Restores executions like those recorded.
pub fn restore(
    cluster: &Cluster,
    state: &'static str,
    recorded_in: &Namespace,
    extent: &Extent,
    engine_only: bool,
) -> Restored {
    let partitions = Config::default().partitions;
    let empty = settled_memory(&started(&cluster.create("restore-nothing", partitions), 0).0);
    let namespace = cluster.create("restore", partitions);
    let (records, bytes) = write(&namespace, &mut templates(&recorded_in.config), extent.contexts);
    commit_beginning(&namespace);
    let rounds: Vec<Round> = (1..=extent.rounds)
        .map(|number| {
            let (worker, seconds) = started(&namespace, records);
            let memory_bytes = settled_memory(&worker);
            worker.stop();
            let ceiling_seconds = (!engine_only).then(|| restore_ceiling::read(&namespace.config, records));
            eprintln!(
                "round {number}  restore  {partitions} partitions  {state:<7}  {seconds:>8.2} s  {:.0} MB{}",
                memory_bytes as f64 / 1e6,
                ceiling_seconds.map_or_else(String::new, |seconds| format!("  ceiling {seconds:.2} s"))
            );
            Round { seconds, ceiling_seconds, memory_bytes }
        })
        .collect();
    let of = |field: fn(&Round) -> f64| median(rounds.iter().map(field).collect()).unwrap_or_default();
    let (seconds, memory) = (of(|round| round.seconds), of(|round| round.memory_bytes as f64));
    let each = |total: f64| total / extent.contexts as f64;
    let ceiling_seconds = median(rounds.iter().filter_map(|round| round.ceiling_seconds).collect());
    Restored {
        state,
        executions: extent.contexts,
        partitions,
        records_each: each(records as f64),
        record_bytes_each: each(bytes as f64),
        seconds,
        contexts_per_s: extent.contexts as f64 / seconds,
        records_per_s: records as f64 / seconds,
        ceiling_per_s: ceiling_seconds.map(|seconds| extent.contexts as f64 / seconds),
        ratio: ceiling_seconds.map(|ceiling| ceiling / seconds),
        memory_bytes_each: each(memory - empty as f64),
        rounds,
    }
}

fn templates(of: &Config) -> Vec<Vec<Template>> {
    let schemas = Schemas::new().expect("the schemas");
    let of_execution =
        |(id, records): (String, Vec<OwnedMessage>)| records.iter().map(|r| Template::new(&id, r, &schemas)).collect();
    contexts(of).into_iter().map(of_execution).collect()
}

/// Writes the contexts of so many executions; tells how many records that were, and the bytes of their values.
fn write(namespace: &Namespace, templates: &mut [Vec<Template>], executions: usize) -> (usize, usize) {
    let mut config = namespace.config.client();
    config.set("compression.type", "lz4").set("linger.ms", "20").set("batch.size", "900000");
    config.set("queue.buffering.max.messages", "1000000");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    let (mut records, mut bytes, count) = (0, 0, templates.len());
    for number in 0..executions {
        let id = execution_id(number);
        let partition = partition_of(id.as_bytes(), namespace.config.partitions);
        for record in &mut templates[number % count] {
            record.turn_into(id.as_bytes());
            (records, bytes) = (records + 1, bytes + record.value.len());
            let to = BaseRecord::to(namespace.topics.contexts()).partition(partition);
            send(&producer, to.key(record.key.as_slice()).payload(record.value.as_slice()));
        }
    }
    producer.flush(RESTORE_DEADLINE).expect("the contexts take records");
    (records, bytes)
}

/// A router refuses contexts of which no inbox offset was ever committed.
fn commit_beginning(namespace: &Namespace) {
    let consumer: BaseConsumer =
        namespace.config.client().set("group.id", namespace.topics.group()).create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..namespace.config.partitions {
        list.add_partition_offset(namespace.topics.inbox(), partition, Offset::Offset(0)).expect("a partition");
    }
    consumer.commit(&list, CommitMode::Sync).expect("offsets that are committed");
}

/// Starts a router, and tells how long it was from its first assignment until it served every partition with so many
/// context records.
fn started(namespace: &Namespace, records: usize) -> (Worker, f64) {
    let mut worker = Worker::start_unready(namespace, Side::Engine, namespace);
    let begun =
        eventually(DEADLINE, "an assignment", || worker.log().contains("partition assigned").then(Instant::now));
    let partitions = namespace.config.partitions as usize;
    let served = |worker: &Worker| {
        eventually_observed(RESTORE_DEADLINE, "every partition served", || {
            let served = served_partitions(&worker.log());
            if served.len() == partitions { Ok(served) } else { Err(format!("{} of {partitions}", served.len())) }
        })
    };
    served(&worker);
    let seconds = begun.elapsed().as_secs_f64();
    // What moves between the lanes afterwards is restored again, and counts for the memory alone.
    worker.await_members(namespace);
    assert_eq!(served(&worker).values().sum::<u64>(), records as u64, "context records restored");
    (worker, seconds)
}

/// Partitions that were restored, and not revoked since, each with its context records.
fn served_partitions(log: &str) -> BTreeMap<i64, u64> {
    let mut served = BTreeMap::new();
    for line in log.lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let Some(partition) = line["partition"].as_i64() else { continue };
        match line["message"].as_str() {
            Some("partition restored") => served.insert(partition, line["contexts"].as_u64().unwrap_or_default()),
            Some("partition assigned" | "partition revoked") => served.remove(&partition),
            _ => continue,
        };
    }
    served
}

/// The memory of a router that does nothing, once what it has freed is given back.
fn settled_memory(worker: &Worker) -> u64 {
    let (mut memory, mut since) = (usage::memory(worker.id()).0, Instant::now());
    eventually(DEADLINE, "memory that stays the same", || {
        let (now, _) = usage::memory(worker.id());
        if now.abs_diff(memory) as f64 > memory as f64 * SETTLED.0 {
            (memory, since) = (now, Instant::now());
        }
        (since.elapsed() > SETTLED.1).then_some(now)
    })
}

/// The table of restores.
pub fn table(restores: &[Restored]) -> String {
    let headings = [
        "restore",
        "executions",
        "records each",
        "seconds",
        "contexts/s",
        "records/s",
        "ceiling/s",
        "ratio",
        "memory each",
        "to reach first",
    ];
    let mut table = new_table(&headings);
    for restored in restores {
        table.add_row([
            restored.state.to_owned(),
            grouped(restored.executions as f64),
            format!("{:.1}", restored.records_each),
            format!("{:.1}", restored.seconds),
            grouped(restored.contexts_per_s),
            grouped(restored.records_per_s),
            restored.ceiling_per_s.map_or_else(String::new, grouped),
            decimals(restored.ratio, 2),
            format!("{:.0} B", restored.memory_bytes_each),
            if restored.state == "open" { "200,000/s, 2 KB" } else { "200,000/s, 150 B" }.to_owned(),
        ]);
    }
    drawn(table)
}
