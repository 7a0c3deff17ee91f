//! `thalweg doctor`: each of its findings is provoked.

mod clocks;
mod connection;
mod group;
mod permissions;
mod registry;
mod report;
mod settings;
mod transactions;

pub use group::commit;

use serde_json::json;

use crate::command_line::{Thalweg, assert_lines};
use crate::namespace::Namespace;
use crate::router_process::RouterProcess;
use report::{Level, Report, ends};

/// A namespace that works has no problem, and looking at it writes nothing.
#[test]
fn a_sound_namespace_is_looked_at_without_a_trace() {
    let namespace = Namespace::with("doctor-sound", |_| {});
    let router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "linear"}))]);
    namespace.await_ended(1);
    namespace.await_drained();
    let before = ends(&namespace);

    let thalweg = Thalweg::of(&namespace);
    let report = Report::of(&thalweg, 0);
    report.assert_all_areas();
    report.assert("authorizer", "brokers", Level::Ok, "everyone may do everything");
    report.assert("contexts cleanup.policy", "", Level::Ok, "compact");
    report.assert("begin", &namespace.config.namespace, Level::Ok, "initialised");
    report.assert("open", &namespace.config.namespace, Level::Ok, "none in 23 partitions");
    report.assert("broker", "registry", Level::Ok, "within 2.0 s");
    report.assert("records", &namespace.config.namespace, Level::Ok, "none");
    report.assert("members", namespace.topics.group(), Level::Ok, "1 lane at 127.0.0.1");
    report.assert("state", namespace.topics.group(), Level::Ok, "Stable");
    report.assert("assignment", namespace.topics.group(), Level::Ok, "all 2 partitions");
    report.assert("clients", namespace.topics.group(), Level::Ok, &namespace.config.namespace);
    report.assert("lag", "inbox/1", Level::Ok, "0");
    report.assert("schemas", "registry", Level::Ok, "5 parse");
    report.assert("complete", "registry", Level::Ok, "5 of 5");
    assert_eq!(ends(&namespace), before, "something was written");

    // For people: areas, what is well in one row, what is not with what to do, a verdict.
    let table = thalweg.table(&["doctor"]);
    let rows = ["CHECK", "CONNECTION", "ok", "PERMISSIONS", "TOPICS", "warning", "-> with its broker the data is gone"];
    assert_lines(
        &table,
        &[&rows[..], &["BROKERS", "CLOCKS", "GROUP", "TRANSACTIONS", "REGISTRY", "Nothing is broken"]].concat(),
    );
    assert!(table.contains(" and 11 more"), "{table}");
    drop(router);
}
