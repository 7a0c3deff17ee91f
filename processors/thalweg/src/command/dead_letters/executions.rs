//! What the contexts topic keeps of the executions that letters are about.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::message::Message;
use thalweg_core::context::{Context, ContextKey, RecordKey};

use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;

/// The newest root records of some executions, and which scopes and branches they have.
#[derive(Default)]
pub struct Executions {
    roots: BTreeMap<String, Context>,
    inner: BTreeSet<ContextKey>,
}

impl Executions {
    /// Reads the partitions that have them.
    ///
    /// # Errors
    /// Where the contexts can't be read.
    pub fn read(
        connection: &Connection,
        decoder: &Decoder,
        ids: &BTreeSet<String>,
    ) -> Result<Executions, CommandError> {
        let topic = connection.topics().contexts();
        connection.partition_count(topic)?;
        let mut partitions = BTreeSet::new();
        for id in ids {
            partitions.insert((topic, connection.partition_of(id)?));
        }
        let partitions: Vec<(&str, i32)> = partitions.into_iter().collect();
        let mut executions = Executions::default();
        if partitions.is_empty() {
            return Ok(executions);
        }
        let mut roots: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::new();
        connection.read_to_end(&connection.spans(&partitions)?, |message| {
            let key = message.key().unwrap_or_default();
            match decoder.decode(|schemas| schemas.read_key(key))? {
                RecordKey::Root(id) if ids.contains(&id) => {
                    roots.insert(id, message.payload().map(<[u8]>::to_vec));
                }
                RecordKey::Inner(key) if ids.contains(&key.execution_id) => {
                    if message.payload().is_some() {
                        executions.inner.insert(key);
                    } else {
                        executions.inner.remove(&key);
                    }
                }
                RecordKey::Root(_) | RecordKey::Inner(_) => {}
            }
            Ok(())
        })?;
        for (id, value) in roots {
            if let Some(value) = value {
                executions.roots.insert(id, decoder.decode(|schemas| schemas.read_context(&value))?);
            }
        }
        Ok(executions)
    }

    /// The root record of an execution, where there is one.
    pub fn root(&self, execution_id: &str) -> Option<&Context> {
        self.roots.get(execution_id)
    }

    /// Has the execution this scope, or this branch of it?
    pub fn has(&self, execution_id: &str, scope: &str, branch: Option<&str>) -> bool {
        let key = ContextKey {
            execution_id: execution_id.to_owned(),
            scope: scope.to_owned(),
            branch: branch.map(str::to_owned),
        };
        self.inner.contains(&key)
    }
}
