//! The records of the scopes and branches of one execution.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use thalweg_core::context::ContextKey;

/// Between scope and branch. The id of a scope is a UUID that the engine derives, so that the first one ends it,
/// whatever the branch is named.
const SEPARATOR: u8 = 0;
/// Bytes before the key: its length.
const LENGTH_BYTES: usize = size_of::<u32>();

/// A record behind its key, in one allocation: most executions that fan out have few of them, so that what each takes
/// beside its bytes matters.
struct Record(Box<[u8]>);

impl Record {
    fn new(key: &[u8], value: &[u8]) -> Record {
        let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
        Record([&length.to_le_bytes(), key, value].concat().into())
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        let Some((length, rest)) = self.0.split_first_chunk::<LENGTH_BYTES>() else { return (&[], &[]) };
        rest.split_at_checked(u32::from_le_bytes(*length) as usize).unwrap_or_default()
    }

    fn value(&self) -> &[u8] {
        self.parts().1
    }
}

impl Borrow<[u8]> for Record {
    fn borrow(&self) -> &[u8] {
        self.parts().0
    }
}

impl Ord for Record {
    fn cmp(&self, other: &Record) -> Ordering {
        self.parts().0.cmp(other.parts().0)
    }
}

impl PartialOrd for Record {
    fn partial_cmp(&self, other: &Record) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Record) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Record {}

/// The records of the scopes and branches of one execution, as they were written, by scope and branch.
#[derive(Default)]
pub struct InnerRecords(BTreeSet<Record>);

impl InnerRecords {
    /// Takes in the record of a scope or branch; tells the bytes of the one that it takes the place of.
    pub fn insert(&mut self, key: &ContextKey, value: &[u8]) -> Option<usize> {
        let record = Record::new(&bytes_of(&key.scope, key.branch.as_deref()), value);
        self.0.replace(record).map(|old| old.value().len())
    }

    /// Lets go of the record of a scope or branch; tells its bytes.
    pub fn remove(&mut self, key: &ContextKey) -> Option<usize> {
        let old = self.0.take(bytes_of(&key.scope, key.branch.as_deref()).as_slice());
        old.map(|old| old.value().len())
    }

    /// The record of a scope.
    pub fn scope(&self, scope: &str) -> Option<&[u8]> {
        self.0.get(scope.as_bytes()).map(Record::value)
    }

    /// The record of a branch.
    pub fn branch(&self, scope: &str, branch: &str) -> Option<&[u8]> {
        self.0.get(bytes_of(scope, Some(branch)).as_slice()).map(Record::value)
    }

    /// The records of a scope's branches, by name.
    pub fn branches(&self, scope: &str) -> impl Iterator<Item = &[u8]> {
        let (first, end) = (bytes_of(scope, Some("")), [scope.as_bytes(), &[SEPARATOR + 1]].concat());
        let range = (Bound::Included(first.as_slice()), Bound::Excluded(end.as_slice()));
        self.0.range::<[u8], _>(range).map(Record::value)
    }

    /// The records of all scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(|record| !record.parts().0.contains(&SEPARATOR)).map(Record::value)
    }

    /// Bytes of all records.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|record| record.value().len()).sum()
    }
}

fn bytes_of(scope: &str, branch: Option<&str>) -> Vec<u8> {
    match branch {
        Some(branch) => [scope.as_bytes(), &[SEPARATOR], branch.as_bytes()].concat(),
        None => scope.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scope: &str, branch: Option<&str>) -> ContextKey {
        ContextKey { execution_id: "e".to_owned(), scope: scope.to_owned(), branch: branch.map(str::to_owned) }
    }

    #[test]
    fn records_are_found_by_scope_and_branch() {
        let mut records = InnerRecords::default();
        for (scope, branch) in
            [("s", None), ("s", Some("b")), ("s", Some("a")), ("sa", None), ("sa", Some("b")), ("t", Some(""))]
        {
            let value = format!("{scope}/{}", branch.unwrap_or("-"));
            assert_eq!(records.insert(&key(scope, branch), value.as_bytes()), None);
        }
        assert_eq!(records.scope("s"), Some(&b"s/-"[..]));
        assert_eq!(records.scope("t"), None);
        assert_eq!(records.branch("sa", "b"), Some(&b"sa/b"[..]));
        assert_eq!(records.branch("t", ""), Some(&b"t/"[..]));
        assert_eq!(records.branch("s", "c"), None);
        assert_eq!(records.branches("s").collect::<Vec<_>>(), [b"s/a", b"s/b"]);
        assert_eq!(records.scopes().collect::<Vec<_>>(), [&b"s/-"[..], b"sa/-"]);
    }

    #[test]
    fn what_takes_the_place_of_a_record_and_what_goes_is_told_in_bytes() {
        let mut records = InnerRecords::default();
        records.insert(&key("s", Some("b")), b"four");
        assert_eq!(records.insert(&key("s", Some("b")), b"sixsix"), Some(4));
        assert_eq!(records.bytes(), 6);
        assert_eq!(records.remove(&key("s", None)), None);
        assert_eq!(records.remove(&key("s", Some("b"))), Some(6));
        assert_eq!(records.bytes(), 0);
    }
}
