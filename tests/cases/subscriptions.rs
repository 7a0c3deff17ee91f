//! Several handlers of one event.

use serde_json::json;

use crate::namespace::Namespace;
use crate::router_process::RouterProcess;

/// D7: a handler of `a.*` fails, one of `*` succeeds: the second runs, and one SYSTEM_ERROR has the correlation id.
#[test]
fn a_handler_that_fails_does_not_keep_others_from_the_event() {
    let namespace = Namespace::with("subscriptions", |_| {});
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[
        ("e", json!({"event_type": "workflow.started", "workflow_id": "watched"})),
        ("e", json!({"event_type": "a.b", "correlation_id": "c-7"})),
        ("e", json!({"event_type": "close"})),
    ]);
    namespace.await_ended(1);
    // The topics were read one after the other: now all of them have what led to the ends.
    let events = namespace.events();
    let completed = events.iter().find(|event| event.event_type == "workflow.completed").unwrap();
    assert_eq!(completed.payload_value(), json!({"workflow.started": 1, "a.b": 1, "close": 1}));
    let errors: Vec<_> = events.iter().filter(|event| event.event_type == "system.error").collect();
    let [error] = errors[..] else { panic!("{} errors", errors.len()) };
    assert_eq!((error.channel.as_str(), error.correlation_id.as_deref()), ("system-events", Some("c-7")));
    assert_eq!(error.payload_value()["error_message"], json!("it fails on purpose"));
    namespace.verify();
}
