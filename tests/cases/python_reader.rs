//! What the router writes is read by a client that is not ours, with the schemas that the registry holds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::python::{SchemasFrom, reader};
use crate::router_process::RouterProcess;

#[test]
fn python_reads_the_channels_and_the_contexts() {
    let namespace = Namespace::new("python");
    let _router = RouterProcess::start(&namespace, "a");
    let spelled = br#"{"event_type":"workflow.started","workflow_id":"linear","payload":{"x":1.50}}"#;
    namespace.send_raw(&[(Some("ended"), spelled.to_vec())], &[]);
    namespace
        .send(&[("open", json!({"event_type": "workflow.started", "workflow_id": "checks", "tenant_id": "acme"}))]);
    namespace.await_ended(1);
    namespace.await_events(&["checks.joined"], 1);
    namespace.await_drained();
    let mut events = namespace.events();
    events.sort_by_key(|event| (event.execution_id.clone(), event.sequence));

    let events_topic = namespace.topics.channel(thalweg_core::Channel::SystemEvents);
    let topics = [events_topic, namespace.topics.contexts()];
    let read = reader(&namespace.config.brokers, &namespace.config.namespace, &topics, SchemasFrom::Registry);

    let mut channel: Vec<&Value> = read.iter().filter(|line| line["topic"] == json!(events_topic)).collect();
    channel.sort_by_key(|line| (line["record"]["execution_id"].to_string(), line["record"]["sequence"].as_i64()));
    assert_eq!(channel.len(), events.len());
    for (line, event) in channel.iter().zip(&events) {
        let record = &line["record"];
        assert_eq!(record["event_id"], json!(event.event_id));
        assert_eq!(record["event_type"], json!(event.event_type));
        assert_eq!(record["sequence"], json!(event.sequence));
        assert_eq!(record["payload"], json!(event.payload.as_ref().map(|payload| payload.as_str())));
        assert_eq!(record["tenant_id"], json!(event.tenant_id));
        assert_eq!(record["effects"].as_array().unwrap().len(), event.effects.len());
    }
    let start = channel.iter().find(|line| line["record"]["execution_id"] == json!("ended")).unwrap();
    assert_eq!(start["record"]["payload"], json!(r#"{"x":1.50}"#), "numbers keep their spelling");

    let contexts: BTreeMap<String, &Value> = read
        .iter()
        .filter(|line| line["topic"] == json!(namespace.topics.contexts()))
        .map(|line| (line["key"].to_string(), &line["record"]))
        .collect();
    let root = |id: &str| contexts[&json!(id).to_string()];
    assert_eq!(root("ended")["status"], json!("SUCCESS"));
    assert_eq!(root("open")["status"], json!("WAITING"));
    assert_eq!(root("open")["waits"][0]["event_type"], json!("approved"));
    let branches = contexts.values().filter(|record| record["branch"].is_string()).count();
    assert_eq!(branches, 2, "{:?}", contexts.keys());
}
