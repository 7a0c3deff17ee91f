//! The records of the scopes and branches of one execution that has many of them, each compressed by itself.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use thalweg_core::codec::CodecError;

use super::compression::{Compressor, decompress};
use super::execution_records::Entry;
use super::place::ids_of;

/// Bytes before the place: its length, and whether it is an open scope.
const HEAD_BYTES: usize = size_of::<u32>();

/// A record behind its place in the execution, in one allocation.
pub struct Record(Box<[u8]>);

impl Record {
    /// That of a scope or branch.
    pub fn new(execution_id: &str, entry: &Entry, compressor: &mut Compressor) -> Record {
        let Entry { place, is_open_scope, value } = *entry;
        let head = u32::try_from(place.len()).unwrap_or(u32::MAX) << 1 | u32::from(is_open_scope);
        let record = compressor.compress(value, &ids_of(execution_id, place));
        Record([&head.to_le_bytes()[..], place, &record].concat().into())
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

/// The records of the scopes and branches of one execution, by scope and branch.
#[derive(Default)]
pub struct InnerRecords(BTreeSet<Record>);

impl InnerRecords {
    /// Takes in a record; tells the one that it takes the place of.
    pub fn insert(&mut self, record: Record) -> Option<Record> {
        self.0.replace(record)
    }

    /// Lets go of the record of a scope or branch.
    pub fn remove(&mut self, place: &[u8]) -> Option<Record> {
        self.0.take(place)
    }

    /// The value of the record of a scope or branch.
    pub fn get(&self, execution_id: &str, place: &[u8]) -> Option<Vec<u8>> {
        self.0.get(place)?.value(execution_id).ok()
    }

    /// The values of the records whose places begin with `first`, by place.
    pub fn beginning_with(&self, execution_id: &str, first: &[u8]) -> Vec<Vec<u8>> {
        let from = (Bound::Included(first), Bound::Unbounded);
        let found = self.0.range::<[u8], _>(from).take_while(|record| record.place().starts_with(first));
        found.filter_map(|record| record.value(execution_id).ok()).collect()
    }

    /// All records.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(place: &str, value: &str, is_open_scope: bool) -> Record {
        let entry = Entry { place: place.as_bytes(), is_open_scope, value: value.as_bytes() };
        Record::new("e", &entry, &mut Compressor::default())
    }

    #[test]
    fn what_takes_the_place_of_a_record_and_what_goes_is_told() {
        let mut records = InnerRecords::default();
        assert!(records.insert(record("1s", "first", true)).is_none());
        assert!(records.insert(record("1sa", "other", false)).is_none());
        let first = records.insert(record("1s", "second", false));
        assert_eq!(first.map(|record| record.is_open_scope()), Some(true));
        assert_eq!(records.beginning_with("e", b"1s"), [b"second".to_vec(), b"other".to_vec()]);
        assert!(records.remove(b"1").is_none());
        assert_eq!(records.remove(b"1s").map(|record| record.is_open_scope()), Some(false));
        assert_eq!((records.get("e", b"1s"), records.get("e", b"1sa")), (None, Some(b"other".to_vec())));
    }
}
