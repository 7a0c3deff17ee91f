//! Transactions on librdkafka: two producers in turn, and what each error means.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::util::Timeout;

use super::listener::Generation;
use super::rdkafka_client::{KafkaSettings, retriable};
use super::{Ended, KafkaFault, NotAuthorized, OutgoingRef, is_denied};
use crate::clock::BootClock;
use crate::telemetry::ClientErrors;

/// How long a new producer may take to be initialised, the end of an earlier transaction of its id included.
const INIT_TIMEOUT: Duration = Duration::from_secs(60);
/// The same for one that replaces another: the lane tries again, and looks between whether it is to stop.
const REINIT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an abort may take before its outcome counts as unknown.
const ABORT_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause of a wait for the producer, which its own thread serves meanwhile. Not by `poll` with a time-out: rdkafka
/// 0.39 cuts what is left of it to whole milliseconds and spins through the last one (tried: half of the lane's CPU).
const WAIT_PAUSE: Duration = Duration::from_micros(100);
/// The longest such pause, after a long wait: a transaction under load takes a tenth of a second, and a look at it each
/// [`WAIT_PAUSE`] was a twentieth of the lane's CPU.
const WAIT_PAUSE_MAX: Duration = Duration::from_millis(1);
/// What a wait may last longer for its pauses, as a part of it.
const WAIT_PART: u32 = 8;
/// Records that a producer holds at most; a batch's outputs stay below.
const QUEUE_MAX_RECORDS: &str = "1000000";
/// Bytes of a batch of records, below the channels' record limit.
const BATCH_BYTES: &str = "900000";

/// Counts the records that were not delivered, and tells of the first, and of what the client reports besides.
#[derive(Clone)]
struct Undelivered {
    records: Arc<AtomicU32>,
    errors: Arc<ClientErrors>,
}

impl Undelivered {
    /// None yet. A producer's successor goes on with its errors, so that they are not told anew.
    fn none(errors: &Arc<ClientErrors>) -> Undelivered {
        Undelivered { records: Arc::default(), errors: Arc::clone(errors) }
    }
}

impl ClientContext for Undelivered {
    fn error(&self, error: KafkaError, reason: &str) {
        self.errors.emit(&error.to_string(), reason);
    }
}

impl ProducerContext for Undelivered {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result
            && self.records.fetch_add(1, Ordering::Relaxed) == 0
        {
            if is_denied(error.rdkafka_error_code()) {
                tracing::error!(error = %NotAuthorized::topic("Write", message.topic()), "a record is refused");
            } else {
                tracing::debug!(%error, topic = message.topic(), "a record is not delivered");
            }
        }
    }
}

type LaneProducer = ThreadedProducer<Undelivered>;

/// The lane's transactional producers, used in turn: while the broker still writes the markers of one transaction,
/// the next one of the same producer would meet CONCURRENT_TRANSACTIONS.
pub(super) struct Transactions {
    producers: [LaneProducer; 2],
    turn: usize,
    open: Option<Open>,
    timeout: Duration,
    /// The producer whose transaction ended in an unknown way.
    unknown: Option<usize>,
    errors: Arc<ClientErrors>,
}

struct Open {
    began: BootClock,
}

impl Transactions {
    pub fn new(settings: &KafkaSettings) -> Result<Transactions, KafkaFault> {
        let timeout = Duration::from_millis(settings.transaction_timeout_ms);
        let errors = Arc::new(ClientErrors::of("producer of transactions"));
        let new = |number| producer(settings, number, INIT_TIMEOUT, &errors);
        Ok(Transactions { producers: [new(0)?, new(1)?], turn: 0, open: None, timeout, unknown: None, errors })
    }

    fn current(&self) -> &LaneProducer {
        &self.producers[self.turn]
    }

    pub fn begin(&mut self) -> Result<(), KafkaFault> {
        self.turn = 1 - self.turn;
        self.current().client().context().records.store(0, Ordering::Relaxed);
        let began = BootClock::now();
        if let Err(error) = self.current().begin_transaction() {
            // Nothing was begun, but a producer that can't begin is of no use any more.
            self.unknown = Some(self.turn);
            return Err(self.fault(error, began));
        }
        self.open = Some(Open { began });
        Ok(())
    }

