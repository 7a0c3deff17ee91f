//! Topics that are not as they should be, and limits of the brokers.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::json;
use thalweg_core::Channel;
use thalweg_runtime::{Config, wanted_topics};

use super::report::{Level, Report};
use crate::command_line::Thalweg;
use crate::namespace::{DEADLINE, Namespace};
use crate::support::{broker, eventually_observed, namespace};

/// The end of a topic's name, its partitions, and its settings.
type Wrong<'a> = (&'a str, i32, &'a [(&'a str, &'a str)]);

/// Creates the topics of a namespace, each with these partitions and settings in place of the right ones; without
/// partitions not at all.
fn create_wrongly(test: &str, wrong: &[Wrong<'_>]) -> Namespace {
    let mut config = Config {
        brokers: broker().bootstrap().to_owned(),
        namespace: namespace(test),
        partitions: 2,
        ..Config::default()
    };
    for channel in Channel::ALL {
        config.channels.insert(*channel, "events".to_owned());
    }
    let mut created = Vec::new();
    let wanted = wanted_topics(&config);
    for topic in &wanted {
        let own = wrong.iter().find(|(name, ..)| topic.name == format!("{}.{name}", config.namespace));
        let (partitions, own) = own.map_or((topic.partitions, [].as_slice()), |(_, count, own)| (*count, *own));
        if partitions > 0 {
            let mut new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(1));
            for setting in topic.settings.iter().filter(|setting| own.iter().all(|(name, _)| *name != setting.name)) {
                new = new.set(setting.name, &setting.value);
            }
            created.push(own.iter().fold(new, |new, (name, value)| new.set(name, value)));
        }
    }
    let admin: AdminClient<DefaultClientContext> = config.client().create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for result in runtime.block_on(admin.create_topics(&created, &AdminOptions::new())).unwrap() {
        result.unwrap();
    }
    let consumer: BaseConsumer = config.client().create().unwrap();
    eventually_observed(DEADLINE, "topics that are visible", || {
        let all = consumer.fetch_metadata(None, DEADLINE).map_err(|error| error.to_string())?;
        let visible = |new: &&NewTopic<'_>| all.topics().iter().any(|topic| topic.name() == new.name);
        let hidden: Vec<&str> = created.iter().filter(|new| !visible(new)).map(|new| new.name).collect();
        if hidden.is_empty() { Ok(()) } else { Err(format!("{hidden:?} are not")) }
    });
    Namespace::of(config)
}

#[test]
fn topics_that_are_not_as_they_should_be_are_told() {
    let namespace = create_wrongly(
        "doctor-topics",
        &[
            ("contexts", 3, &[("cleanup.policy", "delete"), ("segment.ms", "1800000")]),
            ("inbox", 2, &[("max.message.bytes", "1000"), ("retention.ms", "-1")]),
            ("dead-letters", 2, &[("max.message.bytes", "4194304"), ("min.insync.replicas", "2")]),
            ("registry", 1, &[("message.timestamp.type", "LogAppendTime")]),
            ("events", 0, &[]),
        ],
    );
    let report = Report::of(&Thalweg::of(&namespace), 1);
    let partitions = report.assert("contexts partitions", "", Level::Problem, "3");
    assert_eq!((&partitions["expected"], &partitions["code"]), (&json!("2"), &json!("PARTITIONS_CHANGED")));
    report.assert("contexts cleanup.policy", "", Level::Problem, "delete");
    report.assert("contexts segment.ms", "", Level::Warning, "1800000");
    report.assert("inbox max.message.bytes", "", Level::Problem, "1000");
    report.assert("inbox retention.ms", "", Level::Warning, "-1");
    report.assert("dead-letters max.message.bytes", "", Level::Problem, "4194304");
    report.assert("dead-letters min.insync.replicas", "", Level::Warning, "2, of 1 replica");
    report.assert("dead-letters replicas", "", Level::Warning, "1");
    report.assert("dead-letters leaders", "", Level::Ok, "every partition has one");
    report.assert("registry message.timestamp.type", "", Level::Warning, "LogAppendTime");
    report.assert("broker", "registry", Level::Warning, "not known");
    let missing = report.assert("events exists", "", Level::Problem, "nothing");
    assert_eq!(missing["advice"], "create it: thalweg topics");
    report.assert("offsets.retention.minutes", "", Level::Warning, "10080");
}

#[test]
fn time_outs_that_the_brokers_refuse_are_told() {
    let namespace = Namespace::new("doctor-limits");
    let with = |more: &[(&str, &str)]| Report::of(&Thalweg::of(&namespace).with(more), 1);
    let times = [("THALWEG_TRANSACTION_TIMEOUT_MS", "1000000"), ("THALWEG_SESSION_TIMEOUT_MS", "3600000")];
    let report = with(&times);
    report.assert("transaction.max.timeout.ms", "broker 1", Level::Problem, "900000");
    report.assert("group.max.session.timeout.ms", "broker 1", Level::Problem, "1800000");
    report.assert("begin", "transactional ids", Level::Problem, "not initialised");
    let times = [
        ("THALWEG_COMMIT_INTERVAL_MS", "50"),
        ("THALWEG_STEP_MAX_MS", "100"),
        ("THALWEG_TRANSACTION_TIMEOUT_MS", "400"),
        ("THALWEG_SESSION_TIMEOUT_MS", "500"),
    ];
    let report = with(&times);
    report.assert("group.min.session.timeout.ms", "broker 1", Level::Problem, "1000");
    report.assert("transaction.max.timeout.ms", "broker 1", Level::Ok, "900000");
}
