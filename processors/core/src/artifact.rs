//! References to values that are kept elsewhere, for they are too large for an event.

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::limits::{ARTIFACT_URI_MAX_BYTES, ARTIFACTS_MAX, NAME_MAX_BYTES};

/// The field of an event that holds its references: an array, in `ext`.
pub const ARTIFACTS: &str = "artifacts";

/// Where a value lies, and what it is. Thalweg carries it and reads nothing of what it refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Where: any URI.
    pub uri: String,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// How many bytes it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The SHA-256 of its content, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Artifact {
    /// What lies there.
    pub fn at(uri: &str) -> Artifact {
        Artifact { uri: uri.to_owned(), media_type: None, bytes: None, sha256: None }
    }

    /// Those that an event refers to, by its field `artifacts`; none where that is no list of them.
    pub fn of(event: &Event) -> Vec<Artifact> {
        event.ext.get(ARTIFACTS).and_then(|list| serde_json::from_str(list.as_str()).ok()).unwrap_or_default()
    }

    /// What is wrong with the references of an event that a task emits.
    pub(crate) fn check(artifacts: &[Artifact]) -> Result<(), String> {
        if artifacts.len() > ARTIFACTS_MAX {
            return Err(format!("artifacts: {}, at most {ARTIFACTS_MAX} are allowed", artifacts.len()));
        }
        let is_name = |text: &Option<String>| text.as_ref().is_none_or(|text| text.len() <= NAME_MAX_BYTES);
        let is_right = |artifact: &Artifact| {
            (1..=ARTIFACT_URI_MAX_BYTES).contains(&artifact.uri.len())
                && is_name(&artifact.media_type)
                && is_name(&artifact.sha256)
        };
        match artifacts.iter().all(is_right) {
            true => Ok(()),
            false => Err(format!(
                "artifacts: a uri has 1 to {ARTIFACT_URI_MAX_BYTES} bytes, media_type and sha256 at most {NAME_MAX_BYTES}"
            )),
        }
    }
}
