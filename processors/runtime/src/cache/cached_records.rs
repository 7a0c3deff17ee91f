//! The scopes and branches of one execution, as the step asks for them.

use std::borrow::Cow;
use std::cell::OnceCell;

use thalweg_core::RecordStore;
use thalweg_core::codec::Schemas;
use thalweg_core::context::{Branch, Scope};

use super::PartitionCache;
use super::by_execution::ExecutionKey;
use super::execution_records::{Entry, ExecutionRecords};
use super::inner_records::InnerRecords;
use super::place::place_of;

/// The scopes and branches of one execution, for the step.
pub struct CachedRecords<'a> {
    cache: &'a PartitionCache,
    schemas: &'a Schemas,
    execution: ExecutionKey,
    /// Unpacked when they are first asked for.
    few: OnceCell<Cow<'a, ExecutionRecords>>,
}

impl<'a> CachedRecords<'a> {
    /// Those of the execution of this hash.
    pub fn new(cache: &'a PartitionCache, schemas: &'a Schemas, execution: u128) -> CachedRecords<'a> {
        CachedRecords { cache, schemas, execution: execution.into(), few: OnceCell::new() }
    }

    fn many(&self) -> Option<&'a InnerRecords> {
        self.cache.open.get(&self.execution)?.many.as_deref()
    }

    fn few(&self, execution_id: &str) -> &ExecutionRecords {
        self.few.get_or_init(|| self.cache.records(execution_id, self.execution).unwrap_or_default())
    }

    fn value(&self, execution_id: &str, place: &[u8]) -> Option<Cow<'_, [u8]>> {
        match self.many() {
            Some(many) => many.get(execution_id, place).map(Cow::Owned),
            None => self.few(execution_id).get(place).map(Cow::Borrowed),
        }
    }
}

impl RecordStore for CachedRecords<'_> {
    fn scope(&self, execution_id: &str, scope: &str) -> Option<Scope> {
        self.schemas.read_scope(&self.value(execution_id, &place_of(scope, None))?).ok()
    }

    fn branch(&self, execution_id: &str, scope: &str, branch: &str) -> Option<Branch> {
        self.schemas.read_branch(&self.value(execution_id, &place_of(scope, Some(branch)))?).ok()
    }

    fn branches(&self, execution_id: &str, scope: &str) -> Vec<Branch> {
        let first = place_of(scope, Some(""));
        let read = |value: &[u8]| self.schemas.read_branch(value).ok();
        if let Some(many) = self.many() {
            return many.beginning_with(execution_id, &first).iter().filter_map(|value| read(value)).collect();
        }
        let of_scope = self.few(execution_id).inner().filter(|entry| entry.place.starts_with(&first));
        let mut branches: Vec<Entry> = of_scope.collect();
        branches.sort_unstable_by_key(|entry| entry.place);
        branches.iter().filter_map(|entry| read(entry.value)).collect()
    }
}