    pub fn write(&mut self, record: &OutgoingRef) -> Result<(), KafkaFault> {
        send(self.current(), record)
    }

    pub fn send_offsets(&mut self, offsets: &TopicPartitionList, generation: &Generation) -> Result<(), KafkaFault> {
        let began = self.began();
        self.current().send_offsets_to_transaction(offsets, generation, self.timeout).map_err(|e| self.fault(e, began))
    }

    /// The library's own flush inside commit_transaction sleeps 100 ms at a time.
    pub fn drain(&mut self) {
        let began = Instant::now();
        while self.current().in_flight_count() > 0 {
            std::thread::sleep((began.elapsed() / WAIT_PART).clamp(WAIT_PAUSE, WAIT_PAUSE_MAX));
        }
    }

    pub fn commit(&mut self) -> Ended {
        let began = self.began();
        self.drain();
        match self.current().commit_transaction(Timeout::Never) {
            Ok(()) => {
                self.open = None;
                Ended::Committed
            }
            Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                let why = self.fault(KafkaError::Transaction(error), began);
                match self.abort() {
                    Ended::Aborted(_) => Ended::Aborted(why),
                    other => other,
                }
            }
            Err(error) => self.unknown_or_fenced(error, began),
        }
    }

    pub fn abort(&mut self) -> Ended {
        let began = self.began();
        let why = KafkaFault::Retriable("aborted by the lane".to_owned());
        if self.open.is_none() {
            return Ended::Aborted(why);
        }
        match self.current().abort_transaction(ABORT_TIMEOUT) {
            Ok(()) => {
                self.open = None;
                Ended::Aborted(why)
            }
            Err(error) => self.unknown_or_fenced(error, began),
        }
    }

    /// The one place that tells a rival from a transaction that outlived its time: librdkafka reports both as fenced.
    fn unknown_or_fenced(&mut self, error: KafkaError, began: BootClock) -> Ended {
        self.unknown = Some(self.turn);
        self.open = None;
        match self.fault(error, began) {
            fault @ KafkaFault::InstanceInUse(_) => Ended::Fatal(fault),
            fault => Ended::Unknown(fault),
        }
    }

    fn began(&self) -> BootClock {
        self.open.as_ref().map_or_else(BootClock::now, |open| open.began)
    }

    fn fault(&self, error: KafkaError, began: BootClock) -> KafkaFault {
        let KafkaError::Transaction(error) = error else { return retriable(error) };
        let text = describe(&error);
        match error.code() {
            RDKafkaErrorCode::IllegalGeneration
            | RDKafkaErrorCode::UnknownMemberId
            | RDKafkaErrorCode::RebalanceInProgress => KafkaFault::Rebalance(text),
            RDKafkaErrorCode::TopicAuthorizationFailed => {
                // It does not say which topic; the log line ADDPARTS of librdkafka, just before, does.
                KafkaFault::Retriable(format!("{}: {text}", NotAuthorized::topic("Write", "of the transaction")))
            }
            code if is_fenced(code) && began.elapsed() < self.timeout => KafkaFault::InstanceInUse(text),
            _ => KafkaFault::Retriable(text),
        }
    }

    /// Replaces the producer whose transaction ended in an unknown way: the initialisation of its successor makes the
    /// coordinator finish that transaction, one way or the other.
    pub fn rebuild(&mut self, settings: &KafkaSettings) -> Result<(), KafkaFault> {
        if let Some(number) = self.unknown {
            self.producers[number] = producer(settings, number, REINIT_TIMEOUT, &self.errors)?;
            self.unknown = None;
        }
        Ok(())
    }
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch)
}

fn describe(error: &RDKafkaError) -> String {
    format!("{}: {}", error.name(), error.string())
}

