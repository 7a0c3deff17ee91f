//! Records that no inbox should hold.

use serde_json::json;
use thalweg_core::codec::Schemas;
use thalweg_core::{Event, Json};
use thalweg_runtime::INBOX_RECORD_MAX_BYTES;

/// A good event in Avro, with this event id.
pub fn avro(event_id: &str) -> Vec<u8> {
    let mut event = Event::new("workflow.started", 1);
    event.event_id = event_id.to_owned();
    event.workflow_id = Some("linear".to_owned());
    event.payload = Some(Json::parse(r#"{"x":1.50}"#).unwrap());
    Schemas::new().unwrap().write_event(&event).unwrap()
}

/// An event as JSON.
pub fn json_of(event: serde_json::Value) -> Vec<u8> {
    event.to_string().into_bytes()
}

/// What is sent, and the code that it comes to.
pub fn table() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let start = |more: serde_json::Value| {
        let mut event = json!({"event_type": "workflow.started", "workflow_id": "linear"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json_of(event)
    };
    let mut unknown_fingerprint = avro("unknown-fingerprint");
    unknown_fingerprint[2..10].copy_from_slice(&[9; 8]);
    let whole = avro("truncated");
    // A string that claims 2^40 bytes: zigzag varint of 2^40.
    let mut claimed = whole[..10].to_vec();
    claimed.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x40]);
    vec![
        ("an empty value", Vec::new(), "DECODE_FAILED"),
        ("an opening brace", b"{".to_vec(), "DECODE_FAILED"),
        ("no event", b"{\"a\": 1}".to_vec(), "EVENT_INVALID"),
        ("a field of the wrong type", start(json!({"priority": "high"})), "EVENT_INVALID"),
        ("neither Avro nor JSON", b"hello".to_vec(), "DECODE_FAILED"),
        ("Confluent framing", vec![0, 0, 0, 0, 1, 2], "DECODE_FAILED"),
        ("an unknown channel", start(json!({"channel": "gossip"})), "CHANNEL_UNKNOWN"),
        ("an unknown workflow", start(json!({"workflow_id": "nobody's"})), "WORKFLOW_UNKNOWN"),
        ("a start without a workflow", json_of(json!({"event_type": "workflow.started"})), "EVENT_INVALID"),
        ("a reserved type", json_of(json!({"event_type": "workflow.completed"})), "EVENT_RESERVED"),
        ("2 MB of payload", start(json!({"payload": {"x": "y".repeat(2_000_000)}})), "TOO_LARGE"),
        ("garbage just under the topic's limit", vec![0x7e; INBOX_RECORD_MAX_BYTES - 1000], "DECODE_FAILED"),
        ("an unknown fingerprint", unknown_fingerprint, "SCHEMA_UNKNOWN"),
        ("truncated Avro", whole[..whole.len() - 3].to_vec(), "DECODE_FAILED"),
        ("a claimed length of 2^40", claimed, "DECODE_FAILED"),
        ("an execution_id of 10 kB", start(json!({"execution_id": "e".repeat(10_000)})), "EVENT_INVALID"),
        ("an execution_id with newlines", start(json!({"execution_id": "a\nb"})), "EVENT_INVALID"),
        ("data that is a string", start(json!({"payload": "text"})), "PAYLOAD_INVALID"),
        ("an unknown execution", json_of(json!({"event_type": "claim.amended"})), "EXECUTION_UNKNOWN"),
        ("no scope of this name", json_of(json!({"event_type": "x", "scope": "s"})), "EVENT_INVALID"),
    ]
}
