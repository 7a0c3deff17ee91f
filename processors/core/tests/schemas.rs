//! Schemas evolve: every version can be read with every other, no field is ever left out, and what was ever written
//! stays readable.
//!
//! `schemas/versions/<name>/<n>.avsc` is version n of `schemas/<name>.avsc`; `<n>.json` is a record of it, `<n>.avro`
//! the same as it was written. To add a version, put its record at `<n>.json`; to change the newest one before it is
//! released, change its record; then
//!
//!     THALWEG_WRITE_GOLDEN=1 cargo test -p thalweg-core --test schemas
//!
//! writes the other two files of the newest version.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{LazyLock, Once};

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thalweg_core::codec::{CodecError, Schemas, fingerprint_of, fingerprint_of_text};

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| Schemas::new().unwrap());

/// The record in these bytes, as JSON.
type Read = dyn Fn(&[u8]) -> Result<Value, CodecError>;
/// The bytes of a record that is given as JSON.
type Write = dyn Fn(Value) -> Vec<u8>;

/// A schema, and the code that reads and writes records of it.
struct Format {
    name: &'static str,
    read: Box<Read>,
    write: Box<Write>,
}

fn format<T: Serialize + DeserializeOwned + 'static>(
    name: &'static str,
    read: fn(&Schemas, &[u8]) -> Result<T, CodecError>,
    write: fn(&Schemas, &T) -> Result<Vec<u8>, CodecError>,
) -> Format {
    Format {
        name,
        read: Box::new(move |bytes| Ok(serde_json::to_value(read(&SCHEMAS, bytes)?).unwrap())),
        write: Box::new(move |json| write(&SCHEMAS, &serde_json::from_value(json).unwrap()).unwrap()),
    }
}

fn formats() -> [Format; 5] {
    static GOLDEN: Once = Once::new();
    let formats = [
        format("event", Schemas::read_event, Schemas::write_event),
        format("context", Schemas::read_context, Schemas::write_context),
        format("scope", Schemas::read_scope, Schemas::write_scope),
        format("branch", Schemas::read_branch, Schemas::write_branch),
        format("context_key", Schemas::read_context_key, Schemas::write_context_key),
    ];
    if std::env::var("THALWEG_WRITE_GOLDEN").is_ok_and(|set| set == "1") {
        GOLDEN.call_once(|| formats.iter().for_each(Format::write_newest));
    }
    formats
}

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas"))
}

impl Format {
    fn path(&self, version: u32, kind: &str) -> PathBuf {
        directory().join("versions").join(self.name).join(format!("{version}.{kind}"))
    }

    fn file(&self, version: u32, kind: &str) -> Vec<u8> {
        let path = self.path(version, kind);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn text(&self, version: u32) -> String {
        String::from_utf8(self.file(version, "avsc")).unwrap()
    }

    fn schema(&self, version: u32) -> Schema {
        Schema::parse_str(&self.text(version)).unwrap()
    }

    fn record(&self, version: u32) -> Value {
        serde_json::from_slice(&self.file(version, "json")).unwrap()
    }

    fn current_text(&self) -> String {
        fs::read_to_string(directory().join(format!("{}.avsc", self.name))).unwrap()
    }

    /// The number of the newest version: they are counted from 1.
    fn newest(&self) -> u32 {
        let newest = (1..).take_while(|version| self.path(*version, "json").exists()).last();
        newest.unwrap_or_else(|| panic!("schema {} has no version", self.name))
    }

    fn write_newest(&self) {
        let newest = self.newest();
        fs::write(self.path(newest, "avsc"), self.current_text()).unwrap();
        fs::write(self.path(newest, "avro"), (self.write)(self.record(newest))).unwrap();
    }
}

/// Is every field of `part` in `whole`, with its value?
fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|other| is_part(value, other)))
        }
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(value, other)| is_part(value, other))
        }
        _ => part == whole,
    }
}

