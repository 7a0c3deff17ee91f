//! Topics as the cluster has laid them out.

use std::collections::BTreeMap;

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use super::contact::brokers;
use super::{BrokerAddress, InspectionError, Inspector, TIMEOUT};

/// What is seen of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Its partitions, in order.
    Exists(Vec<PartitionLayout>),
    /// There is none.
    Missing,
    /// It may not be seen.
    Forbidden,
}

/// Where a partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLayout {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it, if one does.
    pub leader: Option<i32>,
    /// How many replicas it should have.
    pub replicas: usize,
    /// How many of them are in sync.
    pub in_sync: usize,
}

impl Inspector {
    /// The brokers of the cluster.
    ///
    /// # Errors
    /// Where none answers.
    pub fn brokers(&self) -> Result<Vec<BrokerAddress>, InspectionError> {
        Ok(brokers(&self.committed.fetch_metadata(None, TIMEOUT)?))
    }

    /// Looks for these topics. Each is asked for alone: of all topics those that may not be seen are left out.
    ///
    /// # Errors
    /// Where the brokers don't answer.
    pub fn look<'a>(
        &self,
        topics: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, Look>, InspectionError> {
        topics.into_iter().map(|topic| Ok((topic.to_owned(), self.look_at(topic)?))).collect()
    }

    fn look_at(&self, name: &str) -> Result<Look, InspectionError> {
        let metadata = self.committed.fetch_metadata(Some(name), TIMEOUT)?;
        let Some(topic) = metadata.topics().first() else { return Ok(Look::Missing) };
        match topic.error().map(RDKafkaErrorCode::from) {
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => return Ok(Look::Forbidden),
            _ if topic.partitions().is_empty() => return Ok(Look::Missing),
            _ => {}
        }
        let layout = topic.partitions().iter().map(|partition| PartitionLayout {
            partition: partition.id(),
            leader: Some(partition.leader()).filter(|leader| *leader >= 0),
            replicas: partition.replicas().len(),
            in_sync: partition.isr().len(),
        });
        let mut partitions: Vec<PartitionLayout> = layout.collect();
        partitions.sort_by_key(|partition| partition.partition);
        Ok(Look::Exists(partitions))
    }
}
