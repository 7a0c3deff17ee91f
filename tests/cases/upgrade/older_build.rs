//! What an older build makes of the records that a later one wrote, judged by what its golden set tells of it.
//!
//! It can take over where
//! - every schema is registered, and every field that it knows is written, with a value that its own schema reads;
//! - every status is one that it knows: another one stops its lane;
//! - every effect of a kind that it knows has the fields that its own have;
//! - the effects of other kinds, which it ignores, are not needed for any field that it knows: its fold is the context.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use serde::Serialize;
use serde_json::Value;
use thalweg_core::Event;
use thalweg_core::codec::{Fingerprint, Schemas};
use thalweg_core::context::RecordKey;
use thalweg_core::records::Records;

use crate::golden_set::{CONTEXTS, EVENTS, GoldenRecord, GoldenSet, Manifest, REGISTRY, registered_schema};

/// Bytes of `C3 01` and the fingerprint.
const HEADER_BYTES: usize = 10;
/// What the events do not tell.
const TOLD_ELSEWHERE: [&str; 4] = ["applied_offset", "input_ids", "processed", "pending"];
/// Whose status an effect of this kind has.
const STATUSES_IN_EFFECTS: [(&str, &str); 6] = [
    ("status", "workflow"),
    ("closed", "workflow"),
    ("task", "task"),
    ("scope_opened", "scope"),
    ("scope_closed", "scope"),
    ("branch_done", "branch"),
];
/// Its fields are the workflow's own.
const PATCH: &str = "patch";

/// An older build.
#[derive(Clone)]
pub struct OlderBuild {
    manifest: Manifest,
    /// The schemas that it reads with, by the record's name.
    schemas: BTreeMap<String, Schema>,
    /// Fields that every effect of a kind has had.
    effect_fields: BTreeMap<String, BTreeSet<String>>,
}

/// Whether it can take over.
#[derive(Default, Debug)]
pub struct Verdict {
    build: String,
    records: usize,
    /// Effect kinds that it ignores.
    ignored: BTreeSet<String>,
    /// What keeps it from taking over.
    wrong: BTreeSet<String>,
}

impl Verdict {
    pub fn can_take_over(&self) -> bool {
        self.wrong.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let can = if self.can_take_over() { "can" } else { "can't" };
        write!(f, "build {} {can} take over {} records; it ignores {:?}", self.build, self.records, self.ignored)?;
        self.wrong.iter().try_for_each(|wrong| write!(f, "\n- {wrong}"))
    }
}

type Writers = BTreeMap<Fingerprint, Schema>;

impl OlderBuild {
    /// The build that recorded the set.
    pub fn of(set: &GoldenSet) -> OlderBuild {
        let schemas: Vec<Schema> = set.schemas().iter().map(|(_, text)| Schema::parse_str(text).unwrap()).collect();
        let mut build = OlderBuild {
            manifest: set.manifest.clone(),
            schemas: schemas.into_iter().map(|schema| (name_of(&schema), schema)).collect(),
            effect_fields: BTreeMap::new(),
        };
        let writers = writers(&set.first);
        for record in set.first.iter().chain(&set.third).filter(|record| record.topic == EVENTS) {
            let event = build.read(&record.value_bytes().unwrap(), &writers).unwrap();
            for (kind, json) in effects(&event) {
                let fields = fields_of(&json);
                let known = build.effect_fields.entry(kind).or_insert_with(|| fields.clone());
                known.retain(|field| fields.contains(field));
            }
        }
        build
    }

    /// Reads all records of a namespace; `schemas` has learned the registry.
    pub fn judge(&self, records: &[GoldenRecord], schemas: &Schemas) -> Verdict {
        let mut verdict = Verdict { build: self.manifest.build.clone(), ..Verdict::default() };
        let writers = writers(records);
        for record in records.iter().filter(|record| record.topic == EVENTS || record.topic == CONTEXTS) {
            verdict.records += 1;
            let mut wrong = Vec::new();
            if record.topic == CONTEXTS
                && let Some(key) = record.key_bytes().filter(|key| key.starts_with(&[0xC3, 0x01]))
                && let Err(error) = self.read(&key, &writers)
            {
                wrong.push(format!("key: {error}"));
            }
            if let Some(value) = record.value_bytes() {
                match self.read(&value, &writers) {
                    Ok(read) if record.topic == EVENTS => self.judge_effects(&read, &mut verdict.ignored, &mut wrong),
                    Ok(read) => self.judge_context(&name_in(&value, &writers), &read, &writers, &mut wrong),
                    Err(error) => wrong.push(error),
                }
            }
            let place = format!("{}/{}/{}", record.topic, record.partition, record.offset);
            verdict.wrong.extend(wrong.into_iter().map(|what| format!("{place}: {what}")));
        }
        self.judge_fold(records, schemas, &mut verdict.wrong);
        verdict
    }

