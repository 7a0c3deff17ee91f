//! Which dialect a record is in, and what is wrong with one.

use thalweg_core::dialect::{self, Dialect, HEADER_DIALECT, Headers};
use thalweg_core::{ErrorCode, Event};

use crate::golden::SCHEMAS;

fn read(text: &str, headers: &[(&str, &str)]) -> Result<Event, (ErrorCode, String)> {
    let headers: Vec<(String, Option<Vec<u8>>)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec()))).collect();
    let headers: Headers = &headers;
    dialect::read_record(Some(text.as_bytes()), headers, &SCHEMAS).map_err(|refusal| (refusal.code, refusal.message))
}

#[track_caller]
fn assert_refused(read: Result<Event, (ErrorCode, String)>, code: ErrorCode, says: &[&str]) {
    let (found, message) = read.unwrap_err();
    assert_eq!(found, code, "{message}");
    for what in says {
        assert!(message.contains(what), "{message:?} says nothing of {what:?}");
    }
}

const TWO: &str = r#"{"event_type":"a.b","topic":"business-facts","id":"1","data":{},"source_id":"x"}"#;

#[test]
fn ambiguity_is_an_error_that_names_both_and_a_header_settles_it() {
    assert_refused(read(TWO, &[]), ErrorCode::EventInvalid, &["soorma (", "dreamos (", HEADER_DIALECT]);
    for dialect in [Dialect::Soorma, Dialect::Dreamos] {
        let event = read(TWO, &[(HEADER_DIALECT, dialect.as_str())]).unwrap();
        assert!(dialect.is_own(&event));
    }
    let service = r#"{"specversion":"1.0","id":"1","source":"a","type":"a.b","topic":"business-facts","data":{}}"#;
    assert_refused(read(service, &[]), ErrorCode::EventInvalid, &["soorma (", "cloudevents ("]);
    let event = read(service, &[(HEADER_DIALECT, "soorma")]).unwrap();
    assert_eq!((event.event_type.as_str(), event.channel.as_str()), ("a.b", "business-facts"));
}

#[test]
fn a_native_event_stays_what_it_is() {
    for text in [
        r#"{"event_type":"a.b","execution_id":"e","payload":{"kind":{"type":"x"}}}"#,
        r#"{"event_type":"a.b","execution_id":"e","kind":{"type":"x"},"specversion":"1.0","type":"y"}"#,
        r#"{"event_type":"a.b","execution_id":"e","metadata":{"correlation_id":"c"},"payload":{},"task":{}}"#,
        r#"{"event_type":"a.b","execution_id":"e","topic":"gossip"}"#,
    ] {
        let event = read(text, &[]).unwrap();
        assert!(!event.ext.contains_key("dialect"), "{text}");
        assert_eq!(event.execution_id, "e");
    }
    // A header can say so of a document that has another's shape.
    let event = read(TWO, &[(HEADER_DIALECT, "native")]).unwrap();
    assert_eq!(event.ext["source_id"].as_str(), "\"x\"");
}

#[test]
fn a_header_that_names_no_dialect() {
    assert_refused(read(TWO, &[(HEADER_DIALECT, "esperanto")]), ErrorCode::EventInvalid, &["esperanto", "jamjet"]);
    assert_refused(read("[]", &[(HEADER_DIALECT, "soorma")]), ErrorCode::DecodeFailed, &["soorma"]);
}

#[test]
fn what_is_wrong_is_named() {
    let invalid = |text: &str, says: &[&str]| assert_refused(read(text, &[]), ErrorCode::EventInvalid, says);
    invalid(r#"{"specversion":"0.3","id":"1","source":"a","type":"b"}"#, &["cloudevents", "specversion", "0.3"]);
    invalid(r#"{"specversion":"1.0","source":"a","type":"b"}"#, &["field id", "missing"]);
    invalid(r#"{"kind":{"type":7},"execution_id":"e"}"#, &["jamjet", "kind.type"]);
    invalid(r#"{"metadata":{"correlation_id":"c"},"payload":{}}"#, &["compozy", "subject"]);
    let soorma = r#"{"event_type":"a","topic":"business-facts","id":"1","timestamp":"yesterday"}"#;
    invalid(soorma, &["soorma", "field timestamp", "yesterday"]);
    invalid(r#"{"event_type":"a","source_id":"x","data":[]}"#, &["dreamos", "field data"]);
    invalid(r#"{"event_type":"a","event_type":"b","source_id":"x"}"#, &["event_type"]);
    let ours = r#"{"event_type":"a","source_id":"x","data":{},"thalweg":{"no_such":1}}"#;
    invalid(ours, &["thalweg.no_such"]);
}

#[test]
fn compozy_s_subject_may_be_a_header() {
    let body = r#"{"metadata":{"correlation_id":"c"},"workflow":{"exec_id":"e"},"payload":{"status":"RUNNING"}}"#;
    assert_eq!(read(body, &[]).unwrap().event_type, "report.workflow.started");
    let event = read(body, &[("Subject", "compozy.c.workflow.evts.e.resumed")]).unwrap();
    assert_eq!(event.event_type, "report.workflow.resumed");
    assert!(Dialect::Compozy.write(&event).contains("compozy.c.workflow.evts.e.resumed"));
}

/// Dream.OS: an error without a message is taken all the same.
#[test]
fn an_error_without_a_message_is_taken() {
    let event = read(r#"{"event_type":"AGENT_ERROR","source_id":"x","data":{"agent_id":"a"}}"#, &[]).unwrap();
    assert_eq!(event.event_type, "report.agent.error");
    assert_eq!(event.error.map(|error| error.message), Some(String::new()));
}