fn producer(
    settings: &KafkaSettings,
    number: usize,
    timeout: Duration,
    errors: &Arc<ClientErrors>,
) -> Result<LaneProducer, KafkaFault> {
    let id = format!("{}.{number}", settings.transactional_id);
    let mut config = base(settings);
    config.set("transactional.id", &id).set("transaction.timeout.ms", settings.transaction_timeout_ms.to_string());
    let producer: LaneProducer =
        config.create_with_context(Undelivered::none(errors)).map_err(|e| KafkaFault::Fatal(e.to_string()))?;
    let deadline = Instant::now() + timeout;
    loop {
        match producer.init_transactions(deadline.saturating_duration_since(Instant::now())) {
            Ok(()) => return Ok(producer),
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => {
                return Err(NotAuthorized::transactional_id(&id).into());
            }
            Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {}
            Err(KafkaError::Transaction(error)) => return Err(KafkaFault::Retriable(describe(&error))),
            Err(error) => return Err(retriable(error)),
        }
    }
}

/// How long a record may take to be acknowledged: shorter than its transaction may last, so that there is time left to
/// abort it. Otherwise the broker does, and every try to write what can't be written ends in a restore.
fn delivery_timeout_ms(settings: &KafkaSettings) -> u64 {
    settings.transaction_timeout_ms / 4 * 3
}

fn base(settings: &KafkaSettings) -> ClientConfig {
    let mut config = settings.client.clone();
    config
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("message.max.bytes", settings.message_max_bytes.to_string())
        .set("delivery.timeout.ms", delivery_timeout_ms(settings).to_string())
        .set("queue.buffering.max.messages", QUEUE_MAX_RECORDS)
        // What is delivered is counted by the queue that runs empty: nobody waits for a report of each record.
        .set("delivery.report.only.error", "true")
        .set("retry.backoff.ms", "5");
    for (name, value) in [("compression.type", "lz4"), ("batch.size", BATCH_BYTES), ("linger.ms", "0")] {
        if config.get(name).is_none() {
            config.set(name, value);
        }
    }
    config
}

fn send(producer: &LaneProducer, record: &OutgoingRef) -> Result<(), KafkaFault> {
    let mut headers = (!record.headers.is_empty()).then(|| OwnedHeaders::new_with_capacity(record.headers.len()));
    for (key, value) in &record.headers {
        headers = headers.map(|list| list.insert(Header { key, value: *value }));
    }
    let mut outgoing: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(record.topic).partition(record.partition);
    outgoing.key = record.key;
    outgoing.payload = record.value;
    outgoing.headers = headers;
    loop {
        match producer.send(outgoing) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                outgoing = refused;
                std::thread::sleep(WAIT_PAUSE);
            }
            Err((error, _)) => return Err(KafkaFault::Retriable(format!("{}: {error}", record.topic))),
        }
    }
}

/// Sends records outside of any transaction, idempotently: a transactional re-send would hold back the readers of
/// every partition that it touches.
pub(super) struct Forwarder {
    producer: LaneProducer,
    undelivered: Undelivered,
    timeout: Duration,
}

impl Forwarder {
    pub fn new(settings: &KafkaSettings) -> Result<Forwarder, KafkaFault> {
        let undelivered = Undelivered::none(&Arc::new(ClientErrors::of("producer of forwarded records")));
        let producer = base(settings)
            .create_with_context(undelivered.clone())
            .map_err(|error: KafkaError| KafkaFault::Fatal(error.to_string()))?;
        Ok(Forwarder { producer, undelivered, timeout: Duration::from_millis(settings.transaction_timeout_ms) })
    }

    pub fn send(&mut self, record: &OutgoingRef) -> Result<(), KafkaFault> {
        send(&self.producer, record)
    }

    pub fn wait(&mut self) -> Result<(), KafkaFault> {
        let deadline = Instant::now() + self.timeout;
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            std::thread::sleep(WAIT_PAUSE);
        }
        let undelivered = self.undelivered.records.swap(0, Ordering::Relaxed);
        if undelivered > 0 || self.producer.in_flight_count() > 0 {
            return Err(KafkaFault::Retriable("a forwarded record was not acknowledged".to_owned()));
        }
        Ok(())
    }
}
