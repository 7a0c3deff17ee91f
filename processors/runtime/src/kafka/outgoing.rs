//! Records to write: one alone, and those of a transaction.

use std::ops::Range;
use std::sync::Arc;

/// A record to write.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition, given and not hashed.
    pub partition: i32,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value.
    pub value: Option<Vec<u8>>,
    /// Headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A record to write, its parts borrowed.
#[derive(Clone, Debug)]
pub struct OutgoingRef<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition, given and not hashed.
    pub partition: i32,
    /// Key.
    pub key: Option<&'a [u8]>,
    /// Value.
    pub value: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

impl<'a> From<&'a Outgoing> for OutgoingRef<'a> {
    fn from(record: &'a Outgoing) -> OutgoingRef<'a> {
        OutgoingRef {
            topic: &record.topic,
            partition: record.partition,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect(),
        }
    }
}

/// Bytes that are kept from one transaction to the next: several times what a thousand claims come to. What an unusual
/// batch took beyond it goes back.
const KEPT_BYTES: usize = 64 * 1024 * 1024;

/// The records of a transaction, encoded one behind the other into memory that the next transaction uses again.
///
/// Each for itself they took seven allocations, and all of it went back to the system between two transactions:
/// page faults were a tenth of a lane's CPU on a backlog.
pub struct Records<T> {
    bytes: Vec<u8>,
    headers: Vec<(&'static str, Range<usize>)>,
    records: Vec<Record<T>>,
}

/// Where the parts of a record are.
struct Record<T> {
    topic: T,
    partition: i32,
    key: Range<usize>,
    /// None: a tombstone.
    value: Option<Range<usize>>,
    headers: Range<usize>,
}

impl<T> Default for Records<T> {
    fn default() -> Self {
        Records { bytes: Vec::new(), headers: Vec::new(), records: Vec::new() }
    }
}

impl<T> Records<T> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Forgets them and keeps the memory, up to [`KEPT_BYTES`] of it.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.headers.clear();
        self.records.clear();
    }

    /// Adds a record to a topic; `write` appends its value.
    ///
    /// # Errors
    /// Those of `write`; nothing was added.
    pub fn add<E>(
        &mut self,
        topic: T,
        partition: i32,
        key: &[u8],
        headers: &[(&'static str, &[u8])],
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let from = self.bytes.len();
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(from);
            return Err(error);
        }
        let value = Some(from..self.bytes.len());
        let key = self.keep(key);
        let first = self.headers.len();
        for (name, text) in headers {
            let text = self.keep(text);
            self.headers.push((name, text));
        }
        self.records.push(Record { topic, partition, key, value, headers: first..self.headers.len() });
        Ok(())
    }

    /// Adds a tombstone.
    pub fn add_tombstone(&mut self, topic: T, partition: i32, key: &[u8]) {
        let (key, headers) = (self.keep(key), self.headers.len()..self.headers.len());
        self.records.push(Record { topic, partition, key, value: None, headers });
    }

    fn keep(&mut self, part: &[u8]) -> Range<usize> {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(part);
        from..self.bytes.len()
    }

    /// The value of a record, by its place.
    pub fn value(&self, place: usize) -> &[u8] {
        let value = self.records.get(place).and_then(|record| record.value.clone());
        value.map_or(&[], |value| &self.bytes[value])
    }

    /// All of them, in order; `name` tells their topics' names.
    pub fn iter<'a>(&'a self, name: impl Fn(&'a T) -> &'a str) -> impl Iterator<Item = OutgoingRef<'a>> {
        self.records.iter().map(move |record| OutgoingRef {
            topic: name(&record.topic),
            partition: record.partition,
            key: Some(&self.bytes[record.key.clone()]),
            value: record.value.clone().map(|value| &self.bytes[value]),
            headers: self.headers[record.headers.clone()]
                .iter()
                .map(|(name, value)| (*name, Some(&self.bytes[value.clone()])))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_BYTES, Records};

    #[test]
    fn what_an_unusual_batch_took_is_given_back() {
        let mut records = Records::default();
        let large = vec![0; 2 * KEPT_BYTES];
        let write = |bytes: &mut Vec<u8>| {
            bytes.extend_from_slice(&large);
            Ok::<_, ()>(())
        };
        records.add("a", 0, b"k", &[], write).unwrap();
        records.clear();
        assert!(records.is_empty() && records.bytes.capacity() <= KEPT_BYTES);
    }

    #[test]
    fn records_come_back_as_they_were_added() {
        let mut records = Records::default();
        for round in 0..2 {
            records.clear();
            let value = |text: &'static str| {
                move |bytes: &mut Vec<u8>| {
                    bytes.extend(text.as_bytes());
                    Ok::<_, ()>(())
                }
            };
            records.add("a", 3, b"k1", &[("n", b"v"), ("m", b"")], value("one")).unwrap();
            let refused = records.add("a", 3, b"k2", &[], |bytes| {
                bytes.extend(b"half");
                Err("no")
            });
            assert_eq!(refused, Err("no"));
            records.add("b", 4, b"k3", &[], value("")).unwrap();
            records.add_tombstone("c", 5, b"k4");
            let seen: Vec<_> = records.iter(|topic| topic).collect();
            assert_eq!(seen.len(), 3, "round {round}");
            assert_eq!((seen[0].topic, seen[0].partition, seen[0].key), ("a", 3, Some(&b"k1"[..])));
            assert_eq!(seen[0].value, Some(&b"one"[..]));
            assert_eq!(seen[0].headers, [("n", Some(&b"v"[..])), ("m", Some(&b""[..]))]);
            assert_eq!((seen[1].topic, seen[1].value, seen[1].headers.len()), ("b", Some(&b""[..]), 0));
            assert_eq!((seen[2].key, seen[2].value), (Some(&b"k4"[..]), None));
            assert_eq!(records.value(0), b"one");
        }
    }
}
