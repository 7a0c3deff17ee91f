//! The records of the registry topic, as they are.

use rdkafka::consumer::Consumer;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{InspectionError, Inspector, Span, TIMEOUT, Taken, take};

/// Records that are read at most; a registry has a few for each schema and each router.
const RECORDS_MAX: usize = 100_000;

/// A record of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryRecord {
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; none deletes the key.
    pub value: Option<Vec<u8>>,
}

impl Inspector {
    /// The records of the registry, the oldest first.
    ///
    /// # Errors
    /// Where they can't be read.
    pub fn registry_records(&self, span: Span) -> Result<Vec<RegistryRecord>, InspectionError> {
        if span.begin >= span.stable_end {
            return Ok(Vec::new());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.topics.registry(), 0, Offset::Offset(span.begin))?;
        self.committed.assign(&list)?;
        let records = self.to_end();
        self.committed.unassign()?;
        records
    }

    fn to_end(&self) -> Result<Vec<RegistryRecord>, InspectionError> {
        let record = |message: &BorrowedMessage<'_>| RegistryRecord {
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
        };
        let mut records = Vec::new();
        while records.len() < RECORDS_MAX {
            match take(&self.committed, TIMEOUT, record)? {
                Taken::Record(record) => records.push(record),
                Taken::End => break,
            }
        }
        Ok(records)
    }
}
