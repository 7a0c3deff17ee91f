//! The settings of brokers and topics.

use std::collections::BTreeMap;

use rdkafka::admin::{AdminOptions, ConfigEntry, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{InspectionError, Inspector, TIMEOUT};

/// Values by Kafka's names.
pub type Settings = BTreeMap<String, String>;

impl Inspector {
    /// The settings of a broker; `None` if they may not be read.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn broker_settings(&self, broker: i32) -> Result<Option<Settings>, InspectionError> {
        Ok(self.describe(&[ResourceSpecifier::Broker(broker)])?.pop().map(|(_, settings)| settings))
    }

    /// The settings of topics that exist; `None` if they may not be read.
    ///
    /// # Errors
    /// Where the brokers don't answer.
    pub fn topic_settings<'a>(
        &self,
        topics: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, Option<Settings>>, InspectionError> {
        let names: Vec<&str> = topics.into_iter().collect();
        let resources: Vec<ResourceSpecifier<'_>> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let mut readable: BTreeMap<String, Settings> = BTreeMap::new();
        for (resource, settings) in self.describe(&resources)? {
            if let OwnedResourceSpecifier::Topic(name) = resource {
                readable.insert(name, settings);
            }
        }
        Ok(names.into_iter().map(|name| (name.to_owned(), readable.remove(name))).collect())
    }

    /// The settings that may be read. Of a refused resource rdkafka gives no error, but no entries either.
    fn describe(
        &self,
        resources: &[ResourceSpecifier<'_>],
    ) -> Result<Vec<(OwnedResourceSpecifier, Settings)>, InspectionError> {
        if resources.is_empty() {
            return Ok(Vec::new());
        }
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let described = match self.runtime.block_on(self.admin.describe_configs(resources, &options)) {
            // The in-process broker does not know what settings are, and says so at once or not at all.
            Err(KafkaError::AdminOp(RDKafkaErrorCode::UnsupportedFeature | RDKafkaErrorCode::OperationTimedOut)) => {
                return Ok(Vec::new());
            }
            other => other?,
        };
        let readable = described.into_iter().flatten().filter(|resource| !resource.entries.is_empty());
        Ok(readable.map(|resource| (resource.specifier, values(resource.entries))).collect())
    }
}

fn values(entries: Vec<ConfigEntry>) -> Settings {
    entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
}
