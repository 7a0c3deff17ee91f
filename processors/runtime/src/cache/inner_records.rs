//! The records of the scopes and branches of one execution.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use thalweg_core::codec::CodecError;
use thalweg_core::context::ContextKey;

use super::compression::{compress, decompress};
use super::place::{ids_of, place_of};

/// Bytes before the place: its length, and whether it is an open scope.
const HEAD_BYTES: usize = size_of::<u32>();

/// A record behind its place in the execution, in one allocation: most executions that fan out have few of them, so that what each takes
/// beside its bytes matters.
pub struct Record(Box<[u8]>);

impl Record {
    /// That of a scope or branch.
    pub fn new(key: &ContextKey, value: &[u8], is_open_scope: bool) -> Record {
        let place = place_of(&key.scope, key.branch.as_deref());
        let head = u32::try_from(place.len()).unwrap_or(u32::MAX) << 1 | u32::from(is_open_scope);
        let record = compress(value, &ids_of(&key.execution_id, &place));
        Record([&head.to_le_bytes()[..], &place, &record].concat().into())
    }

    /// Whether it is an open scope, then place and record.
    fn parts(&self) -> (bool, &[u8], &[u8]) {
        let Some((head, rest)) = self.0.split_first_chunk::<HEAD_BYTES>() else { return (false, &[], &[]) };
        let head = u32::from_le_bytes(*head);
        let (place, record) = rest.split_at_checked((head >> 1) as usize).unwrap_or_default();
        (head & 1 == 1, place, record)
    }

    fn place(&self) -> &[u8] {
        self.parts().1
    }

