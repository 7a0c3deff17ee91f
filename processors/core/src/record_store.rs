//! Where an execution finds the records beside its root record.

use crate::context::{Branch, Scope};

/// Where the records of scopes and branches are found when they are needed.
pub trait RecordStore {
    /// A scope of the execution.
    fn scope(&self, execution_id: &str, scope: &str) -> Option<Scope>;
    /// A branch of the execution.
    fn branch(&self, execution_id: &str, scope: &str, branch: &str) -> Option<Branch>;
    /// All branches of a scope that have begun, in any order.
    fn branches(&self, execution_id: &str, scope: &str) -> Vec<Branch>;
}

/// A store without records.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyStore;

impl RecordStore for EmptyStore {
    fn scope(&self, _: &str, _: &str) -> Option<Scope> {
        None
    }
    fn branch(&self, _: &str, _: &str, _: &str) -> Option<Branch> {
        None
    }
    fn branches(&self, _: &str, _: &str) -> Vec<Branch> {
        Vec::new()
    }
}
