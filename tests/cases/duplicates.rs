//! W9: an event handled once, however often it comes.

use serde_json::json;

use crate::namespace::Namespace;
use crate::router_process::RouterProcess;

#[test]
fn the_same_event_id_five_times_is_handled_once() {
    let namespace = Namespace::new("duplicates");
    let _router = RouterProcess::start(&namespace, "a");
    let start = json!({"event_id": "start", "event_type": "workflow.started", "workflow_id": "counter"});
    let up = json!({"event_id": "up", "event_type": "count.up"});
    let stop = json!({"event_id": "stop", "event_type": "count.stop"});
    let mut events = vec![("e", start.clone()), ("e", start.clone())];
    events.extend(std::iter::repeat_n(("e", up), 5));
    events.push(("e", stop));
    // A start that is sent again after the end is a duplicate still; anything else is turned away.
    events.push(("e", start));
    namespace.send(&events);
    namespace.await_ended(1);
    namespace.await_drained();
    let history = namespace.history("e");
    let types: Vec<&str> = history.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, ["workflow.started", "workflow.stalled", "count.up", "count.stop", "workflow.completed"]);
    assert_eq!(history[4].payload_value(), json!(1));
    namespace.verify();
}
