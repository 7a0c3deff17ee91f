//! The ceiling of a restore: the same records through the same client's reader of contexts, and nothing done with them.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use thalweg_runtime::kafka::{ContextsPolled, Kafka, KafkaSettings, RdKafka};
use thalweg_runtime::{Config, DEAD_LETTER_RECORD_MAX_BYTES, Topics};

/// How long a reader waits for a record: a lane's own.
const POLL: Duration = Duration::from_millis(50);

/// How many seconds it takes to read all contexts, by as many readers as there are lanes, and how many records it were.
pub fn read(config: &Config) -> (f64, usize) {
    let lanes = config.lane_count();
    let readers: Vec<_> = (0..lanes).map(|number| connect(config, number)).collect();
    let since = Instant::now();
    let reading = readers.into_iter().enumerate().map(|(number, kafka)| {
        let partitions = (0..config.partitions).filter(|partition| *partition as usize % lanes == number).collect();
        thread::spawn(move || read_partitions(kafka, partitions))
    });
    let reading: Vec<_> = reading.collect();
    // Their clients live on until all have read: a consumer that is dropped first waits for its group.
    let readers: Vec<_> = reading.into_iter().map(|lane| lane.join().expect("a reader")).collect();
    (since.elapsed().as_secs_f64(), readers.into_iter().map(|(records, _)| records).sum())
}

fn connect(config: &Config, number: usize) -> RdKafka {
    let topics = Topics::new(config);
    let settings = KafkaSettings {
        client: config.client(),
        inbox: topics.inbox().to_owned(),
        contexts: topics.contexts().to_owned(),
        group: format!("{}.bare", topics.group()),
        transactional_id: format!("{}.bare.{number}", config.namespace),
        transaction_timeout_ms: config.transaction_timeout_ms,
        session_timeout_ms: config.session_timeout_ms,
        message_max_bytes: DEAD_LETTER_RECORD_MAX_BYTES,
    };
    RdKafka::connect(settings).unwrap_or_else(|error| panic!("{error}"))
}

fn read_partitions(mut kafka: RdKafka, mut partitions: BTreeSet<i32>) -> (usize, RdKafka) {
    for partition in &partitions {
        kafka.read_contexts(*partition).unwrap_or_else(|error| panic!("{error}"));
    }
    let mut records = 0;
    while !partitions.is_empty() {
        match kafka.poll_contexts(POLL, &mut |_, _, _| records += 1) {
            Ok(ContextsPolled::End(partition)) => {
                partitions.remove(&partition);
            }
            Ok(ContextsPolled::Taken | ContextsPolled::Idle) => {}
            Err(error) => panic!("{error}"),
        }
    }
    (records, kafka)
}
