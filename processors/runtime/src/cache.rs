//! The lane's memory of one partition: a cache of the compacted topic, by encoded records.
//!
//! Records stay encoded, and compressed, and are read when they are needed: an aborted transaction has nothing to undo
//! here, and an open execution costs less than its bytes.

mod by_execution;
mod cached_records;
mod closed;
mod compression;
mod dictionaries;
mod execution_records;
mod inner_records;
mod packed_records;
mod place;

use std::borrow::Cow;

use thalweg_core::codec::{CodecError, Schemas};
use thalweg_core::context::{ContextKey, RecordKey, Stub};
use thalweg_core::identity::execution_hash;
use thalweg_core::{Execution, Micros, ScopeStatus};

pub use by_execution::ByExecution;
use by_execution::ExecutionKey;
pub use cached_records::CachedRecords;
use closed::{MICROS, PackedStub};
use compression::Compressor;
use dictionaries::Dictionaries;
use execution_records::{Entry, ExecutionRecords};
use inner_records::{InnerRecords, Record};
use packed_records::{INNER_MAX, INNER_MAX_BYTES, PackedRecords};
use place::place_of;

/// Records of one open execution.
#[derive(Default)]
struct OpenRecords {
    /// None while they are [`PartitionCache::newest`].
    packed: Option<PackedRecords>,
    /// Those of scopes and branches, where they are many.
    many: Option<Box<InnerRecords>>,
}

/// The execution that was written last. Its records are packed when another one is written: most transactions, and most
/// restores, write several records of an execution one after the other.
#[derive(Default)]
struct Newest {
    key: Option<ExecutionKey>,
    id: String,
    records: ExecutionRecords,
}

