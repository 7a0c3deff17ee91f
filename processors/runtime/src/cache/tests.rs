#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;

use serde_json::json;
use thalweg_core::context::{Branch, Context, Scope};
use thalweg_core::{RecordStore, WorkflowStatus};

use super::*;

fn scope_record() -> Scope {
    let scope = json!({
        "execution_id": "e", "scope": "s", "name": "parts", "policy": "all", "status": "OPEN", "total": 2,
        "succeeded": 1, "failed": 0, "completed_event": "done", "failed_event": "broken", "opened_by": "start",
    });
    serde_json::from_value(scope).unwrap()
}

fn branch_record() -> Branch {
    let branch = json!({
        "execution_id": "e", "scope": "s", "branch": "b", "ordinal": 1, "status": "OPEN", "ends_on": "done",
    });
    serde_json::from_value(branch).unwrap()
}

fn root(status: WorkflowStatus) -> Context {
    let root = json!({
        "execution_id": "e", "workflow_id": "w", "status": status, "data": {}, "correlation_id": "e",
        "created_at": 1, "updated_at": 1, "sequence": 3, "applied_offset": 0, "start_id": [0],
    });
    serde_json::from_value(root).unwrap()
}

/// What a restore makes of a scope, then the record of a failure, then what `after` reads.
fn restored(wanted: bool, after: impl FnOnce(&mut PartitionCache, &Schemas)) -> (PartitionCache, Schemas) {
    let (mut cache, schemas) = (PartitionCache::default(), Schemas::new().unwrap());
    let key = ContextKey { execution_id: "e".to_owned(), scope: "s".to_owned(), branch: None };
    cache.put(&RecordKey::Inner(key), &schemas.write_scope(&scope_record()).unwrap(), &schemas).unwrap();
    let failed = root(WorkflowStatus::Failed);
    cache.fail("e", Stub::of(&failed), wanted.then(|| schemas.write_context(&failed).unwrap()).as_deref()).unwrap();
    after(&mut cache, &schemas);
    cache.drop_orphans();
    (cache, schemas)
}

#[test]
fn a_failed_execution_that_goes_on_has_the_scopes_from_before() {
    let (cache, schemas) = restored(false, |cache, schemas| {
        let running = schemas.write_context(&root(WorkflowStatus::Running)).unwrap();
        cache.put(&RecordKey::Root("e".to_owned()), &running, schemas).unwrap();
    });
    assert!(!cache.execution("e", execution_hash("e"), &schemas).unwrap().is_closed());
    assert!(CachedRecords::new(&cache, &schemas, execution_hash("e")).scope("e", "s").is_some());
}

#[test]
fn what_is_taken_back_counts_no_longer() {
    let (cache, schemas) = (&mut PartitionCache::default(), Schemas::new().unwrap());
    let key = RecordKey::Inner(ContextKey { execution_id: "e".to_owned(), scope: "s".to_owned(), branch: None });
    for status in [ScopeStatus::Open, ScopeStatus::Joined, ScopeStatus::Open] {
        let scope = schemas.write_scope(&Scope { status, ..scope_record() }).unwrap();
        cache.put(&key, &scope, &schemas).unwrap();
        assert_eq!(cache.open_scopes(), usize::from(status == ScopeStatus::Open));
    }
    cache.remove(&key).unwrap();
    assert_eq!(cache.open_scopes(), 0);
}

/// To read one of many branches must not cost what all of them do.
#[test]
fn of_many_records_each_is_kept_by_itself() {
    let (mut cache, schemas) = (PartitionCache::default(), Schemas::new().unwrap());
    let mut put = |id: &str, number: usize, bytes: usize| {
        let branch = number.to_string();
        let key = ContextKey { execution_id: id.to_owned(), scope: "s".to_owned(), branch: Some(branch.clone()) };
        let value = schemas.write_branch(&Branch { branch, ends_on: Some("x".repeat(bytes)), ..branch_record() });
        cache.put(&RecordKey::Inner(key), &value.unwrap(), &schemas).unwrap();
        cache.open[&execution_hash(id).into()].many.is_some()
    };
    for number in 0..2 * INNER_MAX {
        assert_eq!(put("many", number, 1), number >= INNER_MAX);
    }
    assert!(!put("long", 0, INNER_MAX_BYTES / 2));
    assert!(put("long", 1, INNER_MAX_BYTES / 2));
}

