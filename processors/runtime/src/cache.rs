//! The lane's memory of one partition: a cache of the compacted topic, by encoded records.
//!
//! Records stay encoded, and compressed, and are read when they are needed: an aborted transaction has nothing to undo
//! here, and an open execution costs less than its bytes.

mod by_execution;
mod closed;
mod compression;
mod inner_records;
mod place;

use thalweg_core::codec::{CodecError, Schemas};
use thalweg_core::context::{Branch, ContextKey, RecordKey, Scope, Stub};
use thalweg_core::identity::execution_hash;
use thalweg_core::{Execution, Micros, RecordStore, ScopeStatus};

pub use by_execution::ByExecution;
use by_execution::ExecutionKey;
use closed::{MICROS, PackedStub};
use compression::{compress, decompress};
use inner_records::{InnerRecords, Record};

/// Records of one open execution.
#[derive(Default)]
struct OpenRecords {
    /// Compressed.
    root: Option<Box<[u8]>>,
    /// Few executions fan out at any time: the others pay one word for it.
    inner: Option<Box<InnerRecords>>,
}

/// What a lane knows of one partition's executions.
#[derive(Default)]
pub struct PartitionCache {
    open: ByExecution<ExecutionKey, OpenRecords>,
    closed: ByExecution<ExecutionKey, PackedStub>,
    bytes: usize,
    open_scopes: usize,
}

/// Bytes that an entry takes beside its record, roughly: the maps' slots and the allocation.
const ENTRY_BYTES: usize = 64;

impl PartitionCache {
    /// Executions that are open.
    pub fn open_executions(&self) -> usize {
        self.open.len()
    }

    /// Scopes that are open.
    pub fn open_scopes(&self) -> usize {
        self.open_scopes
    }

    /// Bytes held, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes + (self.open.len() + self.closed.len()) * ENTRY_BYTES
    }

    /// What is known of an execution, ready to be worked on.
    ///
    /// # Errors
    /// Where its record can't be read.
    pub fn execution(&self, id: &str, hash: u128, schemas: &Schemas) -> Result<Execution, CodecError> {
        let root = self.open.get(&hash.into()).and_then(|records| records.root.as_ref());
        let root = root.map(|root| decompress(root, id.as_bytes())).transpose()?;
        if let Some(stub) = self.closed.get(&hash.into()).map(|stub| stub.stub()) {
            return match root {
                Some(root) => Execution::closed_with(schemas.read_context(&root)?, schemas),
                None => Ok(Execution::closed(id, stub)),
            };
        }
        match root {
            Some(root) => Execution::open(schemas.read_context(&root)?, schemas),
            None => Ok(Execution::unknown(id)),
        }
    }

    /// Takes in a record that was committed, or read back on restore.
    pub fn put(&mut self, key: &RecordKey, value: &[u8], schemas: &Schemas) -> Result<(), CodecError> {
        match key {
            RecordKey::Root(id) => self.put_root(id, value),
            RecordKey::Inner(key) => return self.put_inner(key, value, schemas),
        }
        Ok(())
    }

    fn put_root(&mut self, id: &str, value: &[u8]) {
        let hash = execution_hash(id);
        self.closed.remove(&hash.into());
        self.set_root(id, hash, Some(value));
    }

    fn put_inner(&mut self, key: &ContextKey, value: &[u8], schemas: &Schemas) -> Result<(), CodecError> {
        let hash = ExecutionKey::from(execution_hash(&key.execution_id));
        // One that failed and has records may go on.
        if self.closed.contains_key(&hash) && !self.open.contains_key(&hash) {
            return Ok(());
        }
        let is_open_scope = key.branch.is_none() && schemas.read_scope_summary(value)?.status == ScopeStatus::Open;
        let record = Record::new(key, value, is_open_scope);
        self.bytes += record.bytes();
        self.open_scopes += usize::from(is_open_scope);
        let old = self.open.entry(hash).or_default().inner.get_or_insert_default().insert(record);
        self.uncount(old.iter());
        Ok(())
    }

    fn set_root(&mut self, id: &str, hash: u128, value: Option<&[u8]>) {
        let root: Option<Box<[u8]>> = value.map(|value| compress(value, id.as_bytes()).into());
        self.bytes += root.as_ref().map_or(0, |root| root.len());
        let old = std::mem::replace(&mut self.open.entry(hash.into()).or_default().root, root);
        self.bytes -= old.map_or(0, |old| old.len());
    }

    /// Counts no longer what is gone.
    fn uncount<'a>(&mut self, gone: impl Iterator<Item = &'a Record>) {
        for record in gone {
            self.bytes -= record.bytes();
            self.open_scopes -= usize::from(record.is_open_scope());
        }
    }

    /// The execution closed: only its stub stays.
    pub fn close(&mut self, hash: u128, stub: Stub) {
        self.forget(hash.into());
        self.closed.insert(hash.into(), PackedStub::new(stub));
    }

    /// While records are read back: the execution failed, and a record further on may tell that it goes on. What it has
    /// of scopes and branches stays until [`PartitionCache::drop_orphans`]; with its root record it stays for a redrive.
    pub fn fail(&mut self, id: &str, stub: Stub, root: Option<&[u8]>) {
        let hash = execution_hash(id);
        self.closed.insert(hash.into(), PackedStub::new(stub));
        self.set_root(id, hash, root);
    }

    /// A tombstone: nothing of the key stays.
    pub fn remove(&mut self, key: &RecordKey) {
        match key {
            RecordKey::Root(id) => {
                let hash = execution_hash(id);
                self.forget(hash.into());
                self.forget_closed(hash);
            }
            RecordKey::Inner(key) => {
                let Some(records) = self.open.get_mut(&execution_hash(&key.execution_id).into()) else { return };
                let old = records.inner.as_mut().and_then(|inner| inner.remove(key));
                self.uncount(old.iter());
            }
        }
    }

    fn forget(&mut self, key: ExecutionKey) {
        let Some(records) = self.open.remove(&key) else { return };
        self.bytes -= records.root.map_or(0, |root| root.len());
        self.uncount(records.inner.iter().flat_map(|inner| inner.iter()));
    }

    /// Is there a record of this execution, so that it is open, or wanted by a redrive?
    pub fn is_open(&self, execution: u128) -> bool {
        self.open.contains_key(&execution.into())
    }

    /// Is it closed, and has no record here, and did it end by then, in seconds since the epoch?
    pub fn is_closed_by(&self, execution: u128, cutoff: u32) -> bool {
        let stub = self.closed.get(&execution.into());
        stub.is_some_and(|stub| stub.completed_at <= cutoff) && !self.is_open(execution)
    }

    /// What ended by then is to be forgotten, where there is something: it ended before `before`, or is among the first
    /// that ended of more than `closed_max`.
    pub fn cutoff(&self, before: Micros, closed_max: usize) -> Option<u32> {
        let mut cutoff = u32::try_from(before.max(0) as u64 / MICROS).unwrap_or(u32::MAX);
        if let Some(last) = self.closed.len().checked_sub(closed_max.saturating_add(1)) {
            let mut times: Vec<u32> = self.closed.values().map(|stub| stub.completed_at).collect();
            cutoff = cutoff.max(*times.select_nth_unstable(last).1);
        }
        self.closed.values().any(|stub| stub.completed_at <= cutoff).then_some(cutoff)
    }

    /// Nothing stays of a closed execution.
    pub fn forget_closed(&mut self, execution: u128) {
        self.closed.remove(&execution.into());
        if self.closed.len() < self.closed.capacity() / 4 {
            self.closed.shrink_to(self.closed.len() * 2);
        }
    }

    /// After restore: scopes and branches whose execution has no root record are left over from one that is gone.
    pub fn drop_orphans(&mut self) {
        let orphans: Vec<ExecutionKey> =
            self.open.iter().filter(|(_, records)| records.root.is_none()).map(|(key, _)| *key).collect();
        for key in orphans {
            self.forget(key);
        }
    }
}

