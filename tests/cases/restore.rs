//! A new owner restores while an older owner's transaction is still open.

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;
use thalweg_core::codec::Schemas;
use thalweg_runtime::kafka::{Ended, Kafka, Outgoing};

use crate::http::get;
use crate::members::{member, poll_until};
use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::{Signal, broker, eventually_observed};

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
    context.data = json!({"seen": 10}).into();
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

/// A transaction in the contexts that nobody ends: the router says that its restore waits, in its log and in `/readyz`,
/// and what it says to do about it helps.
#[test]
fn a_restore_that_waits_for_a_transaction_says_how_to_end_it() {
    let namespace = Namespace::new("restore-waits");
    let contexts = namespace.topics.contexts();
    let hanging: BaseProducer = namespace
        .client()
        .set("transactional.id", format!("{}.hangs", namespace.config.namespace))
        .set("transaction.timeout.ms", "600000")
        .create()
        .unwrap();
    hanging.init_transactions(DEADLINE).unwrap();
    hanging.begin_transaction().unwrap();
    hanging.send(BaseRecord::to(contexts).partition(1).key("k").payload("x")).map_err(|(error, _)| error).unwrap();
    hanging.flush(DEADLINE).unwrap();

    let short = [("THALWEG_TRANSACTION_TIMEOUT_MS", "1000"), ("THALWEG_STEP_MAX_MS", "500")];
    let router = RouterProcess::start_with(&namespace, "a", &short);
    let addr = router.admin_addr();
    let advice = format!("kafka-transactions.sh abort --topic {contexts} --partition 1 --start-offset 0");
    eventually_observed(DEADLINE, "a router that says what it waits for", || match get(&addr, "/readyz") {
        (503, body) if body.contains(&advice) => Ok(()),
        (code, body) => Err(format!("{code} {body}")),
    });
    assert!(router.process.log().contains("a restore waits"), "{}", router.process.log());
    broker().java_tool(
        "org.apache.kafka.tools.TransactionsCommand",
        &[
            "--bootstrap-server",
            broker().internal_bootstrap(),
            "abort",
            "--topic",
            contexts,
            "--partition",
            "1",
            "--start-offset",
            "0",
        ],
    );
    eventually_observed(DEADLINE, "/readyz", || match get(&addr, "/readyz") {
        (200, _) => Ok(()),
        (code, body) => Err(format!("{code} {body}")),
    });
}

/// A record of the contexts that can't be read, and behind it one that can: a router that served the partition all the
/// same would have forgotten an execution.
#[test]
fn a_partition_with_a_record_that_cant_be_read_is_not_served() {
    let namespace = Namespace::new("restore-unreadable");
    let contexts = namespace.topics.contexts();
    let producer: BaseProducer = namespace.client().create().unwrap();
    for record in [
        BaseRecord::to(contexts).partition(0).key("e").payload("no context"),
        BaseRecord::<str, str>::to(contexts).partition(0).key("f"),
    ] {
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(DEADLINE).unwrap();

    let mut router = RouterProcess::start_with(&namespace, "a", &[]);
    assert!(!router.process.wait_exit(DEADLINE).success());
    let log = router.process.log();
    assert!(log.contains("a record in partition 0 of the contexts can't be read"), "{log}");
}
