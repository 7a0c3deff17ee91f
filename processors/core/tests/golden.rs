//! What older builds have written (`tests/golden`) is read, and folds to the contexts that they wrote.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use thalweg_core::codec::Schemas;
use thalweg_core::context::{Context, RecordKey};
use thalweg_core::effect::PendingRef;
use thalweg_core::records::Records;
use thalweg_core::{Event, Execution};

use golden_set::{CONTEXTS, EVENTS, GoldenRecord, GoldenSet};

#[path = "../../../tests/golden_set.rs"]
mod golden_set;

/// After each turn of the older build. Executions that it has left to others in between are in neither.
#[test]
fn what_older_builds_have_written_folds_to_their_contexts() {
    for set in GoldenSet::all() {
        let schemas = Schemas::new().unwrap();
        for (fingerprint, text) in set.schemas() {
            schemas.learn(fingerprint, &text).unwrap();
        }
        for turns in [set.first.clone(), [set.first, set.third].concat()] {
            check_fold(&turns, &schemas);
        }
    }
}

fn check_fold(turns: &[GoldenRecord], schemas: &Schemas) {
    let folded = fold(turns, schemas);
    let stored = newest_contexts(turns, schemas);
    for (id, records) in &folded {
        assert!(stored.contains_key(&RecordKey::Root(id.clone())), "{id} has a history and no context");
        let open = !records.context.as_ref().unwrap().status.is_closed();
        let inner = |key: &&RecordKey| matches!(key, RecordKey::Inner(inner) if inner.execution_id == *id);
        let count = stored.keys().filter(inner).count();
        assert!(
            !open || count == records.scopes.len() + records.branches.len(),
            "{id}: scopes or branches are missing"
        );
    }
    for (key, bytes) in &stored {
        match key {
            RecordKey::Root(id) => check_root(&folded[id], schemas.read_context(bytes).unwrap(), schemas),
            RecordKey::Inner(inner) => {
                let records = &folded[&inner.execution_id];
                match &inner.branch {
                    None => assert_eq!(records.scopes[&inner.scope], schemas.read_scope(bytes).unwrap()),
                    Some(branch) => {
                        let folded = records.branches.get(&inner.scope, branch).unwrap();
                        assert_eq!(*folded, schemas.read_branch(bytes).unwrap());
                    }
                }
            }
        }
    }
}

fn fold(turns: &[GoldenRecord], schemas: &Schemas) -> BTreeMap<String, Records> {
    let of_events = turns.iter().filter(|record| record.topic == EVENTS);
    let mut events: Vec<Event> =
        of_events.map(|record| schemas.read_event(&record.value_bytes().unwrap()).unwrap()).collect();
    events.sort_by_key(|event| event.sequence);
    let mut folded: BTreeMap<String, Records> = BTreeMap::new();
    for event in events.iter().filter(|event| event.sequence > 0) {
        folded.entry(event.execution_id.clone()).or_default().fold_event(event).unwrap();
    }
    folded
}

fn newest_contexts(turns: &[GoldenRecord], schemas: &Schemas) -> BTreeMap<RecordKey, Vec<u8>> {
    let of_contexts = turns.iter().filter(|record| record.topic == CONTEXTS);
    let key = |record: &GoldenRecord| schemas.read_key(&record.key_bytes().unwrap()).unwrap();
    of_contexts.map(|record| (key(record), record.value_bytes().unwrap())).collect()
}

fn check_root(records: &Records, stored: Context, schemas: &Schemas) {
    let emitted = stored.pending.iter().filter(|pending| pending.input.is_none());
    let pending: Vec<PendingRef> =
        emitted.map(|pending| PendingRef { event_id: pending.event_id.clone(), depth: pending.depth }).collect();
    assert_eq!(records.pending, pending, "{}", stored.execution_id);
    // What the events do not tell.
    let folded = Context {
        applied_offset: stored.applied_offset,
        input_ids: stored.input_ids.clone(),
        processed: stored.processed.clone(),
        pending: stored.pending.clone(),
        ..records.context.clone().unwrap()
    };
    assert_eq!(folded, stored);
    Execution::open(stored, schemas).expect("its pending events can be read");
}