/// Why versions, oldest first, could not be mixed in a rolling upgrade, or be rolled back.
///
/// That Avro can resolve every pair is not enough: a field that is left out, or renamed, would be read as its default by
/// the version before, and what it tells, say what is pending, would be lost.
fn conflicts(versions: &[Value]) -> Vec<String> {
    let schemas: Vec<Schema> = versions.iter().map(|version| Schema::parse(version).unwrap()).collect();
    let mut conflicts = Vec::new();
    for (written, writer) in (1..).zip(&schemas) {
        for (read, reader) in (1..).zip(&schemas) {
            let answer = SchemaCompatibility::can_read(writer, reader);
            if answer != Ok(Compatibility::Full) {
                conflicts.push(format!("version {read} can't read what version {written} has written: {answer:?}"));
            }
        }
    }
    for (number, pair) in (2..).zip(versions.windows(2)) {
        let (before, after) = (field_names(&pair[0]), field_names(&pair[1]));
        conflicts.extend(before.difference(&after).map(|field| format!("version {number} has no field {field}")));
    }
    conflicts
}

/// The fields of all records in a schema, each as `Record.field`.
fn field_names(schema: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for record in records(schema, "") {
        let record = schema.pointer(&record).unwrap();
        for field in record["fields"].as_array().unwrap() {
            names.insert(format!("{}.{}", record["name"].as_str().unwrap(), field["name"].as_str().unwrap()));
        }
    }
    names
}

/// Where the records in a schema are, as JSON pointers.
fn records(schema: &Value, at: &str) -> Vec<String> {
    let here = (schema["type"] == "record").then(|| at.to_owned());
    let inner: Vec<(String, &Value)> = match schema {
        Value::Object(fields) => fields.iter().map(|(name, value)| (format!("{at}/{name}"), value)).collect(),
        Value::Array(items) => (0..).zip(items).map(|(n, value): (usize, _)| (format!("{at}/{n}"), value)).collect(),
        _ => Vec::new(),
    };
    here.into_iter().chain(inner.into_iter().flat_map(|(at, value)| records(value, &at))).collect()
}

#[test]
fn every_version_reads_what_every_other_has_written() {
    for format in formats() {
        let version = |number| serde_json::from_str(&format.text(number)).unwrap();
        let versions: Vec<Value> = (1..=format.newest()).map(version).collect();
        assert_eq!(conflicts(&versions), [""; 0], "{}", format.name);
    }
}

/// Changes the fields of a record at one of them.
type Mutation = fn(&mut Vec<Value>, usize);

/// Each way to spoil a next version, at each field of each record, is found.
#[test]
fn a_next_version_that_could_not_be_rolled_back_is_found() {
    let mutations: [(&str, Mutation); 4] = [
        ("left out", |fields, at| drop(fields.remove(at))),
        ("renamed", |fields, at| fields[at]["name"] = json!("renamed")),
        ("of another type", |fields, at| {
            let other = if fields[at]["type"] == "boolean" { "bytes" } else { "boolean" };
            fields[at] = json!({"name": fields[at]["name"], "type": other});
        }),
        ("behind a new one without default", |fields, at| fields.insert(at, json!({"name": "new", "type": "string"}))),
    ];
    for format in formats() {
        let current: Value = serde_json::from_str(&format.current_text()).unwrap();
        for record in records(&current, "") {
            let count = current.pointer(&record).unwrap()["fields"].as_array().unwrap().len();
            for (at, (how, mutate)) in (0..count).flat_map(|at| mutations.map(|mutation| (at, mutation))) {
                let mut next = current.clone();
                mutate(next.pointer_mut(&record).unwrap()["fields"].as_array_mut().unwrap(), at);
                let found = conflicts(&[current.clone(), next]);
                assert!(!found.is_empty(), "{}{record}: field {at} {how} goes unnoticed", format.name);
            }
        }
    }
}

#[test]
fn a_next_version_with_one_more_field_is_no_conflict() {
    for format in formats() {
        let current: Value = serde_json::from_str(&format.current_text()).unwrap();
        for record in records(&current, "") {
            let mut next = current.clone();
            let fields = next.pointer_mut(&record).unwrap()["fields"].as_array_mut().unwrap();
            fields.push(json!({"name": "new", "type": "string", "default": ""}));
            assert_eq!(conflicts(&[current.clone(), next]), [""; 0], "{}{record}", format.name);
        }
    }
}

#[test]
fn the_newest_version_is_the_schema_in_use() {
    for format in formats() {
        let newest = format.newest();
        assert!(
            format.text(newest) == format.current_text(),
            "schemas/{0}.avsc is not version {newest} in schemas/versions/{0}: add version {1} (how is told at the head \
             of this file), or, where version {newest} is not released, write it anew",
            format.name,
            newest + 1,
        );
    }
}

