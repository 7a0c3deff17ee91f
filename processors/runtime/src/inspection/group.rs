//! The routers' group: who is in it, and how far it has come.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupMemberInfo;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{InspectionError, Inspector, TIMEOUT, patiently};
use crate::kafka::is_denied;

/// A consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Kafka's word: Stable, Empty, PreparingRebalance, CompletingRebalance, Dead.
    pub state: String,
    /// Its members.
    pub members: Vec<Member>,
}

/// A member of a group: a lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What its client calls itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// What is assigned to it; `None` if that can't be read.
    pub partitions: Option<Vec<(String, i32)>>,
}

impl Inspector {
    /// The routers' group; `None` if there is none, or it may not be seen.
    ///
    /// # Errors
    /// Where the brokers don't answer.
    pub fn group(&self) -> Result<Option<Group>, InspectionError> {
        let name = self.topics.group();
        let groups = patiently(|| self.committed.fetch_group_list(Some(name), TIMEOUT))?;
        let found = groups.groups().iter().find(|group| group.name() == name);
        Ok(found.map(|group| Group {
            state: group.state().to_owned(),
            members: group.members().iter().map(member).collect(),
        }))
    }

    /// The offsets that the group has committed in these partitions of the inbox.
    ///
    /// # Errors
    /// Where the brokers don't tell.
    pub fn committed(&self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>, InspectionError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(self.topics.inbox(), *partition);
        }
        let told = patiently(|| {
            let told = self.committed.committed_offsets(list.clone(), TIMEOUT)?;
            told.elements().iter().try_for_each(|element| element.error())?;
            Ok(told)
        })
        .map_err(|error| self.denial().unwrap_or(error))?;
        let mut offsets = BTreeMap::new();
        for element in told.elements() {
            if let Offset::Offset(offset) = element.offset() {
                offsets.insert(element.partition(), offset);
            }
        }
        Ok(offsets)
    }

    /// librdkafka asks for the coordinator of a group that is denied until its time is over, and tells why beside that.
    fn denial(&self) -> Option<KafkaError> {
        while let Some(told) = self.committed.poll(Duration::ZERO) {
            match told {
                Err(error) if is_denied(error.rdkafka_error_code()) => return Some(error),
                _ => {}
            }
        }
        None
    }
}

fn member(info: &GroupMemberInfo) -> Member {
    Member {
        client_id: info.client_id().to_owned(),
        host: info.client_host().trim_start_matches('/').to_owned(),
        partitions: info.assignment().map_or(Some(Vec::new()), assignment),
    }
}

/// Reads a `ConsumerProtocolAssignment`: a version, then topics, each with its partitions, then the user's data.
/// Source: Kafka, clients/src/main/resources/common/message/ConsumerProtocolAssignment.json.
fn assignment(bytes: &[u8]) -> Option<Vec<(String, i32)>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let mut rest = bytes.get(2..)?;
    let mut partitions = Vec::new();
    for _ in 0..take_i32(&mut rest)? {
        let length = i16::from_be_bytes(*rest.split_off(..2)?.first_chunk()?);
        let topic = std::str::from_utf8(rest.split_off(..usize::try_from(length).ok()?)?).ok()?;
        for _ in 0..take_i32(&mut rest)? {
            partitions.push((topic.to_owned(), take_i32(&mut rest)?));
        }
    }
    Some(partitions)
}

fn take_i32(rest: &mut &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(*rest.split_off(..4)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_and_one_that_is_cut_is_not() {
        let bytes =
            b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x02\0\0\0\x01\0\0\0\x03\0\x02bc\0\0\0\x01\0\0\0\x07\xff\xff\xff\xff";
        let read = assignment(bytes).unwrap();
        assert_eq!(read, [("a".to_owned(), 1), ("a".to_owned(), 3), ("bc".to_owned(), 7)]);
        assert_eq!(assignment(b""), Some(Vec::new()));
        for length in 1..bytes.len() - 4 {
            assert_eq!(assignment(&bytes[..length]), None, "{length}");
        }
    }
}
