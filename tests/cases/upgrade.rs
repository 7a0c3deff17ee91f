//! An older build and the present one take turns on the same partitions: upgrade, roll back, upgrade again.
//!
//! The older build can't run here: what it wrote in its turns, the first and the third, was recorded (`golden_set.rs`,
//! `tests/golden`). That it could go on after the present build's turn is judged from what that wrote, by the schemas
//! and the words that the older build knows (`older_build.rs`).

mod loading;
mod older_build;
mod recorder;
mod scenario;
mod snapshot;

use std::collections::BTreeMap;

use serde_json::Value;
use thalweg_core::Event;

use crate::golden_set::GoldenSet;
use crate::namespace::{DEADLINE, Namespace};
use crate::oracle::StillOpen;
use crate::router_process::RouterProcess;
use crate::support::{Broker, Signal};
use loading::Loading;
use older_build::OlderBuild;
use scenario::{Due, ENDED, PARTITIONS};
use snapshot::Snapshot;

/// Ten years: what ended in the golden set is older than the time for which executions are remembered.
const KEPT: [(&str, &str); 1] = [("THALWEG_RETENTION_MS", "315360000000")];

#[test]
fn an_older_build_and_the_present_one_take_turns() {
    let broker = Broker::start(&[]);
    for set in GoldenSet::all() {
        take_turns(&broker, &set);
    }
}

fn take_turns(broker: &Broker, set: &GoldenSet) {
    let namespace = loading::namespace(broker, &set.manifest.namespace, set.manifest.partitions);
    let loading = Loading::new(&namespace, set);
    let older = OlderBuild::of(set);

    // 1, the older build
    loading.load(&set.first);
    namespace.commit(&set.manifest.committed_first);

    // 2, the present build: it goes on with what was cut, handles what was left, and what comes
    let mut router = RouterProcess::start_with(&namespace, "second", &KEPT);
    router.await_restored(PARTITIONS as usize);
    loading.load(&set.second_inputs);
    finish_turn(&namespace, &mut router, ENDED[1]);
    namespace.verify_but(StillOpen::Any);
    assert_can_take_over(&older, &namespace);

    // 3, the older build
    loading.load(&set.third);
    namespace.commit(&set.manifest.committed_third);
    namespace.verify_but(StillOpen::Any);

    // 4, the present build, to the end of every execution
    let mut router = RouterProcess::start_with(&namespace, "fourth", &KEPT);
    namespace.send_stretch(&scenario::fourth());
    finish_turn(&namespace, &mut router, ENDED[3]);
    assert_can_take_over(&older, &namespace);
    let summary = namespace.verify();

    let mut due = Due::default();
    for stretch in [scenario::first(), scenario::unhandled(), scenario::second(), scenario::third(), scenario::fourth()]
    {
        due += stretch.due;
    }
    let found = Due {
        duplicates: summary.duplicates,
        rejected: summary.rejected,
        dead_lettered: summary.dead_lettered,
        forwarded: summary.forwarded,
    };
    assert_eq!(found, due, "{summary}");
    check_endings(&namespace.events());
}

/// Nothing that was written keeps the older build from its next turn.
fn assert_can_take_over(older: &OlderBuild, namespace: &Namespace) {
    let verdict = older.judge(Snapshot::of(namespace).records(), &namespace.schemas);
    println!("{verdict}");
    assert!(verdict.can_take_over(), "{verdict}");
}

fn finish_turn(namespace: &Namespace, router: &mut RouterProcess, ended: usize) {
    namespace.learn_registry();
    namespace.await_ended(ended);
    namespace.await_drained();
    router.process.signal(Signal::TERM);
    assert!(router.process.wait_exit(DEADLINE).success());
}

fn check_endings(events: &[Event]) {
    let ends: BTreeMap<&str, &Event> = events
        .iter()
        .filter(|event| ["workflow.completed", "workflow.failed"].contains(&event.event_type.as_str()))
        .map(|event| (event.execution_id.as_str(), event))
        .collect();
    assert_eq!(ends.len(), ENDED[3]);
    for (id, status, result) in (0..PARTITIONS).flat_map(scenario::endings) {
        let end = ends[id.as_str()];
        assert_eq!(end.status.as_deref(), Some(status.as_str()), "{id}");
        if result != Value::Null {
            assert_eq!(end.payload_value(), result, "{id}");
        }
    }
}
