//! The records that the engine wrote for claims, read back from a namespace.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::message::{Headers, Message, OwnedMessage};
use thalweg_core::Channel;
use thalweg_core::codec::Schemas;
use thalweg_core::context::RecordKey;
use thalweg_runtime::kafka::Outgoing;
use thalweg_runtime::{Config, Topics};

use crate::cluster::read_topic;
use crate::load::EVENTS_PER_CLAIM;

/// All records of one claim, in the order in which the engine wrote them.
#[derive(Default)]
pub struct Recorded {
    /// Its events.
    pub events: Vec<Rewritable>,
    /// Its contexts, which the engine writes after the events of the whole batch.
    pub contexts: Vec<Rewritable>,
}

/// A record to be written again for other executions, whose ids have the same length.
pub struct Rewritable {
    outgoing: Outgoing,
    /// Where the execution's id stands in the key.
    id_at: usize,
    id_length: usize,
}

impl Rewritable {
    fn new(record: &OwnedMessage, topic: &str, id: &str) -> Rewritable {
        let key = record.key().unwrap_or_default().to_vec();
        let headers = record.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
        });
        Rewritable {
            id_at: key.windows(id.len()).position(|part| part == id.as_bytes()).expect("the execution's id in the key"),
            id_length: id.len(),
            outgoing: Outgoing {
                topic: Arc::from(topic),
                partition: record.partition(),
                key: Some(key),
                value: record.payload().map(<[u8]>::to_vec),
                headers,
            },
        }
    }

    /// As it is to be written for this execution: the value's bytes stay.
    pub fn of(&mut self, partition: i32, execution_id: &[u8]) -> &Outgoing {
        if let Some(key) = &mut self.outgoing.key {
            key[self.id_at..self.id_at + self.id_length].copy_from_slice(execution_id);
        }
        self.outgoing.partition = partition;
        &self.outgoing
    }
}

/// The claims that were recorded in the namespace of `from`, to be written to the topics of `into`.
pub fn claims(from: &Config, into: &Topics) -> Vec<Recorded> {
    let (schemas, topics) = (Schemas::new().expect("the schemas"), Topics::new(from));
    let mut events = Vec::new();
    for channel in Channel::ALL {
        for record in read_topic(from, topics.channel(*channel)) {
            let event = schemas.read_event(record.payload().unwrap_or_default()).expect("an event of the engine");
            events.push((event.execution_id, event.sequence, *channel, record));
        }
    }
    events.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
    let mut claims: BTreeMap<String, Recorded> = BTreeMap::new();
    for (id, _, channel, record) in events {
        let event = Rewritable::new(&record, into.channel(channel), &id);
        claims.entry(id).or_default().events.push(event);
    }
    for (id, records) in contexts(from) {
        let of_claim = records.iter().map(|record| Rewritable::new(record, into.contexts(), &id)).collect();
        claims.entry(id).or_default().contexts = of_claim;
    }
    for (id, claim) in &claims {
        assert_eq!(claim.events.len(), EVENTS_PER_CLAIM, "events of {id}");
    }
    claims.into_values().collect()
}

/// The context records of each execution of a namespace, in the order in which they were written.
pub fn contexts(of: &Config) -> BTreeMap<String, Vec<OwnedMessage>> {
    let schemas = Schemas::new().expect("the schemas");
    let mut contexts: BTreeMap<String, Vec<OwnedMessage>> = BTreeMap::new();
    for record in read_topic(of, Topics::new(of).contexts()) {
        let id = match schemas.read_key(record.key().unwrap_or_default()).expect("a key of the engine") {
            RecordKey::Root(id) => id,
            RecordKey::Inner(key) => key.execution_id,
        };
        contexts.entry(id).or_default().push(record);
    }
    contexts
}
