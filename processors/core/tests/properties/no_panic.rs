//! Whatever lies in the inbox, it is answered: with events, a dead letter, or where it is a duplicate nothing.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::codec::event_to_json;
use thalweg_core::event::EventError;
use thalweg_core::inbound::{self, Reading, STARTED};
use thalweg_core::limits::ERROR_MESSAGE_MAX_BYTES;
use thalweg_core::{Event, Json, Limits, partition_of};

use crate::anything::WORKFLOWS;
use crate::cases;
use crate::memory_router::{MemoryRouter, SCHEMAS, read_record, record};
use crate::random_workflow::json_value;

/// Partitions of an inbox whose records may belong elsewhere.
const PARTITIONS: i32 = 12;

/// What the execution "e" is when the record comes.
#[derive(Clone, Copy, Debug)]
enum Before {
    Unknown,
    Open,
    Pending,
    Closed,
}

fn before() -> impl Strategy<Value = Before> {
    prop::sample::select(vec![Before::Unknown, Before::Open, Before::Open, Before::Pending, Before::Closed])
}

fn router_with(before: Before) -> MemoryRouter<'static> {
    let step_max_events = if let Before::Pending = before { 1 } else { 256 };
    let mut router = MemoryRouter::new(&WORKFLOWS, Limits { step_max_events, ..Limits::default() });
    if let Before::Unknown = before {
        return router;
    }
    router.send("e", 0, &json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "w"}));
    if let Before::Closed = before {
        router.send("e", 1, &json!({"event_type": "end", "execution_id": "e", "payload": {"complete": 1}}));
    }
    router.commit();
    router
}

/// Hands the record to the router, and holds what must hold of any answer.
fn answer(before: Before, key: Option<&[u8]>, value: &[u8]) {
    if let Ok(Reading::Elsewhere { partition, execution_id, event_id }) =
        inbound::read(&record(key, 7, value), PARTITIONS, &SCHEMAS, &Limits::default())
    {
        assert_eq!(partition_of(execution_id.as_bytes(), PARTITIONS), partition);
        assert!(partition != 0 && !event_id.is_empty());
    }
    let inbound = match read_record(key, 7, value, &Limits::default()) {
        Ok(inbound) => inbound,
        Err(refusal) => {
            assert!((1..=ERROR_MESSAGE_MAX_BYTES).contains(&refusal.message.len()), "{} bytes", refusal.message.len());
            return;
        }
    };
    let mut router = router_with(before);
    let id = inbound.event.execution_id.clone();
    router.step(&id, Some(inbound), &mut || false);
    router.drain(&id);
    router.assert_folded(&id);
    router.commit();
    router.assert_folded(&id);
    let log = router.log(&id);
    for event in log.published.iter().chain(&log.rejected) {
        assert!(event_to_json(event).is_object(), "{} has a JSON form", event.event_type);
    }
}

/// One change of bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Truncate(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    // Lengths and counts in Avro are zig-zag varints: these are the largest and smallest there are.
    let edges = prop::sample::select(vec![
        vec![0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        vec![0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x40],
        vec![0x01],
        b"\\u0000".to_vec(),
        b"1e400".to_vec(),
        b"[[[[[[[[".to_vec(),
    ]);
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        2 => (at(), prop_oneof![edges, prop::collection::vec(any::<u8>(), 1..6)])
            .prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        2 => (at(), 1..12usize).prop_map(|(at, length)| Mutation::Remove(at, length)),
        1 => (at(), 1..40usize).prop_map(|(at, length)| Mutation::Repeat(at, length)),
        1 => at().prop_map(Mutation::Truncate),
    ]
}

