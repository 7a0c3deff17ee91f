//! All records of a namespace at one moment, as golden records.

use std::collections::BTreeMap;

use crate::golden_set::{Bytes, CONTEXTS, DEAD_LETTERS, EVENTS, GoldenRecord, INBOX, REGISTRY};
use crate::namespace::{Namespace, Read};

/// All records, in the order of topic, partition and offset.
#[derive(Default)]
pub struct Snapshot(Vec<GoldenRecord>);

impl Snapshot {
    pub fn of(namespace: &Namespace) -> Snapshot {
        let mut records = Vec::new();
        for topic in [CONTEXTS, DEAD_LETTERS, EVENTS, INBOX, REGISTRY] {
            let reads = namespace.read(&format!("{}.{topic}", namespace.config.namespace));
            records.extend(reads.into_iter().map(|read| golden(topic, read)));
        }
        Snapshot(records)
    }

    pub fn records(&self) -> &[GoldenRecord] {
        &self.0
    }

    /// What came since an earlier moment.
    pub fn since(&self, earlier: &Snapshot) -> Vec<GoldenRecord> {
        let mut ends: BTreeMap<(&str, i32), i64> = BTreeMap::new();
        for record in &earlier.0 {
            ends.insert((&record.topic, record.partition), record.offset + 1);
        }
        let is_new = |record: &&GoldenRecord| {
            ends.get(&(record.topic.as_str(), record.partition)).is_none_or(|end| record.offset >= *end)
        };
        self.0.iter().filter(is_new).cloned().collect()
    }
}

fn golden(topic: &str, read: Read) -> GoldenRecord {
    GoldenRecord {
        topic: topic.to_owned(),
        partition: read.partition,
        offset: read.offset,
        timestamp: read.timestamp,
        headers: read.headers,
        key: read.key.map(Bytes::from),
        value: read.value.map(Bytes::from),
    }
}
