//! Adopts a partition: in one transaction its contexts forget their offsets, and the group's offset is set.

use std::thread;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use thalweg_runtime::kafka::{NotAuthorized, is_denied};
use thalweg_runtime::{Replaced, replaced_key};

use super::plan::{Decision, Plan};
use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::producer::{Outgoing, Producer};

/// How long the brokers may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long the transaction of one partition may take, in milliseconds: it writes each of its contexts.
const TRANSACTION_TIMEOUT_MS: &str = "300000";
/// Bytes of a record; a context is smaller.
const RECORD_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Before a full queue is tried again.
const QUEUE_PAUSE: Duration = Duration::from_millis(10);

/// Does what the plan says.
///
/// The registry comes first: whoever sees the new offset sees that the inbox was replaced, so that no id of the old one
/// is made again. Should the rest fail it was replaced once more often than it was, which changes nothing.
///
/// # Errors
/// Where a record is not written; the partition is then as it was.
pub fn carry_out(connection: &Connection, decoder: &Decoder, plan: &Plan) -> Result<(), CommandError> {
    let offset = match plan.decision {
        Decision::Fits | Decision::Unclear => return Ok(()),
        Decision::GoOn(offset) => offset,
        Decision::Another(offset) => {
            tell_replaced(connection, decoder, plan.partition)?;
            offset
        }
    };
    let topics = connection.topics();
    let id = format!("{}.adopt", connection.config().namespace);
    let mut client = connection.config().client();
    client
        .set("transactional.id", &id)
        .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
        .set("message.max.bytes", RECORD_MAX_BYTES.to_string());
    let producer: ThreadedProducer<Quiet> = client.create_with_context(Quiet)?;
    let judged = |error: KafkaError| match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => NotAuthorized::transactional_id(&id).into(),
        Some(RDKafkaErrorCode::GroupAuthorizationFailed) => NotAuthorized::group(topics.group()).into(),
        code if is_denied(code) => NotAuthorized::topic("Write", topics.contexts()).into(),
        _ => CommandError::from(error),
    };
    producer.init_transactions(TIMEOUT).map_err(judged)?;
    producer.begin_transaction().map_err(judged)?;
    let committed = write(connection, decoder, plan, offset, &producer).map_err(|failure| match failure {
        Failure::Kafka(error) => judged(error),
        Failure::Command(error) => error,
    });
    if committed.is_err() {
        // The broker aborts it in any case, when its time is over.
        let _ = producer.abort_transaction(TIMEOUT);
    }
    committed
}

enum Failure {
    Kafka(KafkaError),
    Command(CommandError),
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Failure {
        Failure::Kafka(error)
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Failure {
        Failure::Command(error)
    }
}

fn write(
    connection: &Connection,
    decoder: &Decoder,
    plan: &Plan,
    offset: i64,
    producer: &ThreadedProducer<Quiet>,
) -> Result<(), Failure> {
    let topics = connection.topics();
    for (execution_id, value) in &plan.contexts {
        let value = decoder.decode(|schemas| {
            let mut context = schemas.read_context(value)?;
            context.applied_offset = -1;
            schemas.write_context(&context)
        })?;
        let record = BaseRecord::to(topics.contexts()).partition(plan.partition).key(execution_id).payload(&value);
        send(producer, record)?;
    }
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(topics.inbox(), plan.partition, Offset::Offset(offset))?;
    // It never joins: the group has no members, which is what makes this safe.
    let group: BaseConsumer = connection.config().client().set("group.id", topics.group()).create()?;
    let group = group.group_metadata().ok_or_else(|| CommandError::Failed("the group can't be named".to_owned()))?;
    match producer.send_offsets_to_transaction(&offsets, &group, TIMEOUT) {
        // Of a transaction that can only be aborted, the commit tells why.
        Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
            Ok(producer.commit_transaction(TIMEOUT).and(Err(KafkaError::Transaction(error)))?)
        }
        sent => Ok(sent.and_then(|()| producer.commit_transaction(TIMEOUT))?),
    }
}

fn send(producer: &ThreadedProducer<Quiet>, mut record: BaseRecord<'_, String, Vec<u8>>) -> Result<(), KafkaError> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                record = refused;
                thread::sleep(QUEUE_PAUSE);
            }
            Err((error, _)) => return Err(error),
        }
    }
}

fn tell_replaced(connection: &Connection, decoder: &Decoder, partition: i32) -> Result<(), CommandError> {
    let registry = decoder.registry()?;
    // What the contexts are written with.
    registry.register_schemas()?;
    let record = Replaced { replaced: registry.replaced(partition).saturating_add(1) };
    let value = serde_json::to_vec(&record)
        .map_err(|error| CommandError::Failed(format!("that the inbox was replaced can't be written: {error}")))?;
    let outgoing = Outgoing {
        topic: connection.topics().registry().to_owned(),
        partition: Some(0),
        key: Some(replaced_key(partition).into_bytes()),
        value: Some(value),
        ..Outgoing::default()
    };
    Producer::open(connection, RECORD_MAX_BYTES)?.send(&outgoing)?;
    Ok(())
}

/// A command speaks for itself.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the producer reports an error and goes on");
    }
}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    /// What was not delivered fails the commit.
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}