fn mutated(mut bytes: Vec<u8>, mutations: &[Mutation]) -> Vec<u8> {
    for mutation in mutations {
        let position = |index: &prop::sample::Index| index.index(bytes.len() + 1);
        let range = |index: &prop::sample::Index, length: usize| {
            let from = position(index);
            from..(from + length).min(bytes.len())
        };
        match mutation {
            Mutation::Replace(at, byte) => {
                let at = position(at);
                if let Some(old) = bytes.get_mut(at) {
                    *old = *byte;
                }
            }
            Mutation::Insert(at, inserted) => {
                let at = position(at);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Mutation::Remove(at, length) => {
                let range = range(at, *length);
                bytes.drain(range);
            }
            Mutation::Repeat(at, length) => {
                let range = range(at, *length);
                let repeated = bytes[range.clone()].to_vec();
                bytes.splice(range.end..range.end, repeated);
            }
            Mutation::Truncate(at) => bytes.truncate(position(at)),
        }
    }
    bytes
}

/// An event that fits one of the executions well or nearly.
fn event() -> impl Strategy<Value = Value> {
    let types = vec![STARTED, "answer", "one.ended", "anything.else", "end", "workflow.canceled"];
    let payload = prop_oneof![
        2 => json_value(),
        1 => prop::sample::select(vec![
            json!({"emit": [{"event_type": "more", "payload": {"result": 1}}]}),
            json!({"complete": {"ok": true}}),
            json!({"complete_branch": 5}),
            json!({"fail": {"code": "NO", "message": "as told"}}),
            json!({"wait_for": [{"event_type": "never"}]}),
            json!({"fan_out": {"name": "n", "branches": [{"name": "a"}], "completed_event": "workflow.started"}}),
            json!({"fan_out": {"name": "n", "branches": [{"name": "a", "event": {"event_type": "b"}}]}}),
        ]),
    ];
    let branch = prop::option::of(prop::sample::select(vec!["one", "two", "three"]));
    let some_fields = prop::collection::btree_map(prop::sample::select(&FIELDS[..]), json_value(), 1..3);
    let fields = prop_oneof![2 => Just(BTreeMap::new()), 1 => some_fields];
    (prop::sample::select(types), payload, branch, fields).prop_map(|(event_type, payload, branch, fields)| {
        let mut event = json!({
            "event_type": event_type, "execution_id": "e", "workflow_id": "w", "payload": payload, "event_id": "i",
            "correlation_id": "c",
        });
        if let Some(branch) = branch {
            event["scope"] = json!(SCOPE.as_str());
            event["branch"] = json!(branch);
        }
        for (field, value) in fields {
            event[field] = value;
        }
        event
    })
}

/// The id of the scope that execution "e" opens.
static SCOPE: LazyLock<String> = LazyLock::new(|| {
    let router = router_with(Before::Open);
    router.log("e").published.iter().find_map(|event| event.scope.clone()).unwrap()
});

/// Names in the JSON form, and some that are none.
const FIELDS: [&str; 26] = [
    "event_id",
    "execution_id",
    "workflow_id",
    "workflow_version",
    "channel",
    "message_class",
    "sequence",
    "occurred_at",
    "recorded_at",
    "source",
    "error",
    "duration_ms",
    "attempt",
    "priority",
    "correlation_id",
    "parent_event_id",
    "scope",
    "branch",
    "reply",
    "entities",
    "ext",
    "effects",
    "subject",
    "tenant_id",
    "unknown",
    "",
];

/// A text that a writer of another make may put where a JSON document is asked for.
fn json_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["null", " null", "1", "{}", "{\"result\": 2}", "\"text\"", "1e400", "", "no"])
            .prop_map(str::to_owned),
        1 => "\\PC{0,8}",
        1 => (0..200usize).prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth)),
    ]
}

