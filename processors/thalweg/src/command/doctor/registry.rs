//! The registry of schemas.

use std::collections::BTreeMap;

use thalweg_core::ErrorCode;
use thalweg_core::codec::{Fingerprint, Schemas, fingerprint_of_text};
use thalweg_runtime::inspection::{InspectionError, RegistryRecord};
use thalweg_runtime::{registry_fingerprint, registry_key, replaced_partition};

use super::check::{Area, Check};
use super::examination::Examination;
use crate::command::dead_letters::is_mark;
use crate::output::shortened;

const AREA: Area = Area::Registry;
/// Characters of a key that is shown.
const KEY_SHOWN: usize = 60;

/// The findings.
pub fn checks(examination: &Examination) -> Result<Vec<Check>, InspectionError> {
    let topic = examination.topics.registry();
    let Some(span) = examination.span(topic, 0) else { return Ok(Vec::new()) };
    let records = examination.inspector.registry_records(span)?;
    let has_run = !examination.committed.is_empty();
    Ok(judge(topic, &records, has_run))
}

fn judge(topic: &str, records: &[RegistryRecord], has_run: bool) -> Vec<Check> {
    let mut entries: BTreeMap<&[u8], Vec<&RegistryRecord>> = BTreeMap::new();
    for record in records {
        entries.entry(record.key.as_deref().unwrap_or_default()).or_default().push(record);
    }
    let mut checks = Vec::new();
    let mut registered = Vec::new();
    for (key, versions) in &entries {
        let key = String::from_utf8_lossy(key);
        let Some(newest) = versions.last().filter(|record| record.value.is_some()) else { continue };
        let place = format!("{topic}/0/{} {}", newest.offset, shortened(&key, KEY_SHOWN));
        match registry_fingerprint(&key) {
            None if is_mark(&key) || replaced_partition(&key).is_some() => {}
            None => checks.push(unknown(&place)),
            Some(fingerprint) => {
                let found = schema(&place, fingerprint, versions);
                registered.extend(found.is_none().then_some(fingerprint));
                checks.extend(found);
            }
        }
    }
    if !registered.is_empty() {
        checks.push(Check::ok(AREA, "schemas", topic, format!("{} parse and fit their keys", registered.len())));
    }
    checks.push(complete(topic, &registered, has_run));
    checks
}

fn unknown(place: &str) -> Check {
    let advice = "nothing here reads it: delete it (a record with its key and no value) if no newer version wrote it";
    Check::warning(AREA, "keys", place, "unknown key").expected("schema/ and 16 hexadecimal digits").advice(advice)
}

/// What is wrong with a schema.
fn schema(place: &str, fingerprint: Fingerprint, versions: &[&RegistryRecord]) -> Option<Check> {
    let texts: Vec<&[u8]> = versions.iter().filter_map(|record| record.value.as_deref()).collect();
    let newest = String::from_utf8_lossy(texts.last()?);
    let wrong = match fingerprint_of_text(&newest) {
        Err(error) => Some(error.to_string()),
        Ok(other) if other != fingerprint => Some(format!("its fingerprint is that of {}", registry_key(&other))),
        Ok(_) => None,
    };
    if let Some(wrong) = wrong {
        return Some(Check::problem(AREA, "schemas", place, wrong).expected("a schema with the fingerprint of its key")
            .code(ErrorCode::SchemaUnknown)
            .advice("what was written with it can't be read: delete it (a record with its key and no value), restart its \
             writer, which registers the right text where the key lacks"));
    }
    let differs = texts.iter().any(|text| Some(text) != texts.last());
    differs.then(|| {
        let advice = "two programs register different texts under one key, or somebody changed it: see which is right";
        Check::warning(AREA, "conflicts", place, "an earlier text differs").expected("one text a key").advice(advice)
    })
}

/// Is what this version writes with registered?
fn complete(topic: &str, registered: &[Fingerprint], has_run: bool) -> Check {
    let needed = Schemas::to_register();
    let lacking: Vec<String> = needed
        .iter()
        .filter(|(needed, _)| !registered.contains(needed))
        .map(|(lacks, _)| registry_key(lacks))
        .collect();
    let all = format!("{} of {} are registered", needed.len() - lacking.len(), needed.len());
    if lacking.is_empty() {
        return Check::ok(AREA, "complete", topic, all);
    }
    if !has_run {
        return Check::ok(AREA, "complete", topic, format!("{all}; a router registers them at its start"));
    }
    Check::warning(AREA, "complete", topic, format!("{all}; {} lack", lacking.join(", ")))
        .expected("what this version writes with is registered")
        .code(ErrorCode::SchemaUnknown)
        .advice(
            "routers of another version have run, or records were deleted: a router of this version registers them at \
             its start",
        )
}
