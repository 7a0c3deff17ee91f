//! Brokers that do not answer, and those that do not take everyone.

use serde_json::json;

use super::report::{Level, Report};
use crate::command_line::{Thalweg, assert_lines};
use crate::namespace::Namespace;
use crate::support::{Broker, broker};

#[test]
fn addresses_that_do_not_answer_are_told_with_the_reason() {
    let at = |brokers: &str| Thalweg::new(&[("THALWEG_BROKERS", brokers)]);
    let report = Report::of(&at("127.0.0.1:1"), 4);
    report.assert("reachable", "127.0.0.1:1", Level::Problem, "Connection refused");
    assert_eq!(report.checks.len(), 1);
    let report = Report::of(&at("no-such-host.invalid:9092"), 4);
    report.assert("reachable", "no-such-host.invalid:9092", Level::Problem, "the name is not resolved");
    let ran = at("127.0.0.1:1").run(&["doctor"]).expect(4).names("could not reach Kafka");
    assert_lines(
        &ran.stdout,
        &["CONNECTION", "PROBLEM  reachable  127.0.0.1:1", "-> start the broker", "1 problem: 1 check"],
    );

    // One of several is no problem.
    let namespace = Namespace::new("doctor-some");
    let some = format!("127.0.0.1:1, {}", broker().bootstrap());
    let report = Report::of(&Thalweg::of(&namespace).with(&[("THALWEG_BROKERS", &some)]), 0);
    report.assert("reachable", "127.0.0.1:1", Level::Warning, "Connection refused");
    report.assert("reachable", broker().bootstrap(), Level::Ok, "answers");
    report.assert("advertised", &format!("broker 1 at {}", broker().bootstrap()), Level::Ok, "answers");
    report.assert("authenticated", "PLAINTEXT", Level::Ok, "accepted");
}

#[test]
fn a_listener_without_tls_is_told() {
    let thalweg =
        Thalweg::new(&[("THALWEG_BROKERS", broker().bootstrap()), ("THALWEG_KAFKA_SECURITY_PROTOCOL", "SSL")]);
    let report = Report::of(&thalweg, 1);
    let finding = report.assert("encrypted", broker().bootstrap(), Level::Problem, "no TLS");
    assert!(finding["advice"].as_str().unwrap().contains("security.protocol"), "{finding}");
}

#[test]
fn settings_of_the_brokers_that_stop_routers_are_told() {
    let broker = Broker::start(&[
        ("auto.create.topics.enable", "true"),
        ("offsets.retention.minutes", "60"),
        ("offsets.topic.replication.factor", "3"),
        ("transaction.state.log.replication.factor", "4"),
    ]);
    let namespace = Namespace::with("doctor-brokers", |config| config.brokers = broker.bootstrap().to_owned());
    let report = Report::of(&Thalweg::of(&namespace), 1);
    report.assert("auto.create.topics.enable", "broker 1", Level::Warning, "true");
    let retention = report.assert("offsets.retention.minutes", "", Level::Warning, "60");
    assert_eq!(retention["code"], json!("INBOX_REPLACED"));
    report.assert("offsets.topic.replication.factor", "broker 1", Level::Problem, "3");
    report.assert("transaction.state.log.replication.factor", "broker 1", Level::Problem, "4");
    report.assert("transaction.state.log.min.isr", "broker 1", Level::Warning, "1, of 4");
    report.assert("begin", "transactional ids", Level::Problem, "not initialised");
    report.assert("coordinator", namespace.topics.group(), Level::Problem, "Waiting for coordinator");
}
