//! What is wrong with an inbox record is said clearly: a code, and a sentence that names the trouble.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use serde_json::{Value, json};
use thalweg_core::apply::{Action, DeadLetter, Step, drive};
use thalweg_core::codec::Schemas;
use thalweg_core::inbound::{self, Inbound, InboxRecord, Reading, Refusal, STARTED};
use thalweg_core::limits::{ENVELOPE_MAX_BYTES, ERROR_MESSAGE_MAX_BYTES, EXECUTION_ID_MAX_BYTES, NAME_MAX_BYTES};
use thalweg_core::task::{TaskCall, TaskRun};
use thalweg_core::{Channel, EmptyStore, ErrorCode, Event, Execution, Limits, Workflow, Workflows, partition_of};

/// Partitions of the inbox.
const PARTITIONS: i32 = 1;

fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> InboxRecord<'a> {
    InboxRecord {
        topic: "inbox",
        partition: 0,
        offset: 3,
        timestamp: 5,
        key,
        value,
        origin: None,
        redrive: 0,
        headers: &[],
    }
}

fn read(key: Option<&[u8]>, value: &[u8]) -> Result<Inbound, Refusal> {
    let schemas = Schemas::new().unwrap();
    match inbound::read(&record(key, Some(value)), PARTITIONS, &schemas, &Limits::default())? {
        Reading::Event(inbound) => Ok(*inbound),
        Reading::Elsewhere { .. } => panic!("one partition has every execution"),
    }
}

fn refusal(value: &[u8]) -> Refusal {
    read(Some(b"e"), value).unwrap_err()
}

fn refusal_of(event: &Value) -> Refusal {
    refusal(event.to_string().as_bytes())
}

/// An event with one field set.
fn with(field: &str, value: Value) -> Value {
    let mut event = json!({"event_type": "claim.noted", "execution_id": "e"});
    event[field] = value;
    event
}

fn assert_refused(refusal: &Refusal, code: ErrorCode, says: &str) {
    assert_eq!(refusal.code, code, "{refusal}");
    assert!(refusal.message.contains(says), "{:?} says nothing of {says:?}", refusal.message);
    assert!(refusal.message.len() <= ERROR_MESSAGE_MAX_BYTES);
}

/// What the step answers to an event for an execution that is not known, and that it does not keep.
fn answer_to_unknown(event: &Value) -> Vec<Action> {
    let inbound = read(None, event.to_string().as_bytes()).unwrap();
    let workflows = Workflows::new().with(Workflow::new("insurance_claim", "1"));
    let limits = Limits { early_start_ttl_ms: 0, ..Limits::default() };
    let step = Step { now: 9, workflows: &workflows, limits: &limits, store: &EmptyStore };
    let mut no_task = |call: TaskCall| -> TaskRun { panic!("{call:?}") };
    drive(&mut Execution::unknown(&inbound.event.execution_id.clone()), Some(inbound), &step, &mut no_task, &mut || {
        false
    })
}