    /// Is it that of an open scope?
    pub fn is_open_scope(&self) -> bool {
        self.parts().0
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    fn value(&self, execution_id: &str) -> Result<Vec<u8>, CodecError> {
        let (_, place, record) = self.parts();
        decompress(record, &ids_of(execution_id, place))
    }
}

impl Borrow<[u8]> for Record {
    fn borrow(&self) -> &[u8] {
        self.place()
    }
}

impl Ord for Record {
    fn cmp(&self, other: &Record) -> Ordering {
        self.place().cmp(other.place())
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

/// Records that are kept in a list: a tree takes 192 bytes for its first one.
const FEW_MAX: usize = 8;

/// The records of the scopes and branches of one execution, by scope and branch.
pub enum InnerRecords {
    /// In order.
    Few(Vec<Record>),
    Many(BTreeSet<Record>),
}

impl Default for InnerRecords {
    fn default() -> Self {
        InnerRecords::Few(Vec::new())
    }
}

impl InnerRecords {
    /// Takes in a record; tells the one that it takes the place of.
    pub fn insert(&mut self, record: Record) -> Option<Record> {
        match self {
            InnerRecords::Many(records) => records.replace(record),
            InnerRecords::Few(records) => match records.binary_search(&record) {
                Ok(at) => Some(std::mem::replace(&mut records[at], record)),
                Err(at) if records.len() < FEW_MAX => {
                    records.insert(at, record);
                    None
                }
                Err(_) => {
                    *self = InnerRecords::Many(records.drain(..).chain([record]).collect());
                    None
                }
            },
        }
    }

    /// Lets go of the record of a scope or branch.
    pub fn remove(&mut self, key: &ContextKey) -> Option<Record> {
        let place = place_of(&key.scope, key.branch.as_deref());
        match self {
            InnerRecords::Many(records) => records.take(place.as_slice()),
            InnerRecords::Few(records) => {
                let at = records.binary_search_by(|record| record.place().cmp(&place)).ok()?;
                Some(records.remove(at))
            }
        }
    }

    fn get(&self, place: &[u8]) -> Option<&Record> {
        match self {
            InnerRecords::Many(records) => records.get(place),
            InnerRecords::Few(records) => records.iter().find(|record| record.place() == place),
        }
    }

    /// The value of a scope's record.
    pub fn scope(&self, execution_id: &str, scope: &str) -> Option<Vec<u8>> {
        self.get(&place_of(scope, None))?.value(execution_id).ok()
    }

    /// The value of a branch's record.
    pub fn branch(&self, execution_id: &str, scope: &str, branch: &str) -> Option<Vec<u8>> {
        self.get(&place_of(scope, Some(branch)))?.value(execution_id).ok()
    }

    /// The values of the records of a scope's branches, by name.
    pub fn branches(&self, execution_id: &str, scope: &str) -> Vec<Vec<u8>> {
        let first = place_of(scope, Some(""));
        let value = |record: &Record| record.value(execution_id).ok();
        let of_scope = |record: &&Record| record.place().starts_with(&first);
        match self {
            InnerRecords::Many(records) => {
                let from = (Bound::Included(first.as_slice()), Bound::Unbounded);
                records.range::<[u8], _>(from).take_while(of_scope).filter_map(value).collect()
            }
            InnerRecords::Few(records) => records.iter().filter(of_scope).filter_map(value).collect(),
        }
    }

    /// All records.
    pub fn iter(&self) -> Box<dyn Iterator<Item = &Record> + '_> {
        match self {
            InnerRecords::Many(records) => Box::new(records.iter()),
            InnerRecords::Few(records) => Box::new(records.iter()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(scope: &str, branch: Option<&str>, value: &str, is_open_scope: bool) -> Record {
        Record::new(&key(scope, branch), value.as_bytes(), is_open_scope)
    }

    fn key(scope: &str, branch: Option<&str>) -> ContextKey {
        ContextKey { execution_id: "e".to_owned(), scope: scope.to_owned(), branch: branch.map(str::to_owned) }
    }

    #[test]
    fn few_records_and_many_are_found_by_scope_and_branch() {
        let uuid = "6076b79f-4030-5d05-a150-38306c2b85a0";
        let scopes = [("s", 3), ("s", FEW_MAX), ("sa", 3), ("t", 0), (uuid, 2)];
        for count in 0..scopes.len() {
            let mut records = InnerRecords::default();
            for (scope, branches) in scopes[..=count].iter().rev() {
                // The last one first.
                for branch in (0..*branches).rev().map(|number| number.to_string()) {
                    records.insert(record(scope, Some(&branch), &format!("{scope}/{branch}"), false));
                }
                records.insert(record(scope, None, scope, false));
            }
            let text = |value: Option<Vec<u8>>| value.map(|value| String::from_utf8_lossy(&value).into_owned());
            for (scope, branches) in &scopes[..=count] {
                assert_eq!(text(records.scope("e", scope)).as_deref(), Some(*scope));
                for branch in (0..*branches).map(|number| number.to_string()) {
                    assert_eq!(text(records.branch("e", scope, &branch)), Some(format!("{scope}/{branch}")));
                }
                assert_eq!(records.branch("e", scope, "none"), None);
            }
            assert_eq!(records.scope("e", "none"), None);
            let of_s = records.branches("e", "s").into_iter().filter_map(|value| text(Some(value)));
            let branches = if count == 0 { 3 } else { FEW_MAX };
            assert_eq!(of_s.collect::<Vec<_>>(), (0..branches).map(|number| format!("s/{number}")).collect::<Vec<_>>());
            assert_eq!(matches!(records, InnerRecords::Many(_)), count > 0);
        }
    }

    #[test]
    fn what_takes_the_place_of_a_record_and_what_goes_is_told() {
        for others in [0, FEW_MAX] {
            let mut records = InnerRecords::default();
            for branch in 0..others {
                records.insert(record("o", Some(&branch.to_string()), "other", false));
            }
            assert!(records.insert(record("s", None, "first", true)).is_none());
            let first = records.insert(record("s", None, "second", false));
            assert_eq!(first.map(|record| record.is_open_scope()), Some(true));
            assert!(records.remove(&key("s", Some("b"))).is_none());
            assert_eq!(records.remove(&key("s", None)).map(|record| record.is_open_scope()), Some(false));
            assert_eq!(records.iter().count(), others);
        }
    }
}
