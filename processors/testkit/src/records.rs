//! The contexts topic, compacted: the newest bytes of each record.

use std::collections::BTreeMap;

use thalweg_core::codec::{CodecError, Schemas};
use thalweg_core::context::{Branch, Context, ContextKey, RecordKey, Scope, Stub};
use thalweg_core::{Execution, RecordStore, WorkflowStatus};

/// Records of executions, as they are written.
pub struct Records {
    schemas: Schemas,
    bytes: BTreeMap<RecordKey, Vec<u8>>,
}

impl Records {
    /// None.
    pub fn new(schemas: Schemas) -> Records {
        Records { schemas, bytes: BTreeMap::new() }
    }

    /// What reads and writes them.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Takes in what an execution has changed.
    ///
    /// # Errors
    /// Where a record does not fit its schema.
    pub fn save(&mut self, mut execution: Execution) -> Result<(), CodecError> {
        if execution.is_given_up() {
            self.bytes.remove(&RecordKey::Root(execution.id().to_owned()));
        }
        for (key, value) in execution.changed_records(&self.schemas)? {
            self.bytes.insert(key, value);
        }
        Ok(())
    }

    /// The root record of an execution.
    pub fn root(&self, id: &str) -> Option<Context> {
        self.schemas.read_context(self.bytes.get(&RecordKey::Root(id.to_owned()))?).ok()
    }

    /// The executions that there are.
    pub fn ids(&self) -> Vec<String> {
        let root = |key: &RecordKey| match key {
            RecordKey::Root(id) => Some(id.clone()),
            RecordKey::Inner(_) => None,
        };
        self.bytes.keys().filter_map(root).collect()
    }

    /// An execution as a router finds it.
    ///
    /// # Errors
    /// Where an event that it keeps can't be read.
    pub fn open(&self, id: &str) -> Result<Execution, CodecError> {
        match self.root(id) {
            None => Ok(Execution::unknown(id)),
            // It can be redriven.
            Some(context) if context.status == WorkflowStatus::Failed => Execution::closed_with(context, &self.schemas),
            Some(context) if context.status.is_closed() => Ok(Execution::closed(id, Stub::of(&context))),
            Some(context) => Execution::open(context, &self.schemas),
        }
    }
}

fn inner_key(execution_id: &str, scope: &str, branch: Option<&str>) -> RecordKey {
    let (execution_id, scope) = (execution_id.to_owned(), scope.to_owned());
    RecordKey::Inner(ContextKey { execution_id, scope, branch: branch.map(str::to_owned) })
}

impl RecordStore for Records {
    fn scope(&self, execution_id: &str, scope: &str) -> Option<Scope> {
        self.schemas.read_scope(self.bytes.get(&inner_key(execution_id, scope, None))?).ok()
    }

    fn branch(&self, execution_id: &str, scope: &str, branch: &str) -> Option<Branch> {
        self.schemas.read_branch(self.bytes.get(&inner_key(execution_id, scope, Some(branch)))?).ok()
    }

    fn branches(&self, execution_id: &str, scope: &str) -> Vec<Branch> {
        let is_of = |key: &RecordKey| match key {
            RecordKey::Inner(key) => key.execution_id == execution_id && key.scope == scope,
            RecordKey::Root(_) => false,
        };
        let from = inner_key(execution_id, scope, Some(""));
        let of_scope = self.bytes.range(from..).take_while(|(key, _)| is_of(key));
        of_scope.filter_map(|(_, bytes)| self.schemas.read_branch(bytes).ok()).collect()
    }
}
