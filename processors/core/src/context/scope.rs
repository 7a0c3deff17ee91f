//! A fan-out and its branches, each with a record of its own.

use serde::{Deserialize, Serialize};

use crate::join_policy::{BranchCounts, JoinPolicy};
use crate::json::Json;
use crate::status::{BranchStatus, ScopeStatus};

/// One fan-out (`schemas/scope.avsc`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct Scope {
    pub execution_id: String,
    pub scope: String,
    pub name: String,
    #[serde(default)]
    pub parent_scope: Option<String>,
    #[serde(default)]
    pub parent_branch: Option<String>,
    pub policy: JoinPolicy,
    pub status: ScopeStatus,
    pub total: i32,
    pub succeeded: i32,
    pub failed: i32,
    #[serde(default)]
    pub not_required: Vec<String>,
    pub completed_event: String,
    pub failed_event: String,
    #[serde(default)]
    pub correlation_id: Option<String>,
    pub opened_by: String,
    #[serde(default)]
    pub canceled: bool,
    #[serde(default)]
    pub to_begin: i32,
    #[serde(default)]
    pub items: Vec<String>,
}

impl Scope {
    /// How many branches it has, and what has become of them.
    pub fn counts(&self) -> BranchCounts {
        BranchCounts { total: self.total, succeeded: self.succeeded, failed: self.failed }
    }
}

/// The status of a [`Scope`], read without the rest of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ScopeSummary {
    /// Open, or decided and how.
    pub status: ScopeStatus,
}

impl From<Scope> for ScopeSummary {
    fn from(scope: Scope) -> ScopeSummary {
        ScopeSummary { status: scope.status }
    }
}

/// One branch of a scope (`schemas/branch.avsc`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the schema describes each field")]
pub struct Branch {
    pub execution_id: String,
    pub scope: String,
    pub branch: String,
    pub ordinal: i32,
    pub status: BranchStatus,
    #[serde(default)]
    pub handled: bool,
    #[serde(default)]
    pub open_scopes: i32,
    #[serde(default)]
    pub ends_on: Option<String>,
    #[serde(default)]
    pub result: Option<Json>,
}
