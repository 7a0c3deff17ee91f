//! A new owner restores while an older owner's transaction is still open.

use serde_json::json;
use thalweg_core::codec::Schemas;
use thalweg_runtime::kafka::{Ended, Kafka, Outgoing};

use crate::members::{member, poll_until};
use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::{Signal, eventually_observed};

/// The older owner's offsets are in its transaction, its context is not yet; it leaves, the new owner takes over, and
/// only then does the older one write the context and commit, as it may. Whoever reads the contexts before the
/// committed offset is stable loses that update.
#[test]
fn an_update_of_an_owner_whose_transaction_is_still_open_is_not_lost() {
    let namespace = Namespace::new("restore");
    let mut first = RouterProcess::start(&namespace, "a");
    namespace.send(&[
        ("e", json!({"event_type": "workflow.started", "workflow_id": "counter"})),
        ("e", json!({"event_id": "up-1", "event_type": "count.up"})),
    ]);
    namespace.await_events(&["count.up"], 1);
    namespace.await_drained();
    first.process.signal(Signal::TERM);
    first.process.wait_exit(DEADLINE);

    // What the older owner makes of the second count.up: as a router would, but that it counts to 10.
    namespace.send(&[("e", json!({"event_id": "up-2", "event_type": "count.up"}))]);
    let schemas = Schemas::new().unwrap();
    let newest = namespace.read(namespace.topics.contexts()).pop().unwrap();
    let mut context = schemas.read_context(newest.value.as_deref().unwrap()).unwrap();
    context.applied_offset += 1;
    context.data = json!({"seen": 10});
    let update = Outgoing {
        topic: namespace.topics.contexts().into(),
        partition: newest.partition,
        key: newest.key,
        value: Some(schemas.write_context(&context).unwrap()),
        headers: Vec::new(),
    };
    let mut older = member(&namespace, "older");
    let mut generations = [None];
    poll_until(&mut [&mut older], &mut generations, |_, generations| generations[0].is_some());
    older.begin().unwrap();
    older.send_offsets(&[(newest.partition, context.applied_offset + 1)], generations[0].as_ref().unwrap()).unwrap();
    older.close();

    let successor = RouterProcess::start_with(&namespace, "b", &[("THALWEG_LOG", "info,thalweg_runtime=debug")]);
    eventually_observed(DEADLINE, "the successor to wait for a stable offset", || {
        let log = successor.process.log();
        if log.matches("restore goes on in the next round").count() >= 2 { Ok(()) } else { Err(log) }
    });
    older.write(&(&update).into()).unwrap();
    assert!(matches!(older.commit(), Ended::Committed));

    namespace.send(&[("e", json!({"event_type": "count.stop"}))]);
    let events = namespace.await_ended(1);
    let end = events.iter().find(|event| event.event_type == "workflow.completed").unwrap();
    assert_eq!(end.payload_value(), json!(10), "the older owner's committed update");
}
