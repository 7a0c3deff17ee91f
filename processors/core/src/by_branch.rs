//! What is known of branches, by scope and name.

use std::collections::BTreeMap;

/// Values by the scope and the name of a branch, in the order of both. They are found by borrowed texts: a key that is
/// a pair of owned ones would be copied for every look.
#[derive(Clone, Debug, PartialEq)]
pub struct ByBranch<T>(BTreeMap<String, BTreeMap<String, T>>);

impl<T> Default for ByBranch<T> {
    fn default() -> Self {
        ByBranch(BTreeMap::new())
    }
}

impl<T> ByBranch<T> {
    /// Of one branch.
    pub fn get(&self, scope: &str, branch: &str) -> Option<&T> {
        self.0.get(scope)?.get(branch)
    }

    /// Of one branch, to be changed.
    pub fn get_mut(&mut self, scope: &str, branch: &str) -> Option<&mut T> {
        self.0.get_mut(scope)?.get_mut(branch)
    }

    /// Sets that of one branch.
    pub fn insert(&mut self, scope: &str, branch: &str, value: T) {
        match self.0.get_mut(scope) {
            Some(branches) => drop(branches.insert(branch.to_owned(), value)),
            None => drop(self.0.insert(scope.to_owned(), BTreeMap::from([(branch.to_owned(), value)]))),
        }
    }

    /// Those of one scope, by the name of the branch.
    pub fn of_scope(&self, scope: &str) -> impl Iterator<Item = (&str, &T)> {
        self.0.get(scope).into_iter().flatten().map(|(branch, value)| (branch.as_str(), value))
    }

    /// All: scope, branch, value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &T)> {
        self.0.iter().flat_map(|(scope, branches)| {
            branches.iter().map(move |(branch, value)| (scope.as_str(), branch.as_str(), value))
        })
    }

    /// Keeps those of the scopes that `keep` says.
    pub fn retain_scopes(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|scope, _| keep(scope));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.values().all(BTreeMap::is_empty)
    }
}
