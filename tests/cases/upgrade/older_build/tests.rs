//! The judge finds what would keep an older build from taking over.

use serde_json::json;
use thalweg_core::Json;
use thalweg_core::codec::fingerprint_of;
use thalweg_core::event::RecordedEffect;

use super::*;
use crate::golden_set::Bytes;

fn schemas(set: &GoldenSet) -> Schemas {
    let schemas = Schemas::new().unwrap();
    for (fingerprint, text) in set.schemas() {
        schemas.learn(fingerprint, &text).unwrap();
    }
    schemas
}

/// Both turns of the older build, the newest set's.
fn newest() -> (OlderBuild, Vec<GoldenRecord>, Schemas) {
    let set = GoldenSet::all().pop().unwrap();
    let (build, schemas) = (OlderBuild::of(&set), schemas(&set));
    (build, [set.first, set.third].concat(), schemas)
}

/// Changes the first event that has an effect of this kind.
fn change_event(records: &mut [GoldenRecord], schemas: &Schemas, kind: &str, change: impl FnOnce(&mut Event)) {
    for record in records.iter_mut().filter(|record| record.topic == EVENTS) {
        let mut event = schemas.read_event(&record.value_bytes().unwrap()).unwrap();
        if event.effects.iter().any(|effect| effect.kind == kind) {
            change(&mut event);
            record.value = Some(Bytes::from(schemas.write_event(&event).unwrap()));
            return;
        }
    }
    panic!("no event has an effect {kind}");
}

fn assert_wrong(verdict: &Verdict, what: &str) {
    assert!(verdict.wrong.iter().any(|wrong| wrong.contains(what)), "{what:?} is not in: {verdict}");
}

#[test]
fn a_build_can_go_on_with_its_own_records() {
    for set in GoldenSet::all() {
        let verdict = OlderBuild::of(&set).judge(&[set.first.clone(), set.third.clone()].concat(), &schemas(&set));
        assert!(verdict.can_take_over() && verdict.ignored.is_empty() && verdict.records > 100, "{verdict}");
    }
}

#[test]
fn effects_that_its_fold_needs() {
    for kind in ["patch", "wait_added", "scope_closed", "branch_done", "task"] {
        let (mut build, records, schemas) = newest();
        build.manifest.effect_kinds.remove(kind);
        let verdict = build.judge(&records, &schemas);
        assert_eq!(verdict.ignored, BTreeSet::from([kind.to_owned()]));
        assert_wrong(&verdict, "it folds");
    }
}

#[test]
fn effects_that_its_fold_can_do_without() {
    let (build, mut records, schemas) = newest();
    let added = RecordedEffect { kind: "noted".into(), json: Json::from(&json!({})) };
    change_event(&mut records, &schemas, "created", |event| event.effects.push(added));
    let verdict = build.judge(&records, &schemas);
    assert_eq!(verdict.ignored, BTreeSet::from(["noted".to_owned()]));
    assert!(verdict.can_take_over(), "{verdict}");
}

#[test]
fn an_effect_without_a_field_that_it_needs() {
    let (build, mut records, schemas) = newest();
    change_event(&mut records, &schemas, "wait_taken", |event| {
        let effect = event.effects.iter_mut().find(|effect| effect.kind == "wait_taken").unwrap();
        effect.json = Json::from(&json!({"wait": "renamed"}));
    });
    assert_wrong(&build.judge(&records, &schemas), "effect wait_taken has no field wait_id");
}

#[test]
fn a_status_that_it_does_not_know() {
    for (whose, status) in [("workflow", "WAITING"), ("task", "SUCCESS"), ("scope", "JOINED"), ("branch", "SUCCESS")] {
        let (mut build, records, schemas) = newest();
        build.manifest.statuses.get_mut(whose).unwrap().remove(status);
        assert_wrong(&build.judge(&records, &schemas), &format!("status \"{status}\" of a {whose}"));
    }
}

#[test]
fn a_schema_that_nobody_registered() {
    let (build, mut records, schemas) = newest();
    records.retain(|record| !(record.topic == REGISTRY && format!("{:?}", record.value).contains("ContextKey\\\"")));
    assert_wrong(&build.judge(&records, &schemas), "its schema is in no registry");
}

/// The older schema has a field that is no longer written.
#[test]
fn a_field_that_is_gone() {
    for (added, what) in [
        (json!({"name": "gone", "type": "string"}), "gone"),
        (json!({"name": "gone", "type": "string", "default": ""}), "thalweg.Context.gone is not written"),
    ] {
        let (mut build, records, schemas) = newest();
        let mut older = serde_json::to_value(&build.schemas["thalweg.Context"]).unwrap();
        older["fields"].as_array_mut().unwrap().push(added);
        build.schemas.insert("thalweg.Context".to_owned(), Schema::parse(&older).unwrap());
        assert_wrong(&build.judge(&records, &schemas), what);
    }
}

/// A later build writes one more field, and has registered its schema.
#[test]
fn a_field_that_it_does_not_know() {
    let (build, mut records, schemas) = newest();
    let is_context =
        |record: &&mut GoldenRecord| record.topic == CONTEXTS && matches!(record.key, Some(Bytes::Text(_)));
    let mut later = serde_json::to_value(&build.schemas["thalweg.Context"]).unwrap();
    later["fields"].as_array_mut().unwrap().push(json!({"name": "added", "type": "string", "default": ""}));
    let text = later.to_string();
    let fingerprint = fingerprint_of(&Schema::parse_str(&text).unwrap());
    for record in records.iter_mut().filter(is_context) {
        let mut value = record.value_bytes().unwrap();
        value[2..HEADER_BYTES].copy_from_slice(&fingerprint);
        // The string "new": its length in zigzag coding, its bytes.
        value.extend(b"\x06new");
        record.value = Some(Bytes::from(value));
    }
    schemas.learn(fingerprint, &text).unwrap();
    assert_wrong(&build.judge(&records, &schemas), "its schema is in no registry");
    records.push(GoldenRecord {
        topic: REGISTRY.to_owned(),
        key: Some(Bytes::Text(format!("schema/{:016x}", u64::from_be_bytes(fingerprint)))),
        value: Some(Bytes::Text(text)),
        ..records[0].clone()
    });
    let verdict = build.judge(&records, &schemas);
    assert!(verdict.can_take_over(), "{verdict}");
}
