//! The records of one execution, one behind the other.

/// Bytes before a place: its length, and whether it is that of an open scope; and before a value: its length.
const HEAD_BYTES: usize = size_of::<u32>();

/// Room for records that is kept while there are none.
const KEPT_BYTES: usize = 16 * 1024;

/// Records by place ([`super::place`]); that of the root is empty.
#[derive(Clone, Default)]
pub struct ExecutionRecords {
    bytes: Vec<u8>,
}

/// One of them.
pub struct Entry<'a> {
    pub place: &'a [u8],
    pub is_open_scope: bool,
    pub value: &'a [u8],
}

impl Entry<'_> {
    pub fn is_root(&self) -> bool {
        self.place.is_empty()
    }

    fn bytes(&self) -> usize {
        2 * HEAD_BYTES + self.place.len() + self.value.len()
    }
}

impl ExecutionRecords {
    /// From [`ExecutionRecords::as_bytes`].
    pub fn from_bytes(bytes: Vec<u8>) -> ExecutionRecords {
        ExecutionRecords { bytes }
    }

    /// All of them, as they lie.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (head, bytes) = rest.split_first_chunk::<HEAD_BYTES>()?;
            let head = u32::from_le_bytes(*head);
            let (place, bytes) = bytes.split_at_checked((head >> 1) as usize)?;
            let (length, bytes) = bytes.split_first_chunk::<HEAD_BYTES>()?;
            let (value, bytes) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = bytes;
            Some(Entry { place, is_open_scope: head & 1 == 1, value })
        })
    }

    /// The value of a record.
    pub fn get(&self, place: &[u8]) -> Option<&[u8]> {
        self.iter().find(|entry| entry.place == place).map(|entry| entry.value)
    }

    /// The value of the root's record.
    pub fn root(&self) -> Option<&[u8]> {
        self.get(&[])
    }

    /// Those of scopes and branches.
    pub fn inner(&self) -> impl Iterator<Item = Entry<'_>> {
        self.iter().filter(|entry| !entry.is_root())
    }

    /// Takes in a record; tells whether the one that it takes the place of was an open scope.
    pub fn set(&mut self, entry: &Entry) -> bool {
        let Entry { place, is_open_scope, value } = *entry;
        let was_open_scope = self.remove(place);
        let head = u32::try_from(place.len()).unwrap_or(u32::MAX) << 1 | u32::from(is_open_scope);
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        for part in [&head.to_le_bytes()[..], place, &length.to_le_bytes()[..], value] {
            self.bytes.extend_from_slice(part);
        }
        was_open_scope
    }

    /// Lets go of a record; tells whether it was an open scope.
    pub fn remove(&mut self, place: &[u8]) -> bool {
        let mut at = 0;
        let found = self.iter().find_map(|entry| {
            let range = at..at + entry.bytes();
            at = range.end;
            (entry.place == place).then_some((range, entry.is_open_scope))
        });
        let Some((range, was_open_scope)) = found else { return false };
        self.bytes.drain(range);
        was_open_scope
    }

    /// Lets go of those of scopes and branches.
    pub fn keep_root(&mut self) {
        let mut kept = ExecutionRecords::default();
        if let Some(root) = self.iter().find(Entry::is_root) {
            kept.set(&root);
        }
        *self = kept;
    }

    /// Scopes that are open.
    pub fn open_scopes(&self) -> usize {
        self.iter().filter(|entry| entry.is_open_scope).count()
    }

    /// None any more; what they took is kept, where it is little.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(place: &'a str, is_open_scope: bool, value: &'a str) -> Entry<'a> {
        Entry { place: place.as_bytes(), is_open_scope, value: value.as_bytes() }
    }

    #[test]
    fn a_record_is_found_by_its_place_until_it_is_removed() {
        let mut records = ExecutionRecords::default();
        assert!(records.root().is_none() && !records.remove(b"s"));
        assert!(!records.set(&entry("s", true, "open scope")));
        assert!(!records.set(&entry("sb", false, "")));
        assert!(!records.set(&entry("", false, "root")));
        assert_eq!((records.root(), records.open_scopes()), (Some(&b"root"[..]), 1));
        assert!(records.set(&entry("s", false, "closed scope")));
        assert!(!records.set(&entry("", false, "the root anew")));
        let mut read = ExecutionRecords::from_bytes(records.as_bytes().to_vec());
        let places: Vec<(&[u8], &[u8])> = read.iter().map(|entry| (entry.place, entry.value)).collect();
        let all: [(&[u8], &[u8]); 3] = [(b"sb", b""), (b"s", b"closed scope"), (b"", b"the root anew")];
        assert_eq!((places.as_slice(), read.open_scopes()), (&all[..], 0));
        read.keep_root();
        assert_eq!((read.root(), read.inner().count()), (Some(&b"the root anew"[..]), 0));
        assert!(!records.remove(b""));
        assert_eq!((records.root(), records.get(b"sb"), records.inner().count()), (None, Some(&b""[..]), 2));
        records.keep_root();
        assert!(records.as_bytes().is_empty());
    }
}
