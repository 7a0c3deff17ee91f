//! A record on the wrong partition is sent to the right one, handled once, and keeps its ids.

use serde_json::json;

use crate::namespace::Namespace;
use crate::router_process::RouterProcess;

#[test]
fn records_on_the_wrong_partition_are_forwarded() {
    let namespace = Namespace::new("forwarding");
    let _router = RouterProcess::start(&namespace, "a");
    // No keys: everything goes to partition 0, and the execution ids are in the events.
    let ids: Vec<String> = (0..20).map(|n| format!("e-{n}")).collect();
    let elsewhere = ids.iter().filter(|id| namespace.partition(id) != 0).count();
    assert!(elsewhere > 0 && elsewhere < ids.len());
    let starts: Vec<_> = ids
        .iter()
        .map(|id| json!({"event_type": "workflow.started", "workflow_id": "linear", "execution_id": id}))
        .map(|event| (None, event.to_string().into_bytes()))
        .collect();
    namespace.send_raw(&starts, &[("note", "kept")]);
    let events = namespace.await_ended(ids.len());
    let summary = namespace.verify();
    assert_eq!(summary.forwarded, elsewhere);
    assert_eq!(summary.applied, ids.len());
    let inbox = namespace.read(namespace.topics.inbox());
    let forwarded: Vec<_> = inbox.iter().filter(|read| read.headers.contains_key("origin")).collect();
    assert_eq!(forwarded.len(), elsewhere);
    for read in forwarded {
        assert_eq!(read.partition, 1);
        assert_eq!(read.headers["note"], "kept");
        assert!(read.headers["origin"].contains("/0/"), "the origin is the first position");
        let id = std::str::from_utf8(read.key.as_deref().unwrap()).unwrap();
        let start = events.iter().find(|e| e.execution_id == id && e.event_type == "workflow.started").unwrap();
        assert_eq!(start.event_id, read.headers["event_id"], "the id resolves from the origin");
    }
}