#[test]
fn what_was_ever_written_is_read() {
    for format in formats() {
        for version in 1..=format.newest() {
            SCHEMAS.learn(fingerprint_of(&format.schema(version)), &format.text(version)).unwrap();
            let read = (format.read)(&format.file(version, "avro"))
                .unwrap_or_else(|error| panic!("version {version} of {}: {error}", format.name));
            let expected = format.record(version);
            assert!(
                is_part(&expected, &read),
                "version {version} of {} reads as\n{read:#}\ninstead of\n{expected:#}",
                format.name
            );
        }
    }
}

#[test]
fn the_newest_version_is_written_as_it_was() {
    for format in formats() {
        let newest = format.newest();
        let record = format.record(newest);
        let fields = record.as_object().unwrap();
        let Schema::Record(schema) = format.schema(newest) else { panic!("{} is no record", format.name) };
        for field in &schema.fields {
            assert!(
                fields.get(&field.name).is_some_and(|value| !value.is_null()),
                "the record of version {newest} of {} shows nothing of field {}",
                format.name,
                field.name
            );
        }
        assert!(
            (format.write)(record) == format.file(newest, "avro"),
            "version {newest} of {} is written in other bytes than before",
            format.name
        );
    }
}

/// During a rolling upgrade, and after one that was rolled back.
#[test]
fn what_a_later_version_writes_is_read() {
    let record = json!({"type": "record", "name": "Later", "fields": [{"name": "text", "type": "string"}]});
    // What is added, and the string "new" in it: lengths and places in a union are in zigzag coding.
    let added: [(Value, &[u8]); 3] = [
        (json!("string"), b"\x06new"),
        (json!(["null", record]), b"\x02\x06new"),
        (json!({"type": "array", "items": record}), b"\x02\x06new\0"),
    ];
    for (format, (added, datum)) in formats().iter().flat_map(|format| added.iter().map(move |added| (format, added))) {
        let newest = format.newest();
        let mut later: Value = serde_json::from_str(&format.current_text()).unwrap();
        let added = json!({"name": "added_later", "type": added});
        later["fields"].as_array_mut().unwrap().push(added);
        let text = later.to_string();
        let fingerprint = fingerprint_of(&Schema::parse_str(&text).unwrap());
        SCHEMAS.learn(fingerprint, &text).unwrap();
        let mut bytes = format.file(newest, "avro");
        bytes[2..10].copy_from_slice(&fingerprint);
        bytes.extend_from_slice(datum);
        let read = (format.read)(&bytes).unwrap_or_else(|error| panic!("{}: {error}", format.name));
        assert_eq!(read, format.record(newest), "{}", format.name);
    }
}

/// A reader in another language finds a schema by the fingerprint that its own library computes: this is what Apache
/// Avro 1.12.1 for Java (`SchemaNormalization.parsingFingerprint`) and fastavro 1.13.1 say.
#[test]
fn fingerprints_are_those_of_other_libraries() {
    let moment = r#"{"type": "record", "name": "Moment", "namespace": "thalweg.test", "doc": "d", "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "until", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": null}
    ]}"#;
    let fingerprint = fingerprint_of(&Schema::parse_str(moment).unwrap());
    assert_eq!(fingerprint, [0x8a, 0x3f, 0xe3, 0x12, 0xd0, 0xaa, 0xcd, 0x18]);
}

/// Attributes that belong to no type are kept by nobody, whatever their names and values: a schema of the registry is
/// whoever's may write there.
#[test]
fn what_does_not_belong_to_a_schema_changes_no_fingerprint() {
    let plain = r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": ["null", "long"]},
        {"name": "b", "type": {"type": "map", "values": {"type": "fixed", "name": "F", "size": 2}}}]}"#;
    let decorated = r#"{"type": "record", "name": "R", "size": 1.5, "items": 7, "fields": [
        {"name": "a", "type": ["null", {"type": "long", "scale": "x"}], "symbols": 0, "default": null, "size": true},
        {"name": "b", "type": {"type": "map", "values": {"type": "fixed", "name": "F", "size": 2, "fields": 3}}}]}"#;
    let fingerprint = fingerprint_of_text(plain).unwrap();
    assert_eq!(fingerprint_of_text(decorated).unwrap(), fingerprint);
    Schemas::new().unwrap().learn(fingerprint, decorated).unwrap();
}
