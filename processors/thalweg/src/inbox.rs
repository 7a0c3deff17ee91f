//! Writes to the inbox, as any client may.

use std::fmt;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use serde_json::Value;
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

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// A producer to the inbox.
pub struct Inbox<'a> {
    connection: &'a Connection,
    producer: ThreadedProducer<Acknowledgements>,
    answers: Receiver<Answer>,
}

impl<'a> Inbox<'a> {
    /// A producer that writes a record once, and hears of it.
    ///
    /// # Errors
    /// Where there is no inbox, or librdkafka does not take a setting.
    pub fn open(connection: &'a Connection) -> Result<Inbox<'a>, CommandError> {
        connection.partition_count(connection.topics().inbox())?;
        let mut client = connection.config().client();
        client
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("delivery.timeout.ms", TIMEOUT.as_millis().to_string())
            // The router says what is too large, and keeps it among the dead letters.
            .set("message.max.bytes", thalweg_runtime::INBOX_RECORD_MAX_BYTES.to_string());
        if client.get("linger.ms").is_none() {
            client.set("linger.ms", "0");
        }
        let (sender, answers) = mpsc::channel();
        Ok(Inbox { connection, producer: client.create_with_context(Acknowledgements(sender))?, answers })
    }

    /// Writes an event and waits until it is acknowledged.
    ///
    /// # Errors
    /// Where it is not, or not in time.
    pub fn send(&self, key: Option<&str>, event: &Value) -> Result<Position, CommandError> {
        self.begin(key, event)?;
        // librdkafka answers in time; what is added is for its own rounding.
        match self.answers.recv_timeout(TIMEOUT + Duration::from_secs(1)) {
            Ok(answer) => self.judged(answer),
            Err(_) => Err(self.connection.unreachable()),
        }
    }

    /// Begins to write an event.
    ///
    /// # Errors
    /// Where librdkafka does not take it.
    pub fn begin(&self, key: Option<&str>, event: &Value) -> Result<(), CommandError> {
        let text = event.to_string();
        let mut record: BaseRecord<'_, str, str> = BaseRecord::to(self.connection.topics().inbox()).payload(&text);
        record.key = key;
        self.producer.send(record).map_err(|(error, _)| error.into())
    }

    /// The oldest acknowledgement that was not taken yet.
    ///
    /// # Errors
    /// Where that record was not written.
    pub fn acknowledged(&self) -> Result<Option<Position>, CommandError> {
        self.answers.try_recv().ok().map(|answer| self.judged(answer)).transpose()
    }

    /// Who may write to no topic at all gets no producer's id, and what was to be written is purged.
    fn is_denied(&self) -> bool {
        self.producer.client().fatal_error().is_some_and(|(code, _)| is_denied(Some(code)))
    }

    fn judged(&self, answer: Answer) -> Result<Position, CommandError> {
        answer.map_err(|error| match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageTimedOut) => self.connection.unreachable(),
            code if is_denied(code) || self.is_denied() => {
                NotAuthorized::topic("Write", self.connection.topics().inbox()).into()
            }
            _ => error.into(),
        })
    }
}

/// What became of a record.
type Answer = Result<Position, KafkaError>;

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
            Err((error, _)) => Err(error.clone()),
        };
        // It fails where nobody waits any more.
        let _ = self.0.send(answer);
    }
}
