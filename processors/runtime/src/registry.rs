//! The registry topic: schemas by fingerprint.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use thalweg_core::codec::{Fingerprint, Schemas};

use crate::inbox_name::{Replaced, replaced_partition};
use crate::kafka::{KafkaFault, NotAuthorized, judged};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a look for new schemas may take: whoever has a record that needs one waits meanwhile, and looks again.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before something is asked for again.
const PAUSE: Duration = Duration::from_millis(50);
/// Key prefix of a schema: `schema/` and the fingerprint's bytes in hexadecimal.
const SCHEMA_PREFIX: &str = "schema/";

/// The registry as one process sees it.
pub struct Registry {
    schemas: Arc<Schemas>,
    topic: String,
    client: ClientConfig,
    /// How long opening it, or writing to it, may take.
    patience: Duration,
    reader: Mutex<Reader>,
}

struct Reader {
    consumer: BaseConsumer,
    /// The next offset to read.
    position: i64,
    /// Does it fetch? Only while it is behind the end.
    fetches: bool,
    /// Schemas that were seen, in this read or an earlier one.
    registered: HashSet<Fingerprint>,
    /// How often partitions of the inbox were replaced.
    replaced: BTreeMap<i32, u32>,
}

impl Reader {
    /// Fetches from its position on, until [`Reader::rest`]; so after a look that failed, for librdkafka 2.12 may not
    /// survive the stop of a partition that has not begun (its issue 5573).
    fn fetch(&mut self, topic: &str) -> Result<(), KafkaError> {
        if !self.fetches {
            self.consumer.incremental_assign(&self.list(topic)?)?;
            self.fetches = true;
        }
        Ok(())
    }

    fn rest(&mut self, topic: &str) -> Result<(), KafkaError> {
        if self.fetches {
            self.consumer.incremental_unassign(&self.list(topic)?)?;
            self.fetches = false;
        }
        Ok(())
    }

    fn list(&self, topic: &str) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(self.position))?;
        Ok(list)
    }
}

impl Registry {
    /// Connects and reads the registry to its end, within `patience`: a topic that was created just now has no leader for
    /// a moment.
    ///
    /// # Errors
    /// Where the topic can't be read.
    pub fn open(
        client: ClientConfig,
        topic: &str,
        schemas: Arc<Schemas>,
        patience: Duration,
    ) -> Result<Registry, KafkaError> {
        let mut config = client.clone();
        config
            .set("group.id", format!("{topic}.reader"))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            // A fetch that finds nothing holds up the question for the end that the next look begins with.
            .set("fetch.wait.max.ms", "10");
        let consumer: BaseConsumer = config.create()?;
        let reader = Mutex::new(Reader {
            consumer,
            position: 0,
            fetches: false,
            registered: HashSet::new(),
            replaced: BTreeMap::new(),
        });
        let registry = Registry { schemas, topic: topic.to_owned(), client, patience, reader };
        registry.read_to_end(patience)?;
        Ok(registry)
    }

    /// Registers what this process writes with and the registry lacks. A router does so before its first write.
    ///
    /// # Errors
    /// Where a record is not acknowledged.
    pub fn register_schemas(&self) -> Result<(), KafkaError> {
        let deadline = Instant::now() + self.patience;
        self.read_to_end(self.patience)?;
        let mut missing = Schemas::to_register();
        missing.retain(|(fingerprint, _)| !self.reader().registered.contains(fingerprint));
        loop {
            match self.write(&missing) {
                Err(error) if is_passing(&error) && Instant::now() < deadline => std::thread::sleep(PAUSE),
                written => return written,
            }
        }
    }

    /// Writes schemas; once more what is there already changes nothing.
    fn write(&self, schemas: &[(Fingerprint, &str)]) -> Result<(), KafkaError> {
        if schemas.is_empty() {
            return Ok(());
        }
        let mut config = self.client.clone();
        config.set("enable.idempotence", "true").set("delivery.timeout.ms", TIMEOUT.as_millis().to_string());
        let producer: BaseProducer<FirstRefusal> = config.create_with_context(FirstRefusal::default())?;
        for (fingerprint, text) in schemas {
            let key = key_of(fingerprint);
            let record = BaseRecord::to(&self.topic).partition(0).key(key.as_str()).payload(*text);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.flush(TIMEOUT)?;
        // A flush has waited for the answers; it does not say what they were.
        producer.context().0.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Looks for schemas that were registered since.
    ///
    /// # Errors
    /// Where the registry can't be read now: what is unknown may be in it all the same.
    pub fn refresh(&self) -> Result<(), KafkaFault> {
        self.read_to_end(REFRESH_TIMEOUT).map_err(|error| judged(error, || NotAuthorized::topic("Read", &self.topic)))
    }

    /// How often this partition of the inbox was replaced, as of the last look.
    pub fn replaced(&self, partition: i32) -> u32 {
        self.reader().replaced.get(&partition).copied().unwrap_or_default()
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what is new up to the present end.
    fn read_to_end(&self, patience: Duration) -> Result<(), KafkaError> {
        let mut reader = self.reader();
        let deadline = Instant::now() + patience;
        let end = self.end(&reader.consumer, deadline)?;
        while reader.position < end {
            reader.fetch(&self.topic)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
            }
            let (position, learned, replaced) = match reader.consumer.poll(left) {
                None => continue,
                // It asks for the group, which it is no member of and needs no right to.
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::GroupAuthorizationFailed))) => continue,
                Some(Err(error)) if is_passing(&error) => continue,
                Some(Err(error)) => return Err(error),
                Some(Ok(message)) => {
                    let record = message.key().zip(message.payload());
                    let replaced = record.and_then(|(key, text)| replaced_in(key, text));
                    (message.offset() + 1, record.and_then(|(key, text)| self.learn(key, text)), replaced)
                }
            };
            reader.registered.extend(learned);
            reader.replaced.extend(replaced);
            reader.position = position;
        }
        reader.rest(&self.topic)
    }

    /// Its end offset.
    fn end(&self, consumer: &BaseConsumer, deadline: Instant) -> Result<i64, KafkaError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match consumer.fetch_watermarks(&self.topic, 0, left.min(TIMEOUT)) {
                Ok((_, end)) => return Ok(end),
                Err(error) if is_passing(&error) && Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(error) => return Err(error),
            }
        }
    }

    fn learn(&self, key: &[u8], text: &[u8]) -> Option<Fingerprint> {
        let fingerprint = fingerprint_in(std::str::from_utf8(key).ok()?)?;
        if let Err(error) = self.schemas.learn(fingerprint, std::str::from_utf8(text).ok()?) {
            tracing::warn!(%error, "a registered schema can't be used");
        }
        Some(fingerprint)
    }
}