/// The scopes and branches of one partition, for the step.
pub struct CachedRecords<'a> {
    /// The partition's cache.
    pub cache: &'a PartitionCache,
    /// Reads the records.
    pub schemas: &'a Schemas,
    /// Hash of the execution that is worked on: what is asked for is its own.
    pub execution: u128,
}

impl CachedRecords<'_> {
    fn inner(&self) -> Option<&InnerRecords> {
        self.cache.open.get(&self.execution.into())?.inner.as_deref()
    }
}

impl RecordStore for CachedRecords<'_> {
    fn scope(&self, execution_id: &str, scope: &str) -> Option<Scope> {
        self.schemas.read_scope(&self.inner()?.scope(execution_id, scope)?).ok()
    }

    fn branch(&self, execution_id: &str, scope: &str, branch: &str) -> Option<Branch> {
        self.schemas.read_branch(&self.inner()?.branch(execution_id, scope, branch)?).ok()
    }

    fn branches(&self, execution_id: &str, scope: &str) -> Vec<Branch> {
        let branches = self.inner().into_iter().flat_map(|inner| inner.branches(execution_id, scope));
        branches.filter_map(|branch| self.schemas.read_branch(&branch).ok()).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use serde_json::json;
    use thalweg_core::WorkflowStatus;
    use thalweg_core::context::Context;

    use super::*;

    fn scope_record() -> Scope {
        let scope = json!({
            "execution_id": "e", "scope": "s", "name": "parts", "policy": "all", "status": "OPEN", "total": 2,
            "succeeded": 1, "failed": 0, "completed_event": "done", "failed_event": "broken", "opened_by": "start",
        });
        serde_json::from_value(scope).unwrap()
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
        cache.fail("e", Stub::of(&failed), wanted.then(|| schemas.write_context(&failed).unwrap()).as_deref());
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
        assert!(
            CachedRecords { cache: &cache, schemas: &schemas, execution: execution_hash("e") }
                .scope("e", "s")
                .is_some()
        );
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
        assert!(cache.bytes > 0);
        cache.remove(&key);
        assert_eq!((cache.open_scopes(), cache.bytes), (0, 0));
    }

    /// The map grows when seven of eight places are taken, and a place has a byte beside its content.
    #[test]
    fn a_closed_execution_takes_a_hundred_bytes_at_most() {
        let place = size_of::<(ExecutionKey, PackedStub)>() + 1;
        assert!(place * 2 * 8 / 7 <= 100, "{place} bytes");
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
        let (cache, schemas) = restored(false, |_, _| ());
        assert_eq!((cache.open_executions(), cache.open_scopes(), cache.bytes), (0, 0, 0));
        assert!(cache.execution("e", execution_hash("e"), &schemas).unwrap().context().is_none());
        let (mut cache, schemas) = restored(true, |_, _| ());
        let execution = cache.execution("e", execution_hash("e"), &schemas).unwrap();
        assert!(execution.is_closed() && execution.context().is_some());
        assert!(
            CachedRecords { cache: &cache, schemas: &schemas, execution: execution_hash("e") }
                .scope("e", "s")
                .is_some()
        );
        cache.close(execution_hash("e"), execution.stub().unwrap());
        assert_eq!((cache.open_executions(), cache.open_scopes(), cache.bytes), (0, 0, 0));
    }
}
