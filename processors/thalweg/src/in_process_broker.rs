//! librdkafka's imitation of a Kafka cluster, in this process.
//!
//! It accepts transactions without isolating them, so an abort would leave what must not be seen; and it drops the
//! oldest records of a partition beyond 5 MB. Both end the process that uses it, the second before it happens.

use std::collections::{BTreeMap, HashMap};
use std::thread;
use std::time::Duration;

use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use thalweg_runtime::telemetry::Metrics;
use thalweg_runtime::{Config, wanted_topics};

use crate::error::CommandError;

/// What every command that uses it says first.
pub const NOTICE: &str =
    "In-process imitation of Kafka: it shows the flow, and proves no exactly-once, durability or speed.";

/// Bytes of a partition that the broker keeps (librdkafka, rdkafka_mock.c), less a margin for what is under way.
const PARTITION_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that a record may take beside key, value and headers: its own framing, and that of a batch of one.
const RECORD_OVERHEAD_BYTES: usize = 100;
/// Between two requests to the broker itself: it may miss one that comes before it waits again, for a second.
const REQUEST_PAUSE: Duration = Duration::from_millis(5);
/// How the metrics tell transactions that did not end well.
const BROKEN_TRANSACTIONS: [&str; 2] =
    [r#"thalweg_transactions_total{outcome="aborted"} "#, r#"thalweg_transactions_total{outcome="unknown"} "#];

/// A broker in this process.
pub struct InProcessBroker {
    /// The broker lives as long as this does.
    _cluster: MockCluster<'static, DefaultProducerContext>,
}

impl InProcessBroker {
    /// Starts it with the topics of `config`, and makes `config` point to it: one lane, for it has one consumer group
    /// member at a time.
    ///
    /// # Errors
    /// Where librdkafka can't start it.
    pub fn start(config: &mut Config) -> Result<InProcessBroker, CommandError> {
        let cluster = MockCluster::new(1)?;
        for topic in wanted_topics(config) {
            cluster.create_topic(&topic.name, topic.partitions, 1)?;
            thread::sleep(REQUEST_PAUSE);
        }
        config.brokers = cluster.bootstrap_servers();
        config.lanes = Some(1);
        // It keeps a request for records to its end, also when records come in meanwhile.
        config.kafka.set("fetch.wait.max.ms", "5");
        Ok(InProcessBroker { _cluster: cluster })
    }
}

/// What an in-process broker has to keep.
#[derive(Default)]
pub struct Burden {
    /// Bytes by topic and partition.
    bytes: HashMap<String, BTreeMap<i32, usize>>,
}

impl Burden {
    /// Takes a record into account.
    ///
    /// # Errors
    /// Where the broker would soon drop records of its partition.
    pub fn add(&mut self, message: &impl Message) -> Result<(), CommandError> {
        let headers = message.headers().map_or(0, |headers| {
            headers.iter().map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len)).sum()
        });
        let partitions = match self.bytes.get_mut(message.topic()) {
            Some(partitions) => partitions,
            None => self.bytes.entry(message.topic().to_owned()).or_default(),
        };
        let bytes = partitions.entry(message.partition()).or_default();
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        *bytes += length(message.key()) + length(message.payload()) + headers + RECORD_OVERHEAD_BYTES;
        if *bytes <= PARTITION_MAX_BYTES {
            return Ok(());
        }
        Err(CommandError::Failed(format!(
            "the in-process broker is full: beyond 5 MB it would drop the oldest records of {}, partition {}\n\
             give it less to do, or use a real Kafka: --brokers HOST:PORT",
            message.topic(),
            message.partition()
        )))
    }
}

/// Fails where this process's router had to abort a transaction.
///
/// # Errors
/// Where it had.
pub fn check_transactions() -> Result<(), CommandError> {
    let metrics = Metrics::install().and_then(Metrics::text).unwrap_or_default();
    let broken =
        |line: &str| BROKEN_TRANSACTIONS.iter().any(|name| line.strip_prefix(name).is_some_and(|count| count != "0"));
    if metrics.lines().any(broken) {
        return Err(CommandError::Failed(
            "a transaction was aborted, and the in-process broker can't take back what it wrote\nstart again; on a \
             real Kafka (--brokers) an abort leaves no trace"
                .to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{OwnedMessage, Timestamp};
    use thalweg_runtime::telemetry::{TransactionEnded, TransactionOutcome};

    use super::*;

    #[test]
    fn a_partition_is_full_before_the_broker_drops_its_records() {
        let record = |partition| {
            let value = vec![0; 1024 * 1024];
            OwnedMessage::new(Some(value), None, "inbox".to_owned(), Timestamp::NotAvailable, partition, 0, None)
        };
        let mut burden = Burden::default();
        for partition in [0, 0, 0, 1, 1, 1] {
            burden.add(&record(partition)).unwrap();
        }
        let full = burden.add(&record(1)).unwrap_err().to_string();
        assert!(full.contains("inbox, partition 1"), "{full}");
    }

    #[test]
    fn an_aborted_transaction_is_noticed() {
        Metrics::install().unwrap();
        TransactionEnded { outcome: TransactionOutcome::Committed, seconds: 0.0, inputs: 1 }.emit();
        check_transactions().unwrap();
        TransactionEnded { outcome: TransactionOutcome::Aborted, seconds: 0.0, inputs: 1 }.emit();
        check_transactions().unwrap_err();
    }
}