fn dead_letter_of(event: &Value) -> DeadLetter {
    match answer_to_unknown(event).as_slice() {
        [Action::DeadLetter(letter)] => letter.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_at_all() {
    let schemas = Schemas::new().unwrap();
    let tombstone = inbound::read(&record(Some(b"e"), None), PARTITIONS, &schemas, &Limits::default());
    assert_refused(&tombstone.unwrap_err(), ErrorCode::DecodeFailed, "tombstone");
    assert_refused(&refusal(b""), ErrorCode::DecodeFailed, "empty");
    assert_refused(&refusal(b"   "), ErrorCode::DecodeFailed, "neither Avro");
}

#[test]
fn no_encoding() {
    assert_refused(&refusal(b"{"), ErrorCode::DecodeFailed, "not a JSON object");
    assert_refused(&refusal(b"hello"), ErrorCode::DecodeFailed, "neither Avro");
    assert_refused(&refusal(b"[1]"), ErrorCode::DecodeFailed, "neither Avro");
    assert_refused(&refusal(b"{\"event_type\":\"a\"} {}"), ErrorCode::DecodeFailed, "trailing");
    assert_refused(&refusal(b"{\"event_type\":\"\xFF\"}"), ErrorCode::DecodeFailed, "unicode");
    assert_refused(&refusal(b"\x00\x00\x00\x00\x07abc"), ErrorCode::DecodeFailed, "Confluent");
    let garbage: Vec<u8> = (0..1_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 | 0x80).collect();
    assert_refused(&refusal(&garbage), ErrorCode::DecodeFailed, "neither Avro");
}

#[test]
fn json_that_is_no_event() {
    assert_refused(&refusal(b"{}"), ErrorCode::EventInvalid, "event_type is missing");
    assert_refused(&refusal_of(&json!({"type": "claim.noted"})), ErrorCode::EventInvalid, "event_type is missing");
    assert_refused(&refusal_of(&with("event_type", json!(7))), ErrorCode::EventInvalid, "field event_type");
    assert_refused(&refusal_of(&with("execution_id", json!(null))), ErrorCode::EventInvalid, "field execution_id");
    assert_refused(&refusal_of(&with("entities", json!({"task": 1}))), ErrorCode::EventInvalid, "field entities.task");
    assert_refused(&refusal_of(&with("occurred_at", json!("yesterday"))), ErrorCode::EventInvalid, "field occurred_at");
    assert_refused(&refusal_of(&with("priority", json!(256))), ErrorCode::EventInvalid, "0 to 255");
    assert_refused(&refusal_of(&with("message_class", json!("order"))), ErrorCode::EventInvalid, "message_class");
    assert_refused(&refusal_of(&with("scope", json!("s"))), ErrorCode::EventInvalid, "together");
    assert_refused(
        &refusal(b"{\"event_type\":\"a\",\"event_type\":\"b\"}"),
        ErrorCode::EventInvalid,
        "duplicate field `event_type`",
    );
}

#[test]
fn an_unknown_channel_is_answered_with_the_list() {
    let refusal = refusal_of(&with("channel", json!("gossip")));
    assert_refused(&refusal, ErrorCode::ChannelUnknown, "\"gossip\"");
    for channel in Channel::ALL {
        assert!(refusal.message.contains(channel.as_str()));
    }
}

#[test]
fn a_reserved_type() {
    for event_type in [
        "workflow.completed",
        "task.failed",
        "scope.completed",
        "timer.fired",
        "transition.rejected",
        "event.unhandled",
    ] {
        assert_refused(&refusal_of(&with("event_type", json!(event_type))), ErrorCode::EventReserved, event_type);
    }
    assert!(read(Some(b"e"), with("event_type", json!("workflows.noted")).to_string().as_bytes()).is_ok());
}

#[test]
fn too_large() {
    let limit = Limits::default().payload_max_bytes;
    let text = |bytes: usize| json!("x".repeat(bytes - 2));
    assert!(read(Some(b"e"), with("payload", text(limit)).to_string().as_bytes()).is_ok());
    assert_refused(&refusal_of(&with("payload", text(limit + 1))), ErrorCode::TooLarge, "payload.max.bytes");
    assert_refused(&refusal_of(&with("payload", text(2_000_000))), ErrorCode::TooLarge, "2000000 bytes");
    assert_refused(&refusal_of(&with("subject", text(ENVELOPE_MAX_BYTES))), ErrorCode::TooLarge, "without its payload");
    assert_refused(&refusal_of(&with("unknown", text(ENVELOPE_MAX_BYTES))), ErrorCode::TooLarge, "without its payload");
}

#[test]
fn a_refusal_quotes_no_more_than_a_dead_letter_has_room_for() {
    let long = json!("x".repeat(1_000_000));
    assert_refused(&refusal_of(&with("priority", long.clone())), ErrorCode::EventInvalid, "field priority");
    assert_refused(&refusal_of(&with("message_class", long.clone())), ErrorCode::EventInvalid, "message_class");
    assert_refused(&refusal_of(&with("channel", long)), ErrorCode::ChannelUnknown, "none of the eight");
    let key = format!("{{\"event_type\":\"a\",\"entities\":{{\"{}\":1}}}}", "é".repeat(500_000));
    assert_refused(&refusal(key.as_bytes()), ErrorCode::EventInvalid, "field entities.");
}

#[test]
fn deep_nesting() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let event = |field: &str, depth: usize| format!("{{\"event_type\":\"a\",\"{field}\":{}}}", nested(depth));
    assert!(read(Some(b"e"), event("payload", 64).as_bytes()).is_ok());
    assert_refused(&refusal(event("payload", 65).as_bytes()), ErrorCode::PayloadInvalid, "deeper than 64");
    assert_refused(&refusal(event("payload", 100_000).as_bytes()), ErrorCode::PayloadInvalid, "recursion");
    assert_refused(&refusal(event("unknown", 100_000).as_bytes()), ErrorCode::EventInvalid, "field unknown");
    let ext = format!("{{\"event_type\":\"a\",\"ext\":{{\"deep\":{}}}}}", nested(1000));
    assert_refused(&refusal(ext.as_bytes()), ErrorCode::EventInvalid, "field deep");
}

#[test]
fn avro_of_an_unknown_schema() {
    let value = [b"\xC3\x01".as_slice(), &[1, 2, 3, 4, 5, 6, 7, 8], b"datum"].concat();
    assert_refused(&refusal(&value), ErrorCode::SchemaUnknown, "0102030405060708");
}

#[test]
fn avro_of_another_record() {
    let schemas = Schemas::new().unwrap();
    let key = thalweg_core::context::ContextKey { execution_id: "e".into(), scope: "s".into(), branch: None };
    assert_refused(&refusal(&schemas.write_context_key(&key).unwrap()), ErrorCode::DecodeFailed, "not a thalweg.Event");
}

#[test]
fn truncated_avro() {
    let schemas = Schemas::new().unwrap();
    let whole = schemas.write_event(&Event { execution_id: "e".into(), ..Event::new("claim.noted", 1) }).unwrap();
    assert!(read(None, &whole).is_ok());
    for length in 2..whole.len() {
        assert_eq!(refusal(&whole[..length]).code, ErrorCode::DecodeFailed, "{length} bytes of {}", whole.len());
    }
    let longer = [whole.as_slice(), b"!"].concat();
    assert_refused(&refusal(&longer), ErrorCode::DecodeFailed, "left over");
}

#[test]
fn a_claimed_length_is_not_allocated() {
    let schemas = Schemas::new().unwrap();
    let header = schemas.write_event(&Event::new("x", 0)).unwrap()[..10].to_vec();
    // Zig-zag varints of 2^40, of the largest and of the smallest length there is.
    let lengths: [&[u8]; 3] = [
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x40],
        &[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
        &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
    ];
    for length in lengths {
        let refusal = refusal(&[&header, length, b"abc"].concat());
        assert_eq!(refusal.code, ErrorCode::DecodeFailed, "{refusal}");
    }
    let claimed = refusal(&[&header, lengths[0], b"abc"].concat());
    assert_refused(&claimed, ErrorCode::DecodeFailed, "1099511627776");
}

#[test]
fn avro_with_texts_that_are_no_json() {
    let schemas = Schemas::new().unwrap();
    let event = |payload: &str, ext: &str| {
        let stand_in = |text: &str| thalweg_core::Json::parse(json!("x".repeat(text.len())).to_string()).unwrap();
        let mut event = Event { execution_id: "e".into(), ..Event::new("claim.noted", 1) };
        event.payload = Some(stand_in(payload));
        let before = schemas.write_event(&event).unwrap();
        event.ext.insert("note".to_owned(), stand_in(ext));
        let mut bytes = schemas.write_event(&event).unwrap();
        for text in [payload, ext] {
            let old = json!("x".repeat(text.len())).to_string();
            let at = bytes.windows(old.len()).position(|window| window == old.as_bytes()).unwrap();
            bytes[at..at + old.len()].copy_from_slice(format!("{text}  ").as_bytes());
        }
        assert_ne!(before, bytes);
        bytes
    };
    assert!(read(None, &event("{}", "[1,2]")).is_ok());
    assert_refused(&refusal(&event("{no", "[1,2]")), ErrorCode::PayloadInvalid, "not usable JSON");
    assert_refused(&refusal(&event("{}", "no JSON")), ErrorCode::EventInvalid, "field note");
}

#[test]
fn execution_ids() {
    let id = |id: &str| with("execution_id", json!(id));
    assert!(read(None, id(&"x".repeat(EXECUTION_ID_MAX_BYTES)).to_string().as_bytes()).is_ok());
    assert_refused(&refusal_of(&id(&"x".repeat(10_240))), ErrorCode::EventInvalid, "10240 bytes");
    assert_refused(&refusal_of(&id("a\nb")), ErrorCode::EventInvalid, "control characters");
    assert_refused(&refusal_of(&id("a\u{7f}")), ErrorCode::EventInvalid, "control characters");

    let no_id = with("note", json!(1)).to_string().replace(",\"execution_id\":\"e\"", "");
    let from_key = |key: &[u8]| read(Some(key), no_id.as_bytes());
    assert_eq!(from_key(b"claim-7").unwrap().event.execution_id, "claim-7");
    assert_refused(&from_key(&[b'x'; 10_240]).unwrap_err(), ErrorCode::EventInvalid, "10240 bytes");
    assert_refused(&from_key(b"a\nb").unwrap_err(), ErrorCode::EventInvalid, "control characters");
    assert_refused(&from_key(b"\xFF").unwrap_err(), ErrorCode::EventInvalid, "not UTF-8");
}

#[test]
fn an_empty_execution_id_counts_as_none() {
    // Avro can't tell an empty text from an absent one, so JSON does not either.
    let noted = with("execution_id", json!("")).to_string();
    assert_eq!(read(Some(b"claim-7"), noted.as_bytes()).unwrap().event.execution_id, "claim-7");
    for key in [None, Some(b"".as_slice())] {
        assert_refused(&read(key, noted.as_bytes()).unwrap_err(), ErrorCode::ExecutionUnknown, "no execution_id");
        let start = json!({"event_type": STARTED, "execution_id": "", "workflow_id": "insurance_claim"}).to_string();
        let event = read(key, start.as_bytes()).unwrap().event;
        assert_eq!(partition_of(event.execution_id.as_bytes(), PARTITIONS), 0);
        assert_eq!(event.execution_id, read(key, start.as_bytes()).unwrap().event.execution_id);
    }
}

#[test]
fn other_names() {
    for field in ["event_id", "workflow_id", "correlation_id", "parent_event_id", "workflow_version"] {
        let long = json!("x".repeat(NAME_MAX_BYTES + 1));
        assert_refused(&refusal_of(&with(field, long)), ErrorCode::EventInvalid, field);
        assert_refused(&refusal_of(&with(field, json!("a\tb"))), ErrorCode::EventInvalid, field);
    }
}

#[test]
fn an_event_for_an_unknown_execution() {
    let letter = dead_letter_of(&with("note", json!(1)));
    assert_eq!(letter.code, ErrorCode::ExecutionUnknown);
    assert_eq!(letter.input.as_deref(), Some("inbox/0/3"));
    assert!(letter.message.contains(STARTED), "{}", letter.message);
}

#[test]
fn a_bad_start() {
    let start = |workflow_id: Value, payload: Value| {
        let mut start = with("workflow_id", workflow_id);
        start["event_type"] = json!(STARTED);
        start["payload"] = payload;
        start
    };
    let code_of = |workflow_id: Value, payload: Value| dead_letter_of(&start(workflow_id, payload)).code;
    assert_eq!(code_of(json!(null), json!({})), ErrorCode::EventInvalid);
    assert_eq!(code_of(json!("unheard_of"), json!({})), ErrorCode::WorkflowUnknown);
    for payload in [json!("data"), json!(7), json!([{}]), json!(true)] {
        assert_eq!(code_of(json!("insurance_claim"), payload), ErrorCode::PayloadInvalid);
    }
    let mut in_branch = start(json!("insurance_claim"), json!({}));
    in_branch["scope"] = json!("s");
    in_branch["branch"] = json!("b");
    assert_eq!(dead_letter_of(&in_branch).code, ErrorCode::ScopeUnknown);
}

#[test]
fn a_start_without_data_starts_with_none() {
    for payload in [json!(null), json!({})] {
        let event = json!({
            "event_type": STARTED, "execution_id": "e", "workflow_id": "insurance_claim", "payload": payload,
        });
        let actions = answer_to_unknown(&event);
        assert!(
            actions.iter().any(|action| matches!(action, Action::Publish(event, _) if event.event_type == STARTED))
        );
    }
}
