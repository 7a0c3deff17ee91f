//! All records of a namespace, decoded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use thalweg_core::Event;
use thalweg_core::codec::{CodecError, Schemas};
use thalweg_core::context::{Branch, Context, RecordKey, Scope};
use thalweg_core::inbound::HEADER_INPUT;

use super::record::{Position, Record};
use super::topic_names::TopicNames;

/// An event as it lies in a channel topic.
#[derive(Clone, Debug)]
pub struct EventRecord {
    pub position: Position,
    pub key: Option<Vec<u8>>,
    /// The inbox record that it was written for.
    pub input: Option<Position>,
    pub event: Event,
}

/// A record of the contexts topic.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    Root(Box<Context>),
    Scope(Box<Scope>),
    Branch(Box<Branch>),
}

/// The newest record of a key in the contexts topic.
#[derive(Clone, Debug)]
pub struct ContextRecord {
    pub position: Position,
    pub stored: Stored,
}

/// What the topics of a namespace hold at one moment.
#[derive(Clone)]
pub struct Observed {
    pub names: TopicNames,
    /// The delivered records of the inbox.
    pub inbox: BTreeMap<Position, Record>,
    /// The records of all channel topics, in the order of topic, partition and offset.
    pub events: Vec<EventRecord>,
    /// The newest context record of each key.
    pub contexts: BTreeMap<RecordKey, ContextRecord>,
    /// Keys whose newest context record is a tombstone.
    pub forgotten: BTreeSet<RecordKey>,
    /// The dead letters, undecoded.
    pub dead_letters: Vec<Record>,
    /// The routers' next inbox offset of each partition, where they have committed one.
    pub committed: BTreeMap<i32, i64>,
    /// The end of each inbox partition, markers of transactions included.
    pub inbox_ends: BTreeMap<i32, i64>,
    /// Records that could not be decoded, and why.
    pub unreadable: Vec<(Position, String)>,
    pub(super) schemas: Arc<Schemas>,
}

impl Observed {
    /// Nothing yet.
    ///
    /// # Errors
    /// Where the schemas can't be used.
    pub fn new(names: &TopicNames) -> Result<Observed, CodecError> {
        Ok(Observed {
            names: names.clone(),
            inbox: BTreeMap::new(),
            events: Vec::new(),
            contexts: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            dead_letters: Vec::new(),
            committed: BTreeMap::new(),
            inbox_ends: BTreeMap::new(),
            unreadable: Vec::new(),
            schemas: Arc::new(Schemas::new()?),
        })
    }

    /// Takes in a record by its topic. Records of one partition come in the order of their offsets.
    pub fn take(&mut self, record: Record) {
        let topic = &record.position.topic;
        if *topic == self.names.inbox {
            self.inbox.insert(record.position.clone(), record);
        } else if *topic == self.names.dead_letters {
            self.dead_letters.push(record);
        } else if *topic == self.names.contexts {
            self.take_context(record);
        } else {
            self.take_event(record);
        }
    }

    fn take_event(&mut self, record: Record) {
        let value = record.value.as_deref().unwrap_or_default();
        let input = record.header(HEADER_INPUT).map(str::parse).transpose();
        match (self.schemas.read_event(value), input) {
            (Ok(event), Ok(input)) => {
                self.events.push(EventRecord { position: record.position, key: record.key, input, event });
            }
            (Err(error), _) => self.unreadable.push((record.position, error.to_string())),
            (_, Err(error)) => self.unreadable.push((record.position, format!("header {HEADER_INPUT}: {error}"))),
        }
    }

    fn take_context(&mut self, record: Record) {
        let key = match self.schemas.read_key(record.key.as_deref().unwrap_or_default()) {
            Ok(key) => key,
            Err(error) => return self.unreadable.push((record.position, format!("key: {error}"))),
        };
        let Some(value) = record.value else {
            self.contexts.remove(&key);
            self.forgotten.insert(key);
            return;
        };
        let stored = match &key {
            RecordKey::Root(_) => self.schemas.read_context(&value).map(|root| Stored::Root(Box::new(root))),
            RecordKey::Inner(inner) if inner.branch.is_none() => {
                self.schemas.read_scope(&value).map(|scope| Stored::Scope(Box::new(scope)))
            }
            RecordKey::Inner(_) => self.schemas.read_branch(&value).map(|branch| Stored::Branch(Box::new(branch))),
        };
        match stored {
            Ok(stored) => {
                self.forgotten.remove(&key);
                self.contexts.insert(key, ContextRecord { position: record.position, stored });
            }
            Err(error) => self.unreadable.push((record.position, error.to_string())),
        }
    }

    /// The root record of an execution.
    pub fn root(&self, execution_id: &str) -> Option<&Context> {
        match &self.contexts.get(&RecordKey::Root(execution_id.to_owned()))?.stored {
            Stored::Root(root) => Some(root),
            Stored::Scope(_) | Stored::Branch(_) => None,
        }
    }
}