/// What a cache has to know, in the plainest form.
#[derive(Default)]
struct Model {
    /// Sequence numbers by id.
    roots: BTreeMap<String, i64>,
    /// A status and a number by execution, scope and branch.
    inner: BTreeMap<(String, String, Option<String>), (ScopeStatus, i32)>,
}

impl Model {
    fn check(&self, cache: &PartitionCache, schemas: &Schemas) {
        let is_open = |(key, (status, _)): &(&(String, String, Option<String>), &(ScopeStatus, i32))| {
            key.2.is_none() && *status == ScopeStatus::Open
        };
        assert_eq!(cache.open_scopes(), self.inner.iter().filter(is_open).count());
        for id in IDS {
            let execution = cache.execution(id, execution_hash(id), schemas).unwrap();
            let sequence = execution.context().map(|context| context.sequence);
            assert_eq!(sequence, self.roots.get(id).copied());
            let records = CachedRecords::new(cache, schemas, execution_hash(id));
            for scope in SCOPES {
                let of_scope = self.inner.iter().filter(|((of, at, _), _)| of == id && at == scope);
                let branches = of_scope.filter_map(|((.., branch), (_, number))| Some((branch.clone()?, *number)));
                let branches: Vec<(String, i32)> = branches.collect();
                let found = records.branches(id, scope).into_iter().map(|branch| (branch.branch, branch.ordinal));
                assert_eq!(found.collect::<Vec<_>>(), branches);
                for (name, number) in branches {
                    assert_eq!(records.branch(id, scope, &name).map(|branch| branch.ordinal), Some(number));
                }
                let found = records.scope(id, scope).map(|scope| (scope.status, scope.total));
                assert_eq!(found, self.inner.get(&(id.to_owned(), scope.to_owned(), None)).copied());
            }
        }
    }
}

const IDS: [&str; 3] = ["e", "f", "6076b79f-4030-5d05-a150-38306c2b85a0"];
const SCOPES: [&str; 3] = ["s", "sa", "96dc93cd-1e1f-5475-b92f-f09883c80f49"];

/// Writes of several executions, in any order, few records and many: what is read is what was written last.
#[test]
fn a_cache_holds_what_was_written_last() {
    let schemas = Schemas::new().unwrap();
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut model, mut cache) = (Model::default(), PartitionCache::default());
        for number in 0..400 {
            let (id, scope) = (random.choice(IDS).unwrap().to_owned(), random.choice(SCOPES).unwrap().to_owned());
            let names = if seed % 2 == 0 { 2 } else { 12 };
            let branch = random.bool().then(|| random.i32(..names).to_string());
            let at = (id.clone(), scope.clone(), branch.clone());
            let key = RecordKey::Inner(ContextKey { execution_id: id.clone(), scope, branch: branch.clone() });
            match random.u32(..100) {
                0..60 => {
                    let status = if random.bool() { ScopeStatus::Open } else { ScopeStatus::Joined };
                    let value = match branch {
                        None => schemas.write_scope(&Scope { status, total: number, ..scope_record() }),
                        Some(branch) => schemas.write_branch(&Branch { branch, ordinal: number, ..branch_record() }),
                    };
                    cache.put(&key, &value.unwrap(), &schemas).unwrap();
                    model.inner.insert(at, (status, number));
                }
                60..80 => {
                    cache.remove(&key).unwrap();
                    model.inner.remove(&at);
                }
                80..97 => {
                    let context = Context { sequence: number.into(), ..root(WorkflowStatus::Running) };
                    let value = schemas.write_context(&context).unwrap();
                    cache.put(&RecordKey::Root(id.clone()), &value, &schemas).unwrap();
                    model.roots.insert(id, number.into());
                }
                _ => {
                    model.inner.retain(|(of, ..), _| *of != id);
                    model.roots.remove(&id);
                    cache.remove(&RecordKey::Root(id)).unwrap();
                }
            }
            model.check(&cache, &schemas);
        }
        for id in IDS {
            cache.remove(&RecordKey::Root(id.to_owned())).unwrap();
        }
        assert_eq!((cache.open_scopes(), cache.bytes()), (0, 0));
    }
}

