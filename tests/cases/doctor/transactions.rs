//! Transactions that hold back their readers.

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use thalweg_runtime::wall_clock;

use super::report::{Level, Report};
use crate::command_line::Thalweg;
use crate::namespace::{DEADLINE, Namespace};

#[test]
fn a_transaction_that_should_have_ended_is_told() {
    let namespace = Namespace::new("doctor-hanging");
    let contexts = namespace.topics.contexts();
    let producer: BaseProducer = namespace
        .client()
        .set("transactional.id", format!("{}.hangs", namespace.config.namespace))
        .set("transaction.timeout.ms", "60000")
        .create()
        .unwrap();
    producer.init_transactions(DEADLINE).unwrap();
    producer.begin_transaction().unwrap();
    let now = wall_clock() / 1000;
    for (partition, time) in [(0, now - 600_000), (1, now)] {
        let record = BaseRecord::to(contexts).partition(partition).key("k").payload("x").timestamp(time);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(DEADLINE).unwrap();

    let report = Report::of(&Thalweg::of(&namespace), 1);
    let finding = report.assert("open", "contexts/0", Level::Problem, "open at offset 0 since 10 min");
    let advice = finding["advice"].as_str().unwrap();
    assert!(advice.contains(&format!("find-hanging --topic {contexts} --partition 0")), "{advice}");
    report.assert("open", "contexts/1", Level::Ok, "open at offset 0");
    producer.abort_transaction(DEADLINE).unwrap();
}
