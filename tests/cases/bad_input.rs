//! Bad input: each has a clear answer, the partition goes on, and nothing is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;
use thalweg_core::Event;

use crate::namespace::{DEADLINE, Namespace, Read};
use crate::poison::{avro, json_of, table};
use crate::router_process::RouterProcess;

/// The key under which the n-th entry of the table is sent: on partition 0, so that one bad record could stop all.
fn keys(namespace: &Namespace) -> impl Iterator<Item = String> + '_ {
    (0..).map(|n| format!("bad-{n}")).filter(|key| namespace.partition(key) == 0)
}

fn by_key(letters: &[Read]) -> BTreeMap<String, &Read> {
    letters.iter().map(|read| (String::from_utf8_lossy(read.key.as_deref().unwrap()).into_owned(), read)).collect()
}

#[test]
fn each_has_a_code_and_its_original_bytes_and_the_partition_goes_on() {
    let namespace = Namespace::new("bad");
    let _router = RouterProcess::start(&namespace, "a");
    let table = table();
    let keys: Vec<String> = keys(&namespace).take(table.len() + 1).collect();
    let records: Vec<_> =
        table.iter().zip(&keys).map(|((_, value, _), key)| (Some(key.as_str()), value.clone())).collect();
    namespace.send_raw(&records, &[("note", "kept")]);
    // After all of them, on the same partition: a good one in Avro.
    namespace.send_raw(&[(Some(keys[table.len()].as_str()), avro("good"))], &[]);
    namespace.await_ended(1);

    let letters = namespace.read(namespace.topics.dead_letters());
    let letters = by_key(&letters);
    for ((what, value, code), key) in table.iter().zip(&keys) {
        let letter = letters.get(key).unwrap_or_else(|| panic!("{what}: no dead letter"));
        assert_eq!(letter.headers["code"], *code, "{what}: {}", letter.headers["message"]);
        assert!(letter.value.as_deref().unwrap_or_default() == value.as_slice(), "{what}: not its original bytes");
        assert_eq!(letter.headers["note"], "kept", "{what}: its own headers stay");
        assert!(letter.headers["origin"].starts_with(namespace.topics.inbox()), "{what}");
        assert!(letter.headers["message"].len() > 10, "{what}: says what is wrong");
    }
    assert_eq!(letters.len(), table.len());
    namespace.verify();
}

/// An empty execution_id is as good as none: the key names the execution, and without a key a start gets one.
#[test]
fn an_empty_execution_id_and_null_data_are_as_good_as_none() {
    let namespace = Namespace::new("empty-id");
    let _router = RouterProcess::start(&namespace, "a");
    let start = json!({"event_type": "workflow.started", "workflow_id": "linear", "execution_id": "", "payload": null});
    namespace.send_raw(&[(None, json_of(start.clone())), (Some("named"), json_of(start))], &[]);
    let events = namespace.await_ended(2);
    assert!(events.iter().any(|event| event.execution_id == "named"));
    assert!(events.iter().all(|event| !event.execution_id.is_empty()));
    namespace.verify();
}

#[test]
fn an_event_for_a_closed_execution_is_rejected() {
    let namespace = Namespace::new("closed");
    let _router = RouterProcess::start(&namespace, "a");
    let start = json!({"event_id": "s", "event_type": "workflow.started", "workflow_id": "linear"});
    namespace.send(&[("e", start.clone()), ("e", json!({"event_id": "late", "event_type": "claim.amended"}))]);
    // Another start of the same execution is turned away too; the same one once more is a duplicate.
    let again = json!({"event_id": "s-2", "event_type": "workflow.started", "workflow_id": "linear"});
    namespace.send(&[("e", again), ("e", start)]);
    namespace.await_events(&["transition.rejected"], 2);
    let summary = namespace.verify();
    assert_eq!((summary.applied, summary.rejected, summary.duplicates), (1, 2, 1));
    let rejected: Vec<Event> = namespace.history("e").into_iter().filter(|event| event.sequence == 0).collect();
    assert_eq!(rejected[0].payload_value()["status"], json!("SUCCESS"));
    assert_eq!(rejected[0].error.as_ref().unwrap().code.as_deref(), Some("TRANSITION_REJECTED"));
}

/// A tombstone, and records beside another producer's aborted transaction.
#[test]
fn tombstones_and_aborted_transactions_do_no_harm() {
    let namespace = Namespace::new("aborted");
    let _router = RouterProcess::start(&namespace, "a");
    let start = json!({"event_type": "workflow.started", "workflow_id": "linear"}).to_string();
    let producer: BaseProducer =
        namespace.client().set("transactional.id", format!("{}.other", namespace.config.namespace)).create().unwrap();
    producer.init_transactions(DEADLINE).unwrap();
    let send = |key: &str, value: Option<&str>| {
        let mut record: BaseRecord<'_, str, str> = BaseRecord::to(namespace.topics.inbox()).key(key).partition(0);
        record.payload = value;
        producer.send(record).map_err(|(error, _)| error).unwrap();
    };
    let keys: Vec<String> = keys(&namespace).take(3).collect();
    producer.begin_transaction().unwrap();
    send(&keys[0], Some(&start));
    producer.flush(DEADLINE).unwrap();
    producer.abort_transaction(DEADLINE).unwrap();
    producer.begin_transaction().unwrap();
    send(&keys[1], None);
    send(&keys[2], Some(&start));
    producer.flush(Duration::from_secs(10)).unwrap();
    producer.commit_transaction(DEADLINE).unwrap();
    let events = namespace.await_ended(1);
    assert!(events.iter().all(|event| event.execution_id == keys[2]), "the aborted start is not seen");
    let summary = namespace.verify();
    assert_eq!((summary.applied, summary.dead_lettered), (1, 1));
    let letters = namespace.read(namespace.topics.dead_letters());
    assert_eq!((letters[0].headers["code"].as_str(), &letters[0].value), ("DECODE_FAILED", &None));
}

/// W7: a branch's result without a join.
#[test]
fn a_result_for_an_unknown_scope_is_a_dead_letter() {
    let namespace = Namespace::new("no-join");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[
        ("e", json!({"event_type": "workflow.started", "workflow_id": "counter"})),
        ("e", json!({"event_type": "left.done", "scope": "no-such-scope", "branch": "left"})),
        ("e", json!({"event_type": "count.stop"})),
    ]);
    namespace.await_ended(1);
    namespace.verify();
    let letters = namespace.read(namespace.topics.dead_letters());
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].headers["code"], "SCOPE_UNKNOWN");
}
