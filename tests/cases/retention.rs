//! Closed executions are forgotten on real Kafka, in the topic and in memory.

use std::collections::BTreeMap;

use serde_json::json;

use crate::http;
use crate::load::{self, borrowed};
use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::{Signal, eventually_observed};

/// The newest value of each key in the contexts: is it one, or a tombstone?
fn newest(namespace: &Namespace) -> BTreeMap<Vec<u8>, bool> {
    let records = namespace.read(namespace.topics.contexts());
    records.into_iter().map(|record| (record.key.unwrap(), record.value.is_some())).collect()
}

fn await_kept(namespace: &Namespace, kept: &[&str]) {
    eventually_observed(DEADLINE, "the contexts of what is closed to be gone", || {
        let values: Vec<Vec<u8>> =
            newest(namespace).into_iter().filter(|(_, is_value)| *is_value).map(|(key, _)| key).collect();
        let is_kept = |key: &&str| values.iter().any(|value| value == key.as_bytes());
        if values.len() == kept.len() && kept.iter().all(is_kept) {
            Ok(())
        } else {
            let keys: Vec<String> = values.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
            Err(format!("{} records are left: {keys:?}", keys.len()))
        }
    });
}

fn await_contexts_bytes(router: &RouterProcess, is_expected: impl Fn(u64) -> bool) {
    let addr = router.admin_addr();
    eventually_observed(DEADLINE, "the memory of contexts", || {
        let (_, body) = http::get(&addr, "/metrics");
        let line = body.lines().find_map(|line| line.strip_prefix("thalweg_contexts_bytes "));
        let bytes: u64 = line.map_or(0, |text| text.parse().unwrap());
        if is_expected(bytes) { Ok(()) } else { Err(bytes) }
    });
}

/// They close under a router that remembers them, and are forgotten by the next one, with their scopes and branches;
/// what is open stays.
#[test]
fn closed_executions_and_their_branches_are_forgotten_across_a_restart() {
    const EXECUTIONS: usize = 60;
    let namespace = Namespace::new("retention");
    let mut first = RouterProcess::start(&namespace, "a");
    namespace.send(&borrowed(&load::first_half(EXECUTIONS)));
    namespace.send(&borrowed(&load::second_half(EXECUTIONS)));
    // One that fails with branches open, and one that stays open.
    namespace.send(&[(
        "failed",
        json!({"event_type": "workflow.started", "workflow_id": "mended", "payload": {"way": "within"}}),
    )]);
    namespace.send(&[("open", json!({"event_type": "workflow.started", "workflow_id": "counter"}))]);
    namespace.await_ended(EXECUTIONS + 1);
    namespace.verify_but(crate::oracle::StillOpen::Any);
    await_contexts_bytes(&first, |bytes| bytes > 0);
    assert!(newest(&namespace).len() > EXECUTIONS + 2, "there are records of scopes and branches");
    first.process.signal(Signal::TERM);
    first.process.wait_exit(DEADLINE);

    let second = RouterProcess::start_with(&namespace, "b", &[("THALWEG_RETENTION_MS", "1000")]);
    await_kept(&namespace, &["open"]);
    // Nothing but the one that is open is in memory; after its end nothing.
    namespace.send(&[("open", json!({"event_type": "count.stop"}))]);
    namespace.await_ended(EXECUTIONS + 2);
    await_kept(&namespace, &[]);
    await_contexts_bytes(&second, |bytes| bytes == 0);
    namespace.send(&[("failed", json!({"event_type": "note"}))]);
    namespace.await_drained();
    let third = RouterProcess::start(&namespace, "c");
    third.await_restored(1);
}

/// Beyond the limit of closed executions those that ended first are forgotten before their time.
#[test]
fn no_more_than_so_many_closed_executions_are_remembered() {
    let namespace = Namespace::new("retention-count");
    let limit = [("THALWEG_RETENTION_MAX_EXECUTIONS", "0"), ("THALWEG_RETENTION_MS", "3600000")];
    let router = RouterProcess::start_with(&namespace, "a", &limit);
    let start = json!({"event_type": "workflow.started", "workflow_id": "linear"});
    let ids: Vec<String> = (0..20).map(|number| format!("e-{number}")).collect();
    let starts: Vec<(&str, serde_json::Value)> = ids.iter().map(|id| (id.as_str(), start.clone())).collect();
    namespace.send(&starts);
    namespace.await_ended(20);
    drop(router);
    let _router = RouterProcess::start_with(&namespace, "b", &limit);
    await_kept(&namespace, &[]);
}
