//! A producer whose events a thread of its own serves.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

use super::KafkaFault;

/// How long an event may wait to be served: one that could not be delivered, in a transaction that ends in an abort.
const PAUSE: Duration = Duration::from_millis(20);

/// What the context of a producer tells of the events that it was given.
pub(super) trait Served {
    /// Records that could not be delivered, of some time: more of them when an event told of more.
    fn records(&self) -> u32;
}

/// As rdkafka's `ThreadedProducer`, without what that costs: rdkafka 0.39 cuts what is left of a wait to whole
/// milliseconds and spins through the last one, so that a thread which waits a tenth of a second for events takes a
/// hundredth of a core for as long as it lives (tried: 2% of a busy router's CPU, and most of an idle one's).
pub(super) struct PolledProducer<C: ProducerContext + 'static> {
    producer: Arc<BaseProducer<C>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<C: ProducerContext + Served + 'static> PolledProducer<C> {
    /// A producer, and its thread.
    ///
    /// # Errors
    /// Where the settings are refused, or no thread can be started.
    pub fn new(config: &ClientConfig, context: C) -> Result<PolledProducer<C>, KafkaFault> {
        let fatal = |what: String| KafkaFault::Fatal(what);
        let producer = BaseProducer::from_config_and_context(config, context).map_err(|e| fatal(e.to_string()))?;
        let producer = Arc::new(producer);
        let stopped = Arc::new(AtomicBool::new(false));
        let serve = {
            let (producer, stopped) = (Arc::clone(&producer), Arc::clone(&stopped));
            move || serve(&producer, &stopped)
        };
        let thread = thread::Builder::new().name("producer".to_owned()).spawn(serve);
        let thread = thread.map_err(|error| fatal(format!("no thread can be started for a producer: {error}")))?;
        Ok(PolledProducer { producer, stopped, thread: Some(thread) })
    }
}

fn serve<C: ProducerContext + Served>(producer: &BaseProducer<C>, stopped: &AtomicBool) {
    while !stopped.load(Ordering::Acquire) {
        let before = producer.client().context().records();
        // One event, which may be of many records.
        producer.poll(Duration::ZERO);
        if producer.client().context().records() == before {
            thread::park_timeout(PAUSE);
        }
    }
}

impl<C: ProducerContext + 'static> Deref for PolledProducer<C> {
    type Target = BaseProducer<C>;

    fn deref(&self) -> &BaseProducer<C> {
        &self.producer
    }
}

impl<C: ProducerContext + 'static> Drop for PolledProducer<C> {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to tell, and the producer is closed either way.
            let _ = thread.join();
        }
    }
}
