//! The ceiling of a restore: the same records through the same client's reader of contexts, and nothing done with them.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use thalweg_runtime::kafka::{ContextsPolled, Kafka, RdKafka};
use thalweg_runtime::{Config, Topics};

use crate::ceiling::connect;

/// How long a reader waits for a record: a lane's own.
const POLL: Duration = Duration::from_millis(50);

/// How many seconds it takes to read all contexts, of so many records, by as many readers as there are lanes.
pub fn read(config: &Config, records: usize) -> f64 {
    let (lanes, group) = (config.lane_count(), format!("{}.ceiling", Topics::new(config).group()));
    let readers: Vec<_> = (0..lanes).map(|lane| connect(config, &group, lane)).collect();
    let since = Instant::now();
    let reading = readers.into_iter().enumerate().map(|(number, kafka)| {
        let partitions = (0..config.partitions).filter(|partition| *partition as usize % lanes == number).collect();
        thread::spawn(move || read_partitions(kafka, partitions))
    });
    let reading: Vec<_> = reading.collect();
    // Their clients live on until all have read: a consumer that is dropped first waits for its group.
    let readers: Vec<_> = reading.into_iter().map(|lane| lane.join().expect("a reader")).collect();
    let seconds = since.elapsed().as_secs_f64();
    assert_eq!(readers.iter().map(|(read, _)| read).sum::<usize>(), records, "context records that the ceiling read");
    seconds
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