/// What a lane knows of one partition's executions.
#[derive(Default)]
pub struct PartitionCache {
    open: ByExecution<ExecutionKey, OpenRecords>,
    closed: ByExecution<ExecutionKey, PackedStub>,
    newest: Newest,
    /// Of what is packed.
    bytes: usize,
    open_scopes: usize,
    compressor: Compressor,
    dictionaries: Dictionaries,
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
        self.bytes + self.newest.records.as_bytes().len() + (self.open.len() + self.closed.len()) * ENTRY_BYTES
    }

    /// What is known of an execution, ready to be worked on.
    ///
    /// # Errors
    /// Where its record can't be read.
    pub fn execution(&self, id: &str, hash: u128, schemas: &Schemas) -> Result<Execution, CodecError> {
        let records = self.records(id, hash.into())?;
        let root = records.root().map(|root| schemas.read_context(root)).transpose()?;
        if let Some(stub) = self.closed.get(&hash.into()).map(|stub| stub.stub()) {
            return match root {
                Some(root) => Execution::closed_with(root, schemas),
                None => Ok(Execution::closed(id, stub)),
            };
        }
        match root {
            Some(root) => Execution::open(root, schemas),
            None => Ok(Execution::unknown(id)),
        }
    }

    /// The records of an execution but for those that are many.
    fn records(&self, id: &str, key: ExecutionKey) -> Result<Cow<'_, ExecutionRecords>, CodecError> {
        if self.newest.key == Some(key) {
            return Ok(Cow::Borrowed(&self.newest.records));
        }
        let packed = self.open.get(&key).and_then(|records| records.packed.as_ref());
        packed.map_or_else(|| Ok(Cow::default()), |packed| packed.unpack(id, &self.dictionaries).map(Cow::Owned))
    }

    /// Takes in a record that was committed, or read back on restore.
    ///
    /// # Errors
    /// Where it can't be read, or what is there of its execution.
    pub fn put(&mut self, key: &RecordKey, value: &[u8], schemas: &Schemas) -> Result<(), CodecError> {
        match key {
            RecordKey::Root(id) => {
                let key = self.key_of(id);
                self.closed.remove(&key);
                self.set_root(id, key, Some(value))
            }
            RecordKey::Inner(key) => self.put_inner(key, value, schemas),
        }
    }

    fn put_inner(&mut self, key: &ContextKey, value: &[u8], schemas: &Schemas) -> Result<(), CodecError> {
        let (id, execution) = (&key.execution_id, self.key_of(&key.execution_id));
        // One that failed and has records may go on.
        if self.closed.contains_key(&execution) && !self.open.contains_key(&execution) {
            return Ok(());
        }
        let is_open_scope = key.branch.is_none() && schemas.read_scope_summary(value)?.status == ScopeStatus::Open;
        let place = place_of(&key.scope, key.branch.as_deref());
        let entry = Entry { place: &place, is_open_scope, value };
        self.open_scopes += usize::from(is_open_scope);
        if let Some(many) = self.open.entry(execution).or_default().many.as_mut() {
            let record = Record::new(id, &entry, &mut self.compressor);
            self.bytes += record.bytes();
            let old = many.insert(record);
            self.uncount(old.iter());
            return Ok(());
        }
        self.make_newest(id, execution, true)?;
        let was_open_scope = self.newest.records.set(&entry);
        self.open_scopes -= usize::from(was_open_scope);
        self.divide_many(execution);
        Ok(())
    }

    /// Where the newest execution has many records, each is kept by itself from now on.
    fn divide_many(&mut self, execution: ExecutionKey) {
        let (count, bytes) =
            self.newest.records.inner().fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.value.len()));
        if count <= INNER_MAX && bytes <= INNER_MAX_BYTES {
            return;
        }
        let many = self.open.entry(execution).or_default().many.get_or_insert_default();
        for entry in self.newest.records.inner() {
            let record = Record::new(&self.newest.id, &entry, &mut self.compressor);
            self.bytes += record.bytes();
            many.insert(record);
        }
        self.newest.records.keep_root();
    }

    fn set_root(&mut self, id: &str, key: ExecutionKey, value: Option<&[u8]>) -> Result<(), CodecError> {
        self.make_newest(id, key, false)?;
        match value {
            Some(value) => self.newest.records.set(&Entry { place: &[], is_open_scope: false, value }),
            None => self.newest.records.remove(&[]),
        };
        Ok(())
    }

    /// The hash of an execution's id.
    fn key_of(&self, id: &str) -> ExecutionKey {
        match self.newest.key {
            Some(key) if self.newest.id == id => key,
            _ => execution_hash(id).into(),
        }
    }

    /// Makes an execution the newest one; its root's record may be missing then, unless it `needs_root`.
    fn make_newest(&mut self, id: &str, key: ExecutionKey, needs_root: bool) -> Result<(), CodecError> {
        if self.newest.key == Some(key) {
            return Ok(());
        }
        self.pack_newest();
        let open = self.open.entry(key).or_default();
        if let Some(packed) = &open.packed {
            if needs_root || packed.has_inner() {
                self.newest.records = packed.unpack(id, &self.dictionaries)?;
            }
            self.bytes -= packed.bytes();
            open.packed = None;
        }
        self.newest.key = Some(key);
        self.newest.id.clear();
        self.newest.id.push_str(id);
        Ok(())
    }

    fn pack_newest(&mut self) {
        let Newest { key, id, records } = &mut self.newest;
        if let Some(open) = key.take().and_then(|key| self.open.get_mut(&key)) {
            let packed = PackedRecords::new(records, id, &mut self.dictionaries, &mut self.compressor);
            self.bytes += packed.bytes();
            open.packed = Some(packed);
        }
        records.clear();
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
    ///
    /// # Errors
    /// Where what is there of it can't be read.
    pub fn fail(&mut self, id: &str, stub: Stub, root: Option<&[u8]>) -> Result<(), CodecError> {
        let key = self.key_of(id);
        self.closed.insert(key, PackedStub::new(stub));
        if root.is_none() && !self.open.contains_key(&key) {
            return Ok(());
        }
        self.set_root(id, key, root)
    }

    /// A tombstone: nothing of the key stays.
    ///
    /// # Errors
    /// Where what is there of its execution can't be read.
    pub fn remove(&mut self, key: &RecordKey) -> Result<(), CodecError> {
        match key {
            RecordKey::Root(id) => {
                let hash = execution_hash(id);
                self.forget(hash.into());
                self.forget_closed(hash);
            }
            RecordKey::Inner(key) => self.remove_inner(key)?,
        }
        Ok(())
    }

    fn remove_inner(&mut self, key: &ContextKey) -> Result<(), CodecError> {
        let (id, execution) = (&key.execution_id, self.key_of(&key.execution_id));
        let place = place_of(&key.scope, key.branch.as_deref());
        let Some(records) = self.open.get_mut(&execution) else { return Ok(()) };
        if let Some(many) = &mut records.many {
            let old = many.remove(&place);
            self.uncount(old.iter());
            return Ok(());
        }
        self.make_newest(id, execution, true)?;
        self.open_scopes -= usize::from(self.newest.records.remove(&place));
        Ok(())
    }

    fn forget(&mut self, key: ExecutionKey) {
        let Some(OpenRecords { packed, many }) = self.open.remove(&key) else { return };
        if self.newest.key == Some(key) {
            self.open_scopes -= self.newest.records.open_scopes();
            self.newest.key = None;
            self.newest.records.clear();
        }
        if let Some(packed) = packed {
            self.bytes -= packed.bytes();
            self.open_scopes -= packed.open_scopes();
        }
        self.uncount(many.iter().flat_map(|many| many.iter()));
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
        self.pack_newest();
        let has_root = |records: &OpenRecords| records.packed.as_ref().is_some_and(PackedRecords::has_root);
        let orphans: Vec<ExecutionKey> =
            self.open.iter().filter(|(_, records)| !has_root(records)).map(|(key, _)| *key).collect();
        for key in orphans {
            self.forget(key);
        }
    }
}

#[cfg(test)]
mod tests;