#[test]
fn an_execution_that_is_like_another_one_takes_little() {
    let (mut cache, schemas) = (PartitionCache::default(), Schemas::new().unwrap());
    let data: Vec<String> = (1..50_u64).map(|number| format!("{:x}", number * 0x1234_5678_9abc)).collect();
    let root = Context { data: json!(data).into(), ..root(WorkflowStatus::Running) };
    let value = schemas.write_context(&root).unwrap();
    for id in IDS {
        let before = cache.bytes();
        cache.put(&RecordKey::Root(id.to_owned()), &value, &schemas).unwrap();
        cache.pack_newest();
        let bytes = cache.bytes() - before - ENTRY_BYTES;
        assert!(bytes * 10 < value.len(), "{bytes} of {}", value.len());
    }
}

/// The map grows when seven of eight places are taken, and a place has a byte beside its content.
#[test]
fn a_closed_execution_takes_ninety_bytes_at_most() {
    let place = size_of::<(ExecutionKey, PackedStub)>() + 1;
    assert!(place * 2 * 8 / 7 <= 90, "{place} bytes");
}

#[test]
fn what_ended_long_ago_is_forgotten_and_beyond_the_limit_what_ended_first() {
    let mut cache = PartitionCache::default();
    for second in 1..=9 {
        let stub = Stub { completed_at: second * 1_000_000, ..Stub::of(&root(WorkflowStatus::Success)) };
        cache.close(execution_hash(&second.to_string()), stub);
    }
    let hash = |second: u32| execution_hash(&second.to_string());
    // Times are rounded up.
    assert_eq!(cache.cutoff(1_999_999, 9), None);
    assert_eq!(cache.cutoff(4_000_000, 9), Some(4));
    assert!(cache.is_closed_by(hash(3), 4) && !cache.is_closed_by(hash(4), 4));
    assert_eq!(cache.cutoff(0, 7), Some(3), "two too many");
    assert_eq!(cache.cutoff(0, 9), None);
    for second in 1..=9 {
        cache.forget_closed(hash(second));
    }
    assert_eq!(cache.bytes(), 0);
    assert!(cache.closed.capacity() < 4, "the map gives back what it had");
}

#[test]
fn of_one_that_stays_failed_only_what_is_wanted_stays() {
    let (failed, schemas) = (root(WorkflowStatus::Failed), Schemas::new().unwrap());
    for wanted in [false, true] {
        let (mut cache, root) = (PartitionCache::default(), schemas.write_context(&failed).unwrap());
        cache.fail("e", Stub::of(&failed), wanted.then_some(root.as_slice())).unwrap();
        assert_eq!(cache.execution("e", execution_hash("e"), &schemas).unwrap().context().is_some(), wanted);
        assert_eq!(cache.open_executions(), usize::from(wanted));
    }
    let (cache, schemas) = restored(false, |_, _| ());
    assert_eq!((cache.open_executions(), cache.open_scopes(), cache.bytes), (0, 0, 0));
    assert!(cache.execution("e", execution_hash("e"), &schemas).unwrap().context().is_none());
    let (mut cache, schemas) = restored(true, |_, _| ());
    let execution = cache.execution("e", execution_hash("e"), &schemas).unwrap();
    assert!(execution.is_closed() && execution.context().is_some());
    assert!(CachedRecords::new(&cache, &schemas, execution_hash("e")).scope("e", "s").is_some());
    cache.close(execution_hash("e"), execution.stub().unwrap());
    assert_eq!((cache.open_executions(), cache.open_scopes(), cache.bytes), (0, 0, 0));
}
