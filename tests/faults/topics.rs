//! Topics are changed and deleted while they are in use.

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use crate::namespace::Namespace;

/// Gives a topic these settings, and the broker's defaults for all others.
pub fn set(namespace: &Namespace, topic: &str, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> = namespace.client().create().unwrap();
    let mut change = AlterConfig::new(ResourceSpecifier::Topic(topic));
    for (name, value) in settings {
        change = change.set(name, value);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answers = runtime.block_on(admin.alter_configs(&[change], &AdminOptions::new())).unwrap();
    for answer in answers {
        answer.unwrap();
    }
}

/// Deletes topics.
pub fn delete(namespace: &Namespace, topics: &[&str]) {
    let admin: AdminClient<DefaultClientContext> = namespace.client().create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for answer in runtime.block_on(admin.delete_topics(topics, &AdminOptions::new())).unwrap() {
        answer.unwrap();
    }
}
