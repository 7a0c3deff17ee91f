//! Closed executions whose records a redrive needs. The cache keeps no more than a stub of them: the records are in the
//! contexts topic, and come back with a restore of the partition.

use std::collections::{BTreeMap, HashSet};

use super::Lane;
use crate::kafka::Kafka;
use crate::telemetry::RecordsWanted;

/// Executions that one restore brings back. Each may have a record of `context.max.bytes`, and those of its branches.
const WANTED_MAX: usize = 256;

/// The executions that one restore brings back.
#[derive(Debug, Default)]
pub struct Wanted(HashSet<String>);

impl Wanted {
    /// Adds an execution, where there is room. The first, for which the partition waits, always has it.
    pub fn add(&mut self, execution_id: &str) {
        if self.0.len() < WANTED_MAX {
            self.0.insert(execution_id.to_owned());
        }
    }

    /// Is this execution one of them?
    pub fn contains(&self, execution_id: &str) -> bool {
        self.0.contains(execution_id)
    }
}

impl<K: Kafka> Lane<K> {
    /// Restores partitions with the records that their next inputs need.
    pub(super) fn restore_with(&mut self, wanted: BTreeMap<i32, Wanted>) {
        for (number, wanted) in wanted {
            let Some(next_offset) = self.partitions.get(&number).map(|partition| partition.next_offset) else {
                continue;
            };
            RecordsWanted { partition: number, executions: wanted.0.len() }.emit();
            self.start_over(number);
            if let Some(partition) = self.partitions.get_mut(&number) {
                partition.wanted = wanted;
                // It may be that nothing was committed yet; and librdkafka's in-process cluster never tells.
                partition.next_offset = next_offset;
            }
        }
    }
}