    /// A record as this build sees it: what its writer wrote, resolved to this build's schema.
    fn read(&self, bytes: &[u8], writers: &Writers) -> Result<Value, String> {
        let writer = writer_of(bytes, writers)?;
        let name = name_of(writer);
        let reader = self.schemas.get(&name).ok_or_else(|| format!("it knows no record {name}"))?;
        let value = |reader: Option<&Schema>| -> Result<Value, String> {
            let datum = GenericDatumReader::builder(writer).maybe_reader_schema(reader).build();
            let value = datum.and_then(|datum| datum.read_value(&mut &bytes[HEADER_BYTES..]));
            value.and_then(Value::try_from).map_err(|error| format!("{name}: {error}"))
        };
        let (written, seen) = (value(None)?, value(Some(reader))?);
        let mut lost = Vec::new();
        find_lost(&name, &seen, &written, &mut lost);
        if lost.is_empty() { Ok(seen) } else { Err(lost.join(", ")) }
    }

    fn judge_effects(&self, event: &Value, ignored: &mut BTreeSet<String>, wrong: &mut Vec<String>) {
        for (kind, json) in effects(event) {
            if !self.manifest.effect_kinds.contains(&kind) {
                ignored.insert(kind);
                continue;
            }
            let fields = fields_of(&json);
            let expected = self.effect_fields.get(&kind).filter(|_| kind != PATCH);
            for field in expected.into_iter().flatten().filter(|field| !fields.contains(*field)) {
                wrong.push(format!("effect {kind} has no field {field}"));
            }
            for (_, whose) in STATUSES_IN_EFFECTS.iter().filter(|(of, _)| *of == kind) {
                self.judge_status(whose, &json["status"], wrong);
            }
        }
    }

    fn judge_context(&self, name: &str, record: &Value, writers: &Writers, wrong: &mut Vec<String>) {
        let whose = match name {
            "thalweg.Scope" => "scope",
            "thalweg.Branch" => "branch",
            _ => "workflow",
        };
        self.judge_status(whose, &record["status"], wrong);
        for task in record["tasks"].as_array().into_iter().flatten() {
            self.judge_status("task", &task["status"], wrong);
        }
        for pending in record["pending"].as_array().into_iter().flatten() {
            let event: Vec<u8> = serde_json::from_value(pending["event"].clone()).unwrap();
            if let Err(error) = self.read(&event, writers) {
                wrong.push(format!("pending: {error}"));
            }
        }
    }

    fn judge_status(&self, whose: &str, status: &Value, wrong: &mut Vec<String>) {
        let known = &self.manifest.statuses[whose];
        if status.as_str().is_none_or(|status| !known.contains(status)) {
            wrong.push(format!("status {status} of a {whose}"));
        }
    }

    /// The fold of the effects that it knows must be the context, in every field that it knows.
    fn judge_fold(&self, records: &[GoldenRecord], schemas: &Schemas, wrong: &mut BTreeSet<String>) {
        let mut folded: BTreeMap<String, Records> = BTreeMap::new();
        for mut event in events(records, schemas) {
            event.effects.retain(|effect| self.manifest.effect_kinds.contains(&*effect.kind));
            if let Err(error) = folded.entry(event.execution_id.clone()).or_default().fold_event(&event) {
                wrong.insert(format!("{}: {error}", event.execution_id));
            }
        }
        for (key, stored) in newest_contexts(records, schemas) {
            let (execution, record, name) = match &key {
                RecordKey::Root(id) => (id, folded.get(id).and_then(|f| json(f.context.as_ref())), "thalweg.Context"),
                RecordKey::Inner(inner) => {
                    let of = folded.get(&inner.execution_id);
                    match &inner.branch {
                        None => {
                            (&inner.execution_id, of.and_then(|f| json(f.scopes.get(&inner.scope))), "thalweg.Scope")
                        }
                        Some(branch) => (
                            &inner.execution_id,
                            of.and_then(|f| json(f.branches.get(&inner.scope, branch))),
                            "thalweg.Branch",
                        ),
                    }
                }
            };
            let known = self.schemas.get(name).map(field_names).unwrap_or_default();
            let record = record.unwrap_or_default();
            for field in known.iter().filter(|field| !TOLD_ELSEWHERE.contains(&field.as_str())) {
                if record[field] != stored[field] {
                    let (folds, found) = (&record[field], &stored[field]);
                    wrong.insert(format!("{execution}: it folds {name}.{field} to {folds}, which is {found}"));
                }
            }
        }
    }
}