/// May it work the next time? So where a partition has no leader yet, or another one, or no broker answers.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::OffsetNotAvailable
                | Code::ReplicaNotAvailable
                | Code::BrokerNotAvailable
                | Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::RequestTimedOut
                | Code::OperationTimedOut
                | Code::MessageTimedOut
                | Code::NotEnoughReplicas
                | Code::NotEnoughReplicasAfterAppend
        )
    )
}

/// Why a record was not written, of the first that was not.
#[derive(Default)]
struct FirstRefusal(OnceLock<KafkaError>);

impl ClientContext for FirstRefusal {}

impl ProducerContext for FirstRefusal {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let _ = self.0.set(error.clone());
        }
    }
}

/// A record that says how often a partition of the inbox was replaced.
fn replaced_in(key: &[u8], text: &[u8]) -> Option<(i32, u32)> {
    let partition = replaced_partition(std::str::from_utf8(key).ok()?)?;
    match serde_json::from_slice::<Replaced>(text) {
        Ok(record) => Some((partition, record.replaced)),
        Err(error) => {
            tracing::warn!(%error, partition, "how often the inbox was replaced can't be read");
            None
        }
    }
}

/// The key of a schema in the registry.
pub fn key_of(fingerprint: &Fingerprint) -> String {
    format!("{SCHEMA_PREFIX}{:016x}", u64::from_be_bytes(*fingerprint))
}

/// The fingerprint in a key of the registry, if it is a schema's.
pub fn fingerprint_in(key: &str) -> Option<Fingerprint> {
    let digits = key.strip_prefix(SCHEMA_PREFIX)?;
    u64::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 16).map(u64::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;

    /// Longer than all the errors take.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A cluster with an empty registry, and a client of it.
    fn cluster() -> (MockCluster<'static, rdkafka::producer::DefaultProducerContext>, ClientConfig) {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("registry", 1, 1).unwrap();
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", cluster.bootstrap_servers());
        (cluster, client)
    }

    fn open(client: &ClientConfig) -> Result<Registry, KafkaError> {
        Registry::open(client.clone(), "registry", Arc::new(Schemas::new().unwrap()), PATIENCE)
    }

    /// What a broker answers that does not know yet that it leads.
    #[test]
    fn a_topic_without_a_leader_is_asked_again() {
        const NOT_LEADER: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
        let (cluster, client) = cluster();
        for request in [RDKafkaApiKey::ListOffsets, RDKafkaApiKey::Produce, RDKafkaApiKey::Fetch] {
            cluster.request_errors(request, &[NOT_LEADER; 6]);
        }
        open(&client).unwrap().register_schemas().unwrap();
        for request in [RDKafkaApiKey::ListOffsets, RDKafkaApiKey::Fetch] {
            cluster.request_errors(request, &[NOT_LEADER; 6]);
        }
        assert_eq!(open(&client).unwrap().reader().registered.len(), Schemas::to_register().len());
    }

    #[test]
    fn a_look_goes_on_where_the_last_one_ended_and_nothing_is_fetched_between() {
        let (_cluster, client) = cluster();
        let (reader, writer) = (open(&client).unwrap(), open(&client).unwrap());
        let count = Schemas::to_register().len();
        for look in 1..=3 {
            writer.write(&Schemas::to_register()).unwrap();
            reader.refresh().unwrap();
            let state = reader.reader();
            assert_eq!((state.position, state.registered.len()), ((look * count) as i64, count));
            assert_eq!(state.consumer.assignment().unwrap().count(), 0, "partitions that are fetched");
        }
    }

    #[test]
    fn a_key_holds_the_fingerprints_bytes_in_order() {
        let fingerprint = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
        assert_eq!(key_of(&fingerprint), "schema/0123456789abcdef");
        assert_eq!(fingerprint_in(&key_of(&fingerprint)), Some(fingerprint));
        assert_eq!(fingerprint_in("schema/1"), None);
        assert_eq!(fingerprint_in("router/x"), None);
    }
}