/// Fields of any value that their types allow.
fn loose_event() -> impl Strategy<Value = (Event, [String; 3])> {
    let numbers =
        (any::<i64>(), prop::option::of(any::<i64>()), any::<i64>(), any::<i32>(), prop::option::of(any::<f64>()));
    let priority = prop_oneof![3 => Just(100), 1 => any::<i32>()];
    let texts = prop::collection::vec(prop::option::weighted(0.2, prop_oneof![5 => "\\PC{0,6}", 1 => "\\x00?\\n?"]), 6);
    let json_texts = [json_text(), json_text(), json_text()];
    (event(), numbers, priority, texts, json_texts, any::<bool>()).prop_map(
        |(event, (occurred_at, recorded_at, sequence, attempt, duration_ms), priority, texts, json_texts, detailed)| {
            let text = |field: &str| event[field].as_str().map(str::to_owned);
            let mut texts = texts.into_iter();
            let mut loose = || texts.next().flatten();
            let event = Event {
                event_type: text("event_type").unwrap_or_default(),
                event_id: loose().unwrap_or_default(),
                execution_id: loose().unwrap_or_else(|| "e".to_owned()),
                workflow_id: Some("w".to_owned()),
                occurred_at,
                recorded_at,
                sequence,
                attempt,
                duration_ms,
                priority,
                correlation_id: loose(),
                parent_event_id: loose(),
                source: loose(),
                status: loose(),
                scope: text("scope"),
                branch: text("branch"),
                error: detailed.then(EventError::default),
                ..Event::default()
            };
            (event, json_texts)
        },
    )
}

/// The event in Avro, with these texts as its payload, a value of `ext` and the details of its error.
fn avro((event, texts): &(Event, [String; 3])) -> Vec<u8> {
    // Our own types hold well-formed JSON alone, so stand-ins of the same length are written and replaced.
    let stand_in = |letter: &str, text: &str| json!(letter.repeat(text.len() + 8)).to_string();
    let stand_ins = [stand_in("P", &texts[0]), stand_in("X", &texts[1]), stand_in("D", &texts[2])];
    let mut event = event.clone();
    event.payload = Json::parse(stand_ins[0].clone()).ok();
    event.ext.insert("x".to_owned(), Json::parse(stand_ins[1].clone()).unwrap());
    if let Some(error) = &mut event.error {
        error.details = Json::parse(stand_ins[2].clone()).ok();
    }
    let mut bytes = SCHEMAS.write_event(&event).unwrap();
    for (stand_in, text) in stand_ins.iter().zip(texts) {
        let place = bytes.windows(stand_in.len()).position(|window| window == stand_in.as_bytes());
        if let Some(at) = place {
            let padded = format!("{text}{}", " ".repeat(stand_in.len() - text.len()));
            bytes[at..at + stand_in.len()].copy_from_slice(padded.as_bytes());
        }
    }
    bytes
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn arbitrary_bytes_are_answered(
        before in before(), key in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
        head in prop::sample::select(vec![&b""[..], b"{", b"{\"", b"\xC3\x01", b"\x00", b" {\"event_type\":"]),
        bytes in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        answer(before, key.as_deref(), &[head, &bytes].concat());
    }

    #[test]
    fn arbitrary_avro_data_are_answered(before in before(), bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        let header = SCHEMAS.write_event(&Event::new("x", 0)).unwrap()[..10].to_vec();
        answer(before, Some(b"e"), &[header, bytes].concat());
    }

    #[test]
    fn arbitrary_json_is_answered(before in before(), json in json_value(), event in event()) {
        answer(before, Some(b"e"), json.to_string().as_bytes());
        answer(before, Some(b"e"), event.to_string().as_bytes());
    }

    #[test]
    fn mutated_json_is_answered(
        before in before(), event in event(), mutations in prop::collection::vec(mutation(), 1..5),
    ) {
        answer(before, Some(b"e"), &mutated(event.to_string().into_bytes(), &mutations));
    }

    #[test]
    fn loose_avro_is_answered(before in before(), event in loose_event()) {
        answer(before, None, &avro(&event));
    }

    #[test]
    fn mutated_avro_is_answered(
        before in before(), event in loose_event(), mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let bytes = avro(&event);
        let (header, datum) = bytes.split_at(10);
        answer(before, None, &[header, &mutated(datum.to_vec(), &mutations)].concat());
    }
}
