//! The registry topic: schemas by fingerprint.

use std::collections::HashSet;
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

/// How long reading the registry to its end, or writing to it, may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The pause before its end is asked for again.
const END_PAUSE: Duration = Duration::from_millis(50);
/// Key prefix of a schema: `schema/` and the fingerprint's bytes in hexadecimal.
const SCHEMA_PREFIX: &str = "schema/";

/// The registry as one process sees it.
pub struct Registry {
    schemas: Arc<Schemas>,
    topic: String,
    client: ClientConfig,
    reader: Mutex<Reader>,
}

struct Reader {
    consumer: BaseConsumer,
    /// The next offset to read.
    position: i64,
    /// Schemas that were seen, in this read or an earlier one.
    registered: HashSet<Fingerprint>,
}

impl Registry {
    /// Connects and reads the registry to its end.
    ///
    /// # Errors
    /// Where the topic can't be read.
    pub fn open(client: ClientConfig, topic: &str, schemas: Arc<Schemas>) -> Result<Registry, KafkaError> {
        let mut config = client.clone();
        config
            .set("group.id", format!("{topic}.reader"))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = config.create()?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning)?;
        consumer.assign(&list)?;
        let reader = Mutex::new(Reader { consumer, position: 0, registered: HashSet::new() });
        let registry = Registry { schemas, topic: topic.to_owned(), client, reader };
        registry.read_to_end()?;
        Ok(registry)
    }

    /// Registers what this process writes with and the registry lacks. A router does so before its first write.
    ///
    /// # Errors
    /// Where a record is not acknowledged.
    pub fn register_schemas(&self) -> Result<(), KafkaError> {
        self.read_to_end()?;
        let mut missing = Schemas::to_register();
        missing.retain(|(fingerprint, _)| !self.reader().registered.contains(fingerprint));
        if missing.is_empty() {
            return Ok(());
        }
        let mut config = self.client.clone();
        config.set("enable.idempotence", "true").set("delivery.timeout.ms", TIMEOUT.as_millis().to_string());
        let producer: BaseProducer<FirstRefusal> = config.create_with_context(FirstRefusal::default())?;
        for (fingerprint, text) in missing {
            let key = key_of(&fingerprint);
            let record = BaseRecord::to(&self.topic).partition(0).key(key.as_str()).payload(text);
            producer.send(record).map_err(|(error, _)| error)?;
        }
        producer.flush(TIMEOUT)?;
        // A flush has waited for the answers; it does not say what they were.
        producer.context().0.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Looks for schemas that were registered since. Returns whether there were any records.
    pub fn refresh(&self) -> bool {
        match self.read_to_end() {
            Ok(found) => found > 0,
            Err(error) => {
                tracing::warn!(%error, "the registry can't be read");
                false
            }
        }
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what is new up to the present end; returns how many schemas there were.
    fn read_to_end(&self) -> Result<usize, KafkaError> {
        let mut reader = self.reader();
        let deadline = Instant::now() + TIMEOUT;
        let end = self.end(&reader.consumer, deadline)?;
        let mut seen = 0;
        while reader.position < end {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut));
            }
            let (position, learned) = match reader.consumer.poll(left) {
                None => continue,
                // It asks for the group, which it is no member of and needs no right to.
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::GroupAuthorizationFailed))) => continue,
                Some(Err(error)) => return Err(error),
                Some(Ok(message)) => {
                    let schema = message.key().zip(message.payload());
                    (message.offset() + 1, schema.and_then(|(key, text)| self.learn(key, text)))
                }
            };
            seen += usize::from(learned.is_some());
            reader.registered.extend(learned);
            reader.position = position;
        }
        Ok(seen)
    }

    /// Its end offset. A topic that was created just now has no leader for a moment.
    fn end(&self, consumer: &BaseConsumer, deadline: Instant) -> Result<i64, KafkaError> {
        loop {
            match consumer.fetch_watermarks(&self.topic, 0, TIMEOUT) {
                Ok((_, end)) => return Ok(end),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => std::thread::sleep(END_PAUSE),
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
    use super::*;

    #[test]
    fn a_key_holds_the_fingerprints_bytes_in_order() {
        let fingerprint = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
        assert_eq!(key_of(&fingerprint), "schema/0123456789abcdef");
        assert_eq!(fingerprint_in(&key_of(&fingerprint)), Some(fingerprint));
        assert_eq!(fingerprint_in("schema/1"), None);
        assert_eq!(fingerprint_in("router/x"), None);
    }
}
