//! Clocks that are wrong: a writer's, the broker's.

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use thalweg_runtime::inspection::{Inspector, Skew};
use thalweg_runtime::wall_clock;

use super::report::{Level, Report, ends};
use crate::command_line::Thalweg;
use crate::namespace::{DEADLINE, Namespace};

fn now() -> i64 {
    wall_clock() / 1000
}

#[test]
fn records_from_the_future_are_told() {
    let namespace = Namespace::new("doctor-future");
    let producer: BaseProducer = namespace.client().create().unwrap();
    for (partition, ahead) in [(0, 0), (0, 600_000), (1, 20_000)] {
        let record = BaseRecord::to("").partition(partition).key("k").payload("{}").timestamp(now() + ahead);
        producer.send(BaseRecord { topic: namespace.topics.inbox(), ..record }).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
    let report = Report::of(&Thalweg::of(&namespace), 1);
    report.assert("records", "inbox/0/1", Level::Problem, "9 min 5");
    report.assert("records", "inbox/1/0", Level::Warning, "s ahead of this machine's clock");
}

/// The broker's clock is found by what it refuses; nothing of it is written.
#[test]
fn the_brokers_clock_is_read_without_writing() {
    let namespace = Namespace::new("doctor-clock");
    let before = ends(&namespace);
    let inspector = Inspector::new(&namespace.config).unwrap();
    let topic = namespace.topics.registry();
    let settings = inspector.topic_settings([topic]).unwrap().remove(topic).flatten().unwrap();
    for wrong in [0, 90_000, -90_000, 7_200_000] {
        let Skew::Between(least, most) = inspector.broker_clock(&settings, || now() + wrong).unwrap() else {
            panic!("the clock is not known")
        };
        // This machine is late by as much as the broker is early.
        assert!(least <= -wrong + 2000 && -wrong <= most, "{wrong}: {least} to {most}");
        assert!(most - least <= 4000.max(wrong.abs() / 15), "{wrong}: {least} to {most}");
    }
    assert_eq!(ends(&namespace), before, "something was written");
}
