//! When a scope has joined, and when it can't any more.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::status::ScopeStatus;

/// What the branches of a fan-out must come to. It travels as `all`, `fail_fast`, `best_effort`, `race` or `quorum(n)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JoinPolicy {
    /// All are waited for; one that failed fails the scope. The default.
    #[default]
    All,
    /// The first that fails fails the scope, and the others are given up.
    FailFast,
    /// All are waited for; the scope joins whatever they came to.
    BestEffort,
    /// The first that succeeds joins the scope, and the others are given up; it fails when all have failed.
    Race,
    /// So many that succeed join the scope, and the others are given up; it fails when too few are left.
    Quorum(u32),
}

/// How many branches a scope has, and what has become of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchCounts {
    /// Branches that are required.
    pub total: i32,
    /// Those that succeeded.
    pub succeeded: i32,
    /// Those that failed.
    pub failed: i32,
}

impl BranchCounts {
    /// Those that are not done.
    pub fn open(self) -> i32 {
        self.total - self.succeeded - self.failed
    }
}

impl JoinPolicy {
    /// The labels of all policies, as metrics have them: a quorum's size is none of their business.
    pub const LABELS: [&'static str; 5] = ["all", "fail_fast", "best_effort", "race", "quorum"];

    /// Its label.
    pub fn label(self) -> &'static str {
        match self {
            JoinPolicy::All => "all",
            JoinPolicy::FailFast => "fail_fast",
            JoinPolicy::BestEffort => "best_effort",
            JoinPolicy::Race => "race",
            JoinPolicy::Quorum(_) => "quorum",
        }
    }

    /// Joined, failed, or `Open` where that depends on branches that are not done.
    pub fn verdict(self, counts: BranchCounts) -> ScopeStatus {
        let BranchCounts { succeeded, failed, .. } = counts;
        let open = counts.open();
        let at_least = |wanted: i64| match i64::from(succeeded) {
            enough if enough >= wanted => ScopeStatus::Joined,
            have if have + i64::from(open) < wanted => ScopeStatus::Failed,
            _ => ScopeStatus::Open,
        };
        match self {
            JoinPolicy::FailFast if failed > 0 => ScopeStatus::Failed,
            JoinPolicy::Race => at_least(1),
            JoinPolicy::Quorum(wanted) => at_least(i64::from(wanted)),
            _ if open > 0 => ScopeStatus::Open,
            JoinPolicy::BestEffort => ScopeStatus::Joined,
            JoinPolicy::All | JoinPolicy::FailFast if failed > 0 => ScopeStatus::Failed,
            JoinPolicy::All | JoinPolicy::FailFast => ScopeStatus::Joined,
        }
    }
}

impl fmt::Display for JoinPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinPolicy::Quorum(wanted) => write!(f, "quorum({wanted})"),
            policy => f.write_str(policy.label()),
        }
    }
}

impl FromStr for JoinPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<JoinPolicy, String> {
        let plain = [JoinPolicy::All, JoinPolicy::FailFast, JoinPolicy::BestEffort, JoinPolicy::Race];
        if let Some(policy) = plain.into_iter().find(|policy| policy.label() == text) {
            return Ok(policy);
        }
        let wanted = text.strip_prefix("quorum(").and_then(|rest| rest.strip_suffix(')'));
        match wanted.map(str::parse) {
            Some(Ok(wanted)) if wanted > 0 => Ok(JoinPolicy::Quorum(wanted)),
            _ => Err(format!("policy {text:?} is none of all, fail_fast, best_effort, race, quorum(n) with n from 1")),
        }
    }
}

impl Serialize for JoinPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JoinPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ScopeStatus::{Failed, Joined, Open};

    #[test]
    fn each_policy_has_one_spelling() {
        for text in ["all", "fail_fast", "best_effort", "race", "quorum(1)", "quorum(4294967295)"] {
            assert_eq!(text.parse::<JoinPolicy>().map(|policy| policy.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "ALL", "quorum", "quorum()", "quorum(0)", "quorum(-1)", "quorum(2) ", "any"] {
            assert!(text.parse::<JoinPolicy>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn verdicts() {
        let cases = [
            (JoinPolicy::All, (0, 0, 0), Joined),
            (JoinPolicy::All, (3, 1, 1), Open),
            (JoinPolicy::All, (2, 1, 1), Failed),
            (JoinPolicy::FailFast, (3, 1, 1), Failed),
            (JoinPolicy::FailFast, (3, 2, 0), Open),
            (JoinPolicy::FailFast, (3, 3, 0), Joined),
            (JoinPolicy::BestEffort, (2, 0, 2), Joined),
            (JoinPolicy::BestEffort, (3, 2, 0), Open),
            (JoinPolicy::Race, (3, 1, 0), Joined),
            (JoinPolicy::Race, (3, 0, 2), Open),
            (JoinPolicy::Race, (3, 0, 3), Failed),
            (JoinPolicy::Race, (0, 0, 0), Failed),
            (JoinPolicy::Quorum(2), (3, 2, 0), Joined),
            (JoinPolicy::Quorum(2), (3, 1, 1), Open),
            (JoinPolicy::Quorum(2), (3, 0, 2), Failed),
            (JoinPolicy::Quorum(4), (3, 0, 0), Failed),
            (JoinPolicy::Quorum(u32::MAX), (3, 3, 0), Failed),
        ];
        for (policy, (total, succeeded, failed), status) in cases {
            let counts = BranchCounts { total, succeeded, failed };
            assert_eq!(policy.verdict(counts), status, "{policy} of {counts:?}");
        }
    }
}
