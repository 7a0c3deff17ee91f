//! Records a golden set with the build at hand. It is done once, when a version is released; how is told in
//! `tests/golden/README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use thalweg_core::{BranchStatus, ScopeStatus, TaskStatus, WorkflowStatus, effect};
use thalweg_runtime::FailPoint;

use super::loading;
use super::scenario::{self, ENDED, Stretch};
use super::snapshot::Snapshot;
use crate::golden_set::{GoldenRecord, INBOX, MANIFEST, Manifest, TURNS, root};
use crate::namespace::{DEADLINE, Namespace};
use crate::oracle::{StillOpen, Stored};
use crate::router_process::RouterProcess;
use crate::support::{Broker, Signal};

const BUILD: &str = env!("CARGO_PKG_VERSION");

/// Writes `tests/golden/<version>`; a set that is there stays as it is.
#[test]
#[ignore = "records the golden set of a release"]
fn record() {
    let directory = root().join(BUILD);
    assert!(!directory.exists(), "{} is recorded already, and what an old build wrote does not change", BUILD);
    let name = format!("golden-{}", BUILD.replace('.', "-"));
    let broker = Broker::start(&[]);
    let namespace = loading::namespace(&broker, &name, scenario::PARTITIONS);

    take_turn(&namespace, &scenario::first(), &scenario::first_cut(), ENDED[0]);
    let committed_first = namespace.committed();
    namespace.send_stretch(&scenario::unhandled());
    let first = Snapshot::of(&namespace);

    // The same build stands in for the present one: only the inputs of this turn are kept.
    namespace.send_stretch(&scenario::second());
    let inputs = Snapshot::of(&namespace);
    take_turn(&namespace, &Stretch::default(), &Stretch::default(), ENDED[1]);
    namespace.verify_but(StillOpen::Any);
    let second = Snapshot::of(&namespace);
    let sent_on = second.since(&inputs).into_iter().filter(|record| record.topic == INBOX).count();
    assert_eq!(sent_on, 0, "nothing but its inputs comes to the inbox in the second turn");

    take_turn(&namespace, &scenario::third(), &scenario::third_cut(), ENDED[2]);
    let committed_third = namespace.committed();
    namespace.verify_but(StillOpen::Any);
    let third = Snapshot::of(&namespace);

    let strings = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<BTreeSet<String>>();
    let manifest = Manifest {
        build: BUILD.to_owned(),
        commit: commit(),
        namespace: name,
        partitions: scenario::PARTITIONS,
        committed_first,
        committed_third,
        effect_kinds: strings(&effect::KINDS),
        statuses: BTreeMap::from([
            ("workflow".to_owned(), WorkflowStatus::ALL.iter().map(ToString::to_string).collect()),
            ("task".to_owned(), TaskStatus::ALL.iter().map(ToString::to_string).collect()),
            ("scope".to_owned(), ScopeStatus::ALL.iter().map(ToString::to_string).collect()),
            ("branch".to_owned(), BranchStatus::ALL.iter().map(ToString::to_string).collect()),
        ]),
    };
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join(MANIFEST), serde_json::to_string_pretty(&manifest).unwrap() + "\n").unwrap();
    let turns = [first.records().to_vec(), inputs.since(&first), third.since(&second)];
    for (file, records) in TURNS.iter().zip(turns) {
        fs::write(directory.join(file), lines(&records)).unwrap();
    }
}

/// One router handles `whole` to its end, the next one dies in the middle of `cut`: some of that is left as `pending`.
fn take_turn(namespace: &Namespace, whole: &Stretch, cut: &Stretch, ended: usize) {
    let mut router = RouterProcess::start(namespace, "whole");
    namespace.send_stretch(whole);
    namespace.await_ended(ended);
    namespace.await_drained();
    router.process.signal(Signal::TERM);
    assert!(router.process.wait_exit(DEADLINE).success());
    if cut.records.is_empty() {
        return;
    }
    let doom = (FailPoint::AfterCommit, 3, Signal::KILL);
    let mut doomed = RouterProcess::start_doomed(namespace, "cut", doom, &[("THALWEG_STEP_MAX_EVENTS", "2")]);
    // Both partitions are fetched when the inputs come, so that the work on both is under way when the router dies.
    doomed.await_restored(scenario::PARTITIONS as usize);
    namespace.send_stretch(cut);
    doomed.process.wait_exit(DEADLINE);
    namespace.await_drained();
    let observed = namespace.oracle().read().unwrap();
    let pending = observed.contexts.values().filter_map(|record| match &record.stored {
        Stored::Root(root) => Some(&root.pending),
        Stored::Scope(_) | Stored::Branch(_) => None,
    });
    let pending: Vec<_> = pending.filter(|pending| !pending.is_empty()).collect();
    assert_eq!(pending.len(), scenario::PARTITIONS as usize, "an execution of each partition is cut: record again");
    assert!(pending.iter().all(|pending| pending.iter().any(|event| event.input.is_some())), "with an input waiting");
}

/// The newest commit of the product itself.
fn commit() -> String {
    let product = ["log", "-1", "--format=%H", "--", "schemas", "processors/*/src/*"];
    let output = Command::new("git").args(product).current_dir(root().join("../..")).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn lines(records: &[GoldenRecord]) -> String {
    records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect()
}
