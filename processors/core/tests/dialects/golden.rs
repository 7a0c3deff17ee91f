//! Golden documents, each with its event.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;
use thalweg_core::codec::Schemas;
use thalweg_core::dialect::{self, Dialect, binary_record};
use thalweg_core::effect::to_hex;
use thalweg_core::inbound::{self, InboxRecord, Reading};
use thalweg_core::{Event, Limits};

use crate::spelled::{by_lines, spelled};

pub static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| Schemas::new().unwrap());

/// Formats with documents: all but the native one.
pub fn foreign() -> impl Iterator<Item = Dialect> {
    Dialect::ALL.iter().copied().filter(|dialect| *dialect != Dialect::Native)
}

fn directory(dialect: Dialect) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialects").join(dialect.as_str())
}

/// The documents of a dialect by their names; without records in binary mode.
pub fn documents(dialect: Dialect) -> BTreeMap<String, String> {
    files(dialect).into_iter().filter(|(name, _)| !name.starts_with("binary.")).collect()
}

fn files(dialect: Dialect) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory(dialect)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if let Some(name) = name.strip_suffix(".json").filter(|name| !name.ends_with(".native")) {
            files.insert(name.to_owned(), fs::read_to_string(&path).unwrap());
        }
    }
    files
}

/// The event beside a document; written first where that is asked for.
fn golden_event(dialect: Dialect, name: &str, event: &Event) -> Event {
    let path = directory(dialect).join(format!("{name}.native.json"));
    if std::env::var("THALWEG_WRITE_GOLDEN").is_ok_and(|set| set == "1") {
        fs::write(&path, by_lines(&Dialect::Native.write(event))).unwrap();
    }
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Dialect::Native.read(&text).unwrap()
}

#[test]
fn each_document_is_its_event_and_comes_back_as_it_was() {
    for dialect in foreign() {
        for (name, text) in documents(dialect) {
            let event = dialect.read(text.as_bytes()).unwrap_or_else(|refusal| panic!("{dialect} {name}: {refusal}"));
            assert_eq!(dialect::of_shape(text.as_bytes()), Ok(Some(dialect)), "{name} is told by its shape");
            let native = golden_event(dialect, &name, &event);
            assert_eq!(native, event, "{dialect} {name}");
            let back = dialect.write(&native);
            assert_eq!(spelled(&back), spelled(&text), "{dialect} {name} comes back");
            assert_eq!(dialect.write_published(&native), back, "{dialect} {name} goes out as it came");
            assert!(!back.contains('\n'), "a document a line: {back}");
        }
    }
}

/// Through the inbox and Avro, with what the router adds: the members that were sent are those that go out.
#[test]
fn what_was_sent_goes_out_as_it_was_sent_after_the_router_took_it_in() {
    for dialect in foreign() {
        for (name, text) in documents(dialect) {
            let taken = match take_in(Some(text.as_bytes()), &[]) {
                Ok(event) => event,
                // Commands of the engine that this version does not have.
                Err(refusal) if refusal.starts_with("EVENT_RESERVED") => continue,
                Err(refusal) => panic!("{dialect} {name}: {refusal}"),
            };
            let published = Event { sequence: 3, recorded_at: Some(5), ..taken };
            let read = SCHEMAS.read_event(&SCHEMAS.write_event(&published).unwrap()).unwrap();
            let (out, sent) = (spelled(&dialect.write_published(&read)), spelled(&text));
            for (at, value) in &sent {
                assert_eq!(out.get(at), Some(value), "{dialect} {name} {at}");
            }
            assert_eq!(
                dialect.read(dialect.write(&read).as_bytes()).unwrap(),
                read,
                "{dialect} {name}: nothing is lost"
            );
        }
    }
}

fn take_in(value: Option<&[u8]>, headers: dialect::Headers) -> Result<Event, String> {
    let record = InboxRecord {
        topic: "inbox",
        partition: 0,
        offset: 3,
        timestamp: 7,
        key: Some(b"key"),
        value,
        origin: None,
        redrive: 0,
        headers,
    };
    match inbound::read(&record, 1, &SCHEMAS, &Limits::default()) {
        Ok(Reading::Event(inbound)) => Ok(inbound.event),
        Ok(Reading::Elsewhere { .. }) => panic!("one partition has every execution"),
        Err(refusal) => Err(refusal.to_string()),
    }
}

#[test]
fn every_type_of_the_table_has_a_document() {
    for (dialect, foreign, verdict) in dialect::table() {
        let documents = documents(dialect);
        let by_name = documents.contains_key(foreign);
        let same = || {
            let types = documents.values().map(|text| dialect.read(text.as_bytes()).unwrap().event_type);
            types.into_iter().any(|event_type| event_type == verdict.event_type)
        };
        let must = matches!(dialect, Dialect::Compozy | Dialect::Dreamos | Dialect::Jamjet);
        assert!(by_name || (!must && (same() || is_dotted(foreign))), "{dialect} has no {foreign}.json");
    }
}

/// Types of the engine's prefixes in formats whose types are the user's.
fn is_dotted(foreign: &str) -> bool {
    foreign.starts_with("workflow.") || foreign.starts_with("task.")
}

type Record = (Vec<(String, Option<Vec<u8>>)>, Option<Vec<u8>>);

fn record_of(file: &str) -> Record {
    let file: Value = serde_json::from_str(file).unwrap();
    let headers = file["headers"].as_object().unwrap().iter();
    let headers = headers.map(|(name, value)| (name.clone(), Some(value.as_str().unwrap().as_bytes().to_vec())));
    let hex = file["value_hex"].as_str().map(|hex| {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect::<Vec<u8>>()
    });
    let value = file["value"].as_str().map(|text| text.as_bytes().to_vec()).or(hex);
    (headers.collect(), value)
}

#[test]
fn a_record_in_binary_mode_is_its_event_and_comes_back_to_the_byte() {
    let files = files(Dialect::Cloudevents);
    let binary: Vec<_> = files.iter().filter(|(name, _)| name.starts_with("binary.")).collect();
    assert_eq!(binary.len(), 4);
    for (name, file) in binary {
        let (headers, value) = record_of(file);
        let event = dialect::read_record(value.as_deref(), &headers, &SCHEMAS).unwrap();
        let golden = golden_event(Dialect::Cloudevents, name, &event);
        assert_eq!(Dialect::Native.write(&golden), Dialect::Native.write(&event), "{name}");
        let (mut back, back_value) = binary_record(&event);
        back.sort();
        let mut headers = headers;
        headers.sort();
        assert_eq!(back, headers, "{name}");
        assert_eq!(back_value.as_deref().map(to_hex), value.as_deref().map(to_hex), "{name}");
        take_in(value.as_deref(), &headers).unwrap();
    }
}
