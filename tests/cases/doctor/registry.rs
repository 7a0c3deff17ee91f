//! A registry that is not as routers leave it.

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;
use thalweg_core::codec::Schemas;
use thalweg_runtime::registry_key;

use super::group::commit;
use super::report::{Level, Report};
use crate::command_line::Thalweg;
use crate::namespace::{DEADLINE, Namespace};

#[test]
fn entries_that_do_not_fit_are_told() {
    let namespace = Namespace::new("doctor-registry");
    let topic = namespace.topics.registry();
    let producer: BaseProducer = namespace.client().create().unwrap();
    let write = |key: &str, text: &str| {
        let record = BaseRecord::to(topic).partition(0).key(key).payload(text);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(DEADLINE).unwrap();
    };
    let report = Report::of(&Thalweg::of(&namespace), 0);
    report.assert("complete", topic, Level::Ok, "0 of 5 are registered; a router registers them");

    let [(event, text), (_, other), ..] = &Schemas::to_register()[..] else { panic!("schemas") };
    let key = registry_key(event);
    write(&key, &format!("{text} "));
    write(&key, text);
    write("schema/0123456789abcdef", other);
    write("schema/fedcba9876543210", "no schema");
    write("colour", "blue");
    commit(&namespace, &[(0, 0)]);
    let report = Report::of(&Thalweg::of(&namespace), 1);
    let finding =
        report.assert("schemas", "schema/0123456789abcdef", Level::Problem, "its fingerprint is that of schema/");
    assert_eq!(finding["code"], json!("SCHEMA_UNKNOWN"));
    report.assert("schemas", "schema/fedcba9876543210", Level::Problem, "can't be decoded");
    report.assert("conflicts", &key, Level::Warning, "an earlier text differs");
    report.assert("keys", "0/4 colour", Level::Warning, "unknown key");
    report.assert("complete", topic, Level::Warning, "of 5 are registered; schema/");
}
