//! Round trips of anything: documents with unknown fields and odd numbers, and events of every kind in every dialect.

use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::{Map, Value};
use thalweg_core::dialect::{self, Dialect};
use thalweg_core::event::{Entity, EventError, Reply};
use thalweg_core::{Event, Json};

use crate::golden::{documents, foreign};
use crate::spelled::spelled;

fn cases(cases: u32) -> Config {
    if std::env::var_os("PROPTEST_CASES").is_some() { Config::default() } else { Config::with_cases(cases) }
}

/// A JSON document with numbers that no reader of doubles would write again as they are.
fn odd_json() -> BoxedStrategy<String> {
    let odd = ["1.50", "-0", "0.10", "1e400", "1E+2", "12345678901234567890123", "9007199254740993", "-0.0e-5"];
    let leaf = prop_oneof![
        prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
        prop::sample::select(vec!["null", "true", "\"\"", "\"\\u00e9\"", "\"a \\\" b\\n\"", "{}", "[]"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map("[a-c~/ ]{1,2}", inner, 0..3).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
    .boxed()
}

/// A change of a document: a member that is left out, replaced, or added, at the top or in a section.
fn change() -> impl Strategy<Value = (usize, Option<String>, String)> {
    (any::<prop::sample::Index>().prop_map(|index| index.index(997)), prop::option::of(odd_json()), "x[a-z]{1,4}")
}

/// A document of a dialect's own, changed. Numbers are kept as they are spelled: texts are edited, not values.
fn changed_document() -> impl Strategy<Value = (Dialect, String)> {
    let all: Vec<(Dialect, String)> =
        foreign().flat_map(|dialect| documents(dialect).into_values().map(move |text| (dialect, text))).collect();
    (prop::sample::select(all), prop::collection::vec(change(), 0..4)).prop_map(|((dialect, text), changes)| {
        let mut members = members(&text);
        for (at, value, name) in changes {
            let place = at % (members.len() + 1);
            match (members.get(place).cloned(), value) {
                // Into a section.
                (Some((section, inner)), Some(value)) if inner.trim_start().starts_with('{') => {
                    let mut inner = self::members(&inner);
                    inner.retain(|(known, _)| *known != name);
                    inner.push((name, value));
                    members[place] = (section, object(&inner));
                }
                (Some(_), None) => drop(members.remove(place)),
                (Some((known, _)), Some(value)) if at % 2 == 0 => members[place] = (known, value),
                (_, value) => {
                    members.retain(|(known, _)| *known != name);
                    members.push((name, value.unwrap_or_else(|| "1.0".to_owned())));
                }
            }
        }
        (dialect, object(&members))
    })
}

fn members(text: &str) -> Vec<(String, String)> {
    let members: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(text).unwrap();
    members.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect()
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("{}:{value}", Value::from(name.as_str()))).collect();
    format!("{{{}}}", members.join(","))
}

/// JSON that serde_json can read as a value, as an event from the inbox is.
fn json() -> impl Strategy<Value = Json> {
    odd_json().prop_map(|text| Json::parse(text.replace("1e400", "1e300")).unwrap())
}

fn payload() -> impl Strategy<Value = Option<Json>> {
    prop::option::of(json()).prop_map(|json| json.filter(|json| json.as_str() != "null"))
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![Just(String::new()), "[a-z.é \"]{1,6}".prop_map(|text| text)])
}

fn event_type() -> impl Strategy<Value = String> {
    let natives: Vec<String> = dialect::table().map(|(.., verdict)| verdict.event_type).collect();
    let engines = ["workflow.started", "workflow.completed", "workflow.failed", "task.failed", "transition.rejected"];
    prop_oneof![
        prop::sample::select(natives),
        prop::sample::select(engines.to_vec()).prop_map(str::to_owned),
        "[a-z]{1,3}(\\.[a-z_]{1,4}){0,3}",
        "[A-Z]{1,3}_[A-Z]{1,3}",
    ]
}

prop_compose! {
    fn event()(
        event_type in event_type(),
        (event_id, execution_id, channel, message_class) in ("[a-z]{0,2}", "[a-z. ]{0,3}", "[a-z]{0,2}", "[a-z]{0,2}"),
        texts in prop::collection::vec(text(), 17),
        payload in payload(),
        (occurred_at, recorded_at) in (-3_000_000_000_000i64..3_000_000_000_000_000, prop::option::of(any::<i64>())),
        error in prop::option::of(("[a-z]{0,3}", text(), payload(), prop::option::of(any::<bool>()))),
        duration_ms in prop::option::of(prop::sample::select(vec![0.0, 12.0, 0.1, 1e-7, 1e300, -2.5])),
        (attempt, priority, sequence) in (0..3i32, 0..256i32, 0..4i64),
        reply in prop::option::of((text(), text(), text())),
        entities in prop::collection::btree_map("task|agent|tool|agent_runtime|other", (text(), text(), text()), 0..3),
        ext in prop::collection::btree_map("dialect|soorma|soorma.absent|compozy|own|thalweg", json(), 0..3),
        own in prop::option::of(prop::sample::select(Dialect::ALL.to_vec())),
    ) -> Event {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().flatten();
        let mut event = Event {
            event_id, execution_id, channel, message_class, payload, occurred_at, recorded_at, duration_ms, attempt,
            priority, sequence,
            workflow_id: next(), workflow_version: next(), source: next(), status: next(), correlation_id: next(),
            request_id: next(), trace_id: next(), parent_event_id: next(), scope: next(), branch: next(),
            payload_schema_name: next(), tenant_id: next(), user_id: next(), plan_id: next(), subject: next(),
            created_by: next(), goal_id: next(),
            error: error.map(|(message, code, details, retryable)| EventError {
                message, code, details, retryable, ..EventError::default()
            }),
            reply: reply.map(|(response_event, response_topic, response_schema_name)| Reply {
                response_event, response_topic, response_schema_name,
            }),
            entities: entities.into_iter().map(|(kind, (id, exec_id, name))| (kind, Entity { id, exec_id, name })).collect(),
            ext,
            ..Event::new(&event_type, 0)
        };
        if let Some(own) = own {
            event.ext.insert("dialect".to_owned(), Json::parse(format!("\"{own}\"")).unwrap());
        }
        event
    }
}

proptest! {
    #![proptest_config(cases(2000))]

    /// What is read comes back with every field and every number as it was, straight and by way of the native form.
    #[test]
    fn a_document_comes_back((dialect, text) in changed_document()) {
        if let Ok(event) = dialect.read(text.as_bytes()) {
            prop_assert_eq!(spelled(&dialect.write(&event)), spelled(&text));
            let native = Dialect::Native.write(&event);
            let again = Dialect::Native.read(native.as_bytes()).map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
            prop_assert_eq!(&again, &event);
            prop_assert_eq!(spelled(&dialect.write(&again)), spelled(&text));
        }
    }

    /// An event of any kind can be told in every dialect, and is the same when it is read again.
    #[test]
    fn an_event_comes_back_from_every_dialect(event in event()) {
        for dialect in Dialect::ALL {
            let text = dialect.write(&event);
            let back = dialect.read(text.as_bytes());
            prop_assert_eq!(back.as_ref(), Ok(&event), "{} {}", dialect, text);
            let published: Result<Map<String, Value>, _> = serde_json::from_str(&dialect.write_published(&event));
            prop_assert!(published.is_ok());
        }
    }

    /// From one dialect to another and back: the first document again.
    #[test]
    fn a_document_comes_back_from_another_dialect((dialect, text) in changed_document(), other in prop::sample::select(Dialect::ALL.to_vec())) {
        if let Ok(event) = dialect.read(text.as_bytes()) {
            let there = other.write(&event);
            let back = other.read(there.as_bytes()).map_err(|refusal| TestCaseError::fail(format!("{refusal}: {there}")))?;
            prop_assert_eq!(spelled(&dialect.write(&back)), spelled(&text), "by way of {}", there);
        }
    }
}
