//! Decodes records of the channels and the contexts, whichever version of a router wrote them.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use thalweg_core::codec::{CodecError, Schemas};
use thalweg_core::dialect::{self, Headers};
use thalweg_core::inbound::{self, InboxRecord, Reading, Refusal};
use thalweg_core::{ErrorCode, Event, Limits};
use thalweg_runtime::Registry;
use thalweg_runtime::kafka::KafkaFault;

use crate::connection::Connection;
use crate::error::CommandError;

/// How long the registry may take to be read for the first time.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(10);

/// Decodes records; schemas that are not compiled in are looked up in the registry.
pub struct Decoder<'a> {
    connection: &'a Connection,
    schemas: Arc<Schemas>,
    registry: OnceCell<Registry>,
}

impl<'a> Decoder<'a> {
    /// A decoder that knows the schemas that are compiled in.
    ///
    /// # Errors
    /// Where one of them can't be used, which a test rules out.
    pub fn new(connection: &'a Connection) -> Result<Decoder<'a>, CommandError> {
        Ok(Decoder { connection, schemas: Arc::new(Schemas::new()?), registry: OnceCell::new() })
    }

    /// Decodes an event.
    ///
    /// # Errors
    /// Where the bytes are none.
    pub fn event(&self, value: &[u8]) -> Result<Event, CommandError> {
        self.decode(|schemas| schemas.read_event(value))
    }

    /// Decodes with `read`, and once more after a look into the registry where a schema is unknown.
    ///
    /// # Errors
    /// Where `read` fails, or the registry can't be read.
    pub fn decode<T>(&self, read: impl Fn(&Schemas) -> Result<T, CodecError>) -> Result<T, CommandError> {
        match read(&self.schemas) {
            Err(CodecError::SchemaUnknown(_)) => {
                self.look_up()?;
                Ok(read(&self.schemas)?)
            }
            result => Ok(result?),
        }
    }

    /// Reads the value of an inbox record with these headers as a router does, or says why it is refused.
    ///
    /// # Errors
    /// Where the registry can't be read.
    pub fn inbox_event(&self, value: &[u8], headers: Headers) -> Result<Result<Event, Refusal>, CommandError> {
        self.refusable(|schemas| dialect::read_record(Some(value), headers, schemas))
    }

    /// Reads an inbox record as a router does, or says why it is refused.
    ///
    /// # Errors
    /// Where the registry can't be read.
    pub fn inbound(
        &self,
        record: &InboxRecord,
        partitions: i32,
        limits: &Limits,
    ) -> Result<Result<Reading, Refusal>, CommandError> {
        self.refusable(|schemas| inbound::read(record, partitions, schemas, limits))
    }

    fn refusable<T>(&self, read: impl Fn(&Schemas) -> Result<T, Refusal>) -> Result<Result<T, Refusal>, CommandError> {
        match read(&self.schemas) {
            Err(refusal) if refusal.code == ErrorCode::SchemaUnknown => {
                self.look_up()?;
                Ok(read(&self.schemas))
            }
            result => Ok(result),
        }
    }

    /// The registry, as it was when a schema was last looked up.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn registry(&self) -> Result<&Registry, CommandError> {
        if self.registry.get().is_none() {
            self.look_up()?;
        }
        self.registry.get().ok_or_else(|| CommandError::Failed("the registry is not open".to_owned()))
    }

    fn look_up(&self) -> Result<(), CommandError> {
        if let Some(registry) = self.registry.get() {
            return registry.refresh().map_err(|fault| match fault {
                KafkaFault::NotAuthorized(denied) => denied.into(),
                fault => CommandError::Failed(format!("the registry can't be read: {fault}")),
            });
        }
        let (client, topic) = (self.connection.config().client(), self.connection.topics().registry());
        // It is read to its end as it is opened.
        self.connection.partition_count(topic)?;
        let registry = Registry::open(client, topic, Arc::clone(&self.schemas), REGISTRY_PATIENCE)?;
        let _ = self.registry.set(registry);
        Ok(())
    }
}
