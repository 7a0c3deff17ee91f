//! The oracle: reads the topics of a namespace, and nothing else, and says whether every promise was kept.
//!
//! [`Oracle::read`] gives what the topics hold; [`Observed::check`] judges it, and [`Observed::outputs`] makes of it
//! what two runs can be compared by. Only the reading knows Kafka: each promise is a function over [`Observed`], and is
//! tested beside its code with records that break it.

mod anomaly;
mod checks;
mod history;
mod input;
#[cfg(test)]
mod made;
mod observed;
mod outputs;
mod reading;
mod record;
mod summary;
mod topic_names;

use std::collections::BTreeMap;
use std::sync::Arc;

use rdkafka::ClientConfig;
use thalweg_core::codec::Schemas;

pub use anomaly::{Anomaly, Kind};
pub use checks::StillOpen;
pub use observed::{ContextRecord, EventRecord, Observed, Stored};
pub use outputs::{Outputs, Positions};
pub use reading::ReadError;
pub use record::{Position, Record};
pub use summary::Summary;
pub use topic_names::TopicNames;

use reading::{Offsets, Reading};

/// Reads the topics of one namespace.
pub struct Oracle {
    settings: ClientConfig,
    names: TopicNames,
    schemas: Option<Arc<Schemas>>,
}

impl Oracle {
    /// For the namespace with these names, on the Kafka at `bootstrap`.
    pub fn new(bootstrap: &str, names: TopicNames) -> Oracle {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", bootstrap);
        Oracle { settings, names, schemas: None }
    }

    /// Reads with these schemas, which may have learned those of other builds; otherwise with those compiled in alone.
    pub fn with_schemas(self, schemas: Arc<Schemas>) -> Oracle {
        Oracle { schemas: Some(schemas), ..self }
    }

    /// Reads every topic from its beginning to where it ended when the reading began, and again where routers have
    /// written meanwhile: what it returns is one moment.
    ///
    /// # Errors
    /// Where the topics can't be read, or routers do not come to rest.
    pub fn read(&self) -> Result<Observed, ReadError> {
        let reading = Reading::new(&self.settings, &self.names)?;
        loop {
            let ends = self.ends(&reading)?;
            let mut observed = Observed::new(&self.names)?;
            if let Some(schemas) = &self.schemas {
                observed.schemas = Arc::clone(schemas);
            }
            observed.committed = reading.committed()?;
            for (topic, ends) in &ends {
                reading.read(topic, &Offsets::new(), ends, &mut |record| observed.take(record))?;
            }
            observed.inbox_ends = ends.get(self.names.inbox.as_str()).cloned().unwrap_or_default();
            observed.events.sort_by(|a, b| a.position.cmp(&b.position));
            if self.ends(&reading)? == ends {
                return Ok(observed);
            }
            reading.check_deadline(|| format!("a moment at which nobody writes to {:?}", ends.keys()))?;
        }
    }

    /// Where each topic ends.
    fn ends(&self, reading: &Reading) -> Result<BTreeMap<&str, Offsets>, ReadError> {
        let mut topics = self.names.channel_topics();
        topics.extend([self.names.inbox.as_str(), &self.names.contexts, &self.names.dead_letters]);
        topics.into_iter().map(|topic| Ok((topic, reading.ends(topic)?))).collect()
    }

    /// How many records of the inbox the routers have not consumed.
    ///
    /// # Errors
    /// Where the inbox can't be read.
    pub fn backlog(&self) -> Result<usize, ReadError> {
        let reading = Reading::new(&self.settings, &self.names)?;
        let ends = reading.ends(&self.names.inbox)?;
        let mut backlog = 0;
        reading.read(&self.names.inbox, &reading.committed()?, &ends, &mut |_| backlog += 1)?;
        Ok(backlog)
    }
}
