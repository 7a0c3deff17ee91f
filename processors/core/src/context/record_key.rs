//! What a record in the contexts topic is found by.

use serde::{Deserialize, Serialize};

/// Key of a record in the contexts topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKey {
    /// The root record: the key is the execution_id itself.
    Root(String),
    /// A scope or, with a branch, a branch: the key is an Avro `ContextKey`.
    Inner(ContextKey),
}

/// Key of a scope's or branch's record (`schemas/context_key.avsc`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct ContextKey {
    pub execution_id: String,
    pub scope: String,
    #[serde(default)]
    pub branch: Option<String>,
}
