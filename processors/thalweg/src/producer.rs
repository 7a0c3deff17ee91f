//! Writes records to topics, and hears of each.

use std::fmt;
use std::str::FromStr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use thalweg_runtime::kafka::{NotAuthorized, is_denied};

use crate::connection::Connection;
use crate::error::CommandError;

/// How long the brokers may take to acknowledge a record.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where a record lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Position, String> {
        let mut parts = text.rsplitn(3, '/');
        let offset = parts.next().and_then(|offset| offset.parse().ok());
        let partition = parts.next().and_then(|partition| partition.parse().ok());
        match (parts.next(), partition, offset) {
            (Some(topic), Some(partition), Some(offset)) => Ok(Position { topic: topic.to_owned(), partition, offset }),
            _ => Err(format!("{text:?} is no topic/partition/offset")),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// A record to write.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// The topic.
    pub topic: String,
    /// The partition; none: that of the key.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; none: a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// A producer that writes each record once, and hears of it.
pub struct Producer<'a> {
    connection: &'a Connection,
    producer: ThreadedProducer<Acknowledgements>,
    answers: Receiver<Answer>,
}

impl<'a> Producer<'a> {
    /// An idempotent producer of records of so many bytes at most.
    ///
    /// # Errors
    /// Where librdkafka does not take a setting.
    pub fn open(connection: &'a Connection, record_max_bytes: usize) -> Result<Producer<'a>, CommandError> {
        let mut client = connection.config().client();
        client
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("delivery.timeout.ms", TIMEOUT.as_millis().to_string())
            .set("message.max.bytes", record_max_bytes.to_string());
        // What came in compressed may be over the topic's limit without it.
        for (name, value) in [("linger.ms", "0"), ("compression.type", "zstd")] {
            if client.get(name).is_none() {
                client.set(name, value);
            }
        }
        let (sender, answers) = mpsc::channel();
        Ok(Producer { connection, producer: client.create_with_context(Acknowledgements(sender))?, answers })
    }

    /// Writes a record and waits until it is acknowledged.
    ///
    /// # Errors
    /// Where it is not, or not in time.
    pub fn send(&self, record: &Outgoing) -> Result<Position, CommandError> {
        self.begin(record)?;
        // librdkafka answers in time; what is added is for its own rounding.
        match self.answers.recv_timeout(TIMEOUT + Duration::from_secs(1)) {
            Ok(answer) => self.judged(answer),
            Err(_) => Err(self.connection.unreachable()),
        }
    }

    /// Begins to write a record.
    ///
    /// # Errors
    /// Where librdkafka does not take it.
    pub fn begin(&self, record: &Outgoing) -> Result<(), CommandError> {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let mut outgoing: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&record.topic).headers(headers);
        outgoing.partition = record.partition;
        outgoing.key = record.key.as_deref();
        outgoing.payload = record.value.as_deref();
        self.producer.send(outgoing).map_err(|(error, _)| error.into())
    }

    /// The oldest acknowledgement that was not taken yet.
    ///
    /// # Errors
    /// Where that record was not written.
    pub fn acknowledged(&self) -> Result<Option<Position>, CommandError> {
        self.answers.try_recv().ok().map(|answer| self.judged(answer)).transpose()
    }

    fn judged(&self, answer: Answer) -> Result<Position, CommandError> {
        answer.map_err(|(topic, error)| match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageTimedOut) => self.connection.unreachable(),
            code if is_denied(code) || self.is_denied() => NotAuthorized::topic("Write", &topic).into(),
            _ => error.into(),
        })
    }

    /// Who may write to no topic at all gets no producer's id, and what was to be written is purged.
    fn is_denied(&self) -> bool {
        self.producer.client().fatal_error().is_some_and(|(code, _)| is_denied(Some(code)))
    }
}

/// What became of a record, or of which topic it was not written to.
type Answer = Result<Position, (String, KafkaError)>;

/// Passes on what became of the records, in the order of the answers.
struct Acknowledgements(Sender<Answer>);

impl ClientContext for Acknowledgements {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the producer reports an error and goes on");
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let answer = match result {
            Ok(message) => Ok(Position {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                offset: message.offset(),
            }),
            Err((error, message)) => Err((message.topic().to_owned(), error.clone())),
        };
        // It fails where nobody waits any more.
        let _ = self.0.send(answer);
    }
}
