//! Schemas evolve: every version can be read with every other, and what was ever written stays readable.
//!
//! `schemas/versions/<name>/<n>.avsc` is version n of `schemas/<name>.avsc`; `<n>.json` is a record of it, `<n>.avro`
//! the same as it was written. To add a version, put its record at `<n>.json`; to change the newest one before it is
//! released, change its record; then
//!
//!     THALWEG_WRITE_GOLDEN=1 cargo test -p thalweg-core --test schemas
//!
//! writes the other two files of the newest version.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;
use std::sync::{LazyLock, Once};

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thalweg_core::codec::{CodecError, Schemas, fingerprint_of};

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

#[test]
fn every_version_reads_what_every_other_has_written() {
    for format in formats() {
        let schemas: Vec<Schema> = (1..=format.newest()).map(|version| format.schema(version)).collect();
        for (written, writer) in (1..).zip(&schemas) {
            for (read, reader) in (1..).zip(&schemas) {
                assert_eq!(
                    SchemaCompatibility::can_read(writer, reader),
                    Ok(Compatibility::Full),
                    "version {read} of {} can't read what version {written} has written",
                    format.name
                );
            }
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
    for format in formats() {
        let newest = format.newest();
        let mut later: Value = serde_json::from_str(&format.current_text()).unwrap();
        let added = serde_json::json!({"name": "added_later", "type": "string", "default": ""});
        later["fields"].as_array_mut().unwrap().push(added);
        let text = later.to_string();
        let fingerprint = fingerprint_of(&Schema::parse_str(&text).unwrap());
        SCHEMAS.learn(fingerprint, &text).unwrap();
        let mut bytes = format.file(newest, "avro");
        bytes[2..10].copy_from_slice(&fingerprint);
        // The string "new": its length in zigzag coding, its bytes.
        bytes.extend(b"\x06new");
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
