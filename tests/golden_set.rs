//! A golden set: what an older build wrote to the topics of a namespace, kept as files in `tests/golden`.
//!
//! Three turns on the same partitions: the older build's, the inputs of the one after it, and the older build's again.
//! A record is a line of JSON, in the order of topic, partition and offset.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The inbox topic, without the namespace.
pub const INBOX: &str = "inbox";
/// The topic that carries every channel, without the namespace.
pub const EVENTS: &str = "events";
/// The contexts topic, without the namespace.
pub const CONTEXTS: &str = "contexts";
/// The dead-letters topic, without the namespace.
pub const DEAD_LETTERS: &str = "dead-letters";
/// The registry topic, without the namespace.
pub const REGISTRY: &str = "registry";

/// The file of [`Manifest`].
pub const MANIFEST: &str = "manifest.json";
/// The files of the turns.
pub const TURNS: [&str; 3] = ["turn-1.jsonl", "turn-2-inputs.jsonl", "turn-3.jsonl"];

/// What one older build left.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldenSet {
    /// About the build and its namespace.
    pub manifest: Manifest,
    /// The older build's first turn: all topics, inbox records that it had not handled among them.
    pub first: Vec<GoldenRecord>,
    /// The inputs that arrive while the present build has its turn.
    pub second_inputs: Vec<GoldenRecord>,
    /// What came to the topics in the older build's second turn.
    pub third: Vec<GoldenRecord>,
}

/// About the build and its namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the build.
    pub build: String,
    /// Its commit.
    pub commit: String,
    /// The namespace: positions in headers, contexts and derived ids name its inbox.
    pub namespace: String,
    /// Partitions of its topics.
    pub partitions: i32,
    /// The group's next inbox offset of each partition after the first turn.
    pub committed_first: BTreeMap<i32, i64>,
    /// The same after the third turn.
    pub committed_third: BTreeMap<i32, i64>,
    /// The effect kinds that the build knows; others it ignores.
    pub effect_kinds: BTreeSet<String>,
    /// The statuses that the build can read, by whose they are. Others stop its lane.
    pub statuses: BTreeMap<String, BTreeSet<String>>,
}

/// A record as it lay in its topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoldenRecord {
    /// The topic, without the namespace.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset. Markers of transactions take some; those of the inbox have no gaps.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Key.
    pub key: Option<Bytes>,
    /// Value.
    pub value: Option<Bytes>,
}

impl GoldenRecord {
    /// The key's bytes.
    pub fn key_bytes(&self) -> Option<Vec<u8>> {
        self.key.as_ref().map(Bytes::to_vec)
    }

    /// The value's bytes.
    pub fn value_bytes(&self) -> Option<Vec<u8>> {
        self.value.as_ref().map(Bytes::to_vec)
    }
}

/// Bytes: text where they are UTF-8; others a character each, so that the texts in them can be read and searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bytes {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Binary {
        /// Characters U+0000 to U+00FF.
        bytes: String,
    },
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        match String::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text),
            Err(error) => Bytes::Binary { bytes: error.as_bytes().iter().map(|byte| char::from(*byte)).collect() },
        }
    }
}

impl Bytes {
    fn to_vec(&self) -> Vec<u8> {
        match self {
            Bytes::Text(text) => text.clone().into_bytes(),
            Bytes::Binary { bytes } => bytes.chars().map(|c| u8::try_from(c).expect("a byte")).collect(),
        }
    }
}

impl GoldenSet {
    /// All sets, oldest first. There is at least one.
    pub fn all() -> Vec<GoldenSet> {
        let entries = fs::read_dir(root()).expect("tests/golden").map(|entry| entry.expect("an entry").path());
        let mut directories: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
        directories.sort();
        assert!(!directories.is_empty(), "tests/golden holds no set");
        directories.iter().map(|directory| GoldenSet::read(directory)).collect()
    }

    fn read(directory: &Path) -> GoldenSet {
        let text = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let [first, second_inputs, third] = TURNS
            .map(|name| text(name).lines().map(|line| serde_json::from_str(line).expect("a golden record")).collect());
        let manifest = serde_json::from_str(&text(MANIFEST)).expect("a manifest");
        GoldenSet { manifest, first, second_inputs, third }
    }

    /// The schemas that the older build registered: fingerprint and text.
    pub fn schemas(&self) -> Vec<([u8; 8], String)> {
        let registered = self.first.iter().filter(|record| record.topic == REGISTRY);
        registered.filter_map(|record| registered_schema(&record.key_bytes()?, record.value_bytes()?)).collect()
    }
}

/// The schema that a record of the registry holds, where it holds one: fingerprint and text.
pub fn registered_schema(key: &[u8], value: Vec<u8>) -> Option<([u8; 8], String)> {
    let digits = std::str::from_utf8(key).ok()?.strip_prefix("schema/")?;
    let fingerprint = u64::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some((fingerprint, String::from_utf8(value).ok()?))
}

/// `tests/golden`, from any crate of processors/.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden"))
}