fn writers(records: &[GoldenRecord]) -> Writers {
    let registered = records.iter().filter(|record| record.topic == REGISTRY);
    let schemas = registered.filter_map(|record| registered_schema(&record.key_bytes()?, record.value_bytes()?));
    schemas.map(|(fingerprint, text)| (fingerprint, Schema::parse_str(&text).unwrap())).collect()
}

fn writer_of<'a>(bytes: &[u8], writers: &'a Writers) -> Result<&'a Schema, String> {
    let fingerprint = bytes.get(2..HEADER_BYTES).ok_or("it is too short")?;
    writers.get(fingerprint).ok_or_else(|| "its schema is in no registry".to_owned())
}

fn name_in(bytes: &[u8], writers: &Writers) -> String {
    writer_of(bytes, writers).map(name_of).unwrap_or_default()
}

fn name_of(schema: &Schema) -> String {
    schema.name().map(ToString::to_string).unwrap_or_default()
}

fn field_names(schema: &Schema) -> Vec<String> {
    let Schema::Record(record) = schema else { return Vec::new() };
    record.fields.iter().map(|field| field.name.clone()).collect()
}

/// Kind and content of the effects of an event.
fn effects(event: &Value) -> Vec<(String, Value)> {
    let effects = event["effects"].as_array().into_iter().flatten();
    effects
        .map(|effect| {
            let json = effect["json"].as_str().expect("a JSON document");
            (effect["kind"].as_str().expect("a kind").to_owned(), serde_json::from_str(json).expect("JSON"))
        })
        .collect()
}

/// The names in an object, or in the objects of a list.
fn fields_of(json: &Value) -> BTreeSet<String> {
    match json {
        Value::Object(fields) => fields.keys().cloned().collect(),
        Value::Array(items) => items.first().map(fields_of).unwrap_or_default(),
        _ => BTreeSet::new(),
    }
}

/// The fields that this build sees and the writer did not write so.
fn find_lost(path: &str, seen: &Value, written: &Value, lost: &mut Vec<String>) {
    match (seen, written) {
        (Value::Object(seen), Value::Object(written)) => {
            for (name, value) in seen {
                match written.get(name) {
                    Some(written) => find_lost(&format!("{path}.{name}"), value, written, lost),
                    None => lost.push(format!("{path}.{name} is not written")),
                }
            }
        }
        (Value::Array(seen), Value::Array(written)) if seen.len() == written.len() => {
            seen.iter().zip(written).for_each(|(seen, written)| find_lost(path, seen, written, lost));
        }
        _ if seen == written => {}
        _ => lost.push(format!("{path} is read as {seen}, written as {written}")),
    }
}

/// The events in the order of their sequence.
fn events(records: &[GoldenRecord], schemas: &Schemas) -> Vec<Event> {
    let values = records.iter().filter(|record| record.topic == EVENTS).filter_map(GoldenRecord::value_bytes);
    let mut events: Vec<Event> = values.filter_map(|value| schemas.read_event(&value).ok()).collect();
    events.sort_by_key(|event| event.sequence);
    events
}

/// The newest record of each key, as the present build reads it.
fn newest_contexts(records: &[GoldenRecord], schemas: &Schemas) -> BTreeMap<RecordKey, Value> {
    let mut newest = BTreeMap::new();
    for record in records.iter().filter(|record| record.topic == CONTEXTS) {
        let key = record.key_bytes().and_then(|key| schemas.read_key(&key).ok());
        let (Some(key), Some(value)) = (key, record.value_bytes()) else { continue };
        let stored = match &key {
            RecordKey::Root(_) => json(schemas.read_context(&value).ok().as_ref()),
            RecordKey::Inner(inner) if inner.branch.is_none() => json(schemas.read_scope(&value).ok().as_ref()),
            RecordKey::Inner(_) => json(schemas.read_branch(&value).ok().as_ref()),
        };
        newest.insert(key, stored.unwrap_or_default());
    }
    newest
}

fn json(record: Option<&impl Serialize>) -> Option<Value> {
    serde_json::to_value(record?).ok()
}

#[cfg(test)]
mod tests;
