//! An inbox record as it came, kept beside its event while it may yet become a dead letter.

use serde::{Deserialize, Serialize};

/// An inbox record as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct OriginalRecord {
    #[serde(default, with = "serde_bytes")]
    pub key: Option<Vec<u8>>,
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
    #[serde(default)]
    pub headers: Vec<OriginalHeader>,
}

impl OriginalRecord {
    /// Bytes of it.
    pub fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|header| header.name.len() + header.value.as_ref().map_or(0, Vec::len));
        self.key.as_ref().map_or(0, Vec::len) + self.value.len() + headers.sum::<usize>()
    }
}

/// A header of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "two fields")]
pub struct OriginalHeader {
    pub name: String,
    #[serde(default, with = "serde_bytes")]
    pub value: Option<Vec<u8>>,
}
