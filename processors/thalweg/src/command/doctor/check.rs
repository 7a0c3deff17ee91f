//! One thing that was looked at, and what was found.

use std::fmt;

use serde::Serialize;
use thalweg_core::ErrorCode;

/// What was looked at, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// A name that stays.
    pub check: String,
    /// What it belongs to.
    pub area: Area,
    /// How bad it is.
    pub level: Level,
    /// What it is about: an address, a topic, a group, a setting.
    pub subject: String,
    /// What is there.
    pub found: String,
    /// What should be there, where it differs.
    pub expected: Option<String>,
    /// What to do.
    pub advice: Option<String>,
    /// Where the table of error codes tells more.
    pub code: Option<ErrorCode>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, but not as well or as safely as it could; or it could not be looked at.
    Warning,
    /// Something does not work, or a promise breaks.
    Problem,
}

/// What a check belongs to, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// Addresses, TLS, SASL.
    Connection,
    /// What the brokers allow.
    Permissions,
    /// The topics of the namespace.
    Topics,
    /// Settings of the brokers.
    Brokers,
    /// The time.
    Clocks,
    /// The routers' consumer group.
    Group,
    /// Transactions that are open.
    Transactions,
    /// The registry of schemas.
    Registry,
}

impl Check {
    /// At a level.
    pub fn new(
        area: Area,
        level: Level,
        check: impl Into<String>,
        subject: impl Into<String>,
        found: impl Into<String>,
    ) -> Check {
        let (check, subject, found) = (check.into(), subject.into(), found.into());
        Check { check, area, level, subject, found, expected: None, advice: None, code: None }
    }

    /// All is well.
    pub fn ok(area: Area, check: impl Into<String>, subject: impl Into<String>, found: impl Into<String>) -> Check {
        Check::new(area, Level::Ok, check, subject, found)
    }

    /// It works, but.
    pub fn warning(
        area: Area,
        check: impl Into<String>,
        subject: impl Into<String>,
        found: impl Into<String>,
    ) -> Check {
        Check::new(area, Level::Warning, check, subject, found)
    }

    /// It does not work.
    pub fn problem(
        area: Area,
        check: impl Into<String>,
        subject: impl Into<String>,
        found: impl Into<String>,
    ) -> Check {
        Check::new(area, Level::Problem, check, subject, found)
    }

    /// It could not be looked at.
    pub fn unknown(area: Area, check: impl Into<String>, subject: impl Into<String>, why: impl fmt::Display) -> Check {
        Check::warning(area, check, subject, format!("not known: {why}"))
    }

    /// With what should be there.
    pub fn expected(self, expected: impl Into<String>) -> Check {
        Check { expected: Some(expected.into()), ..self }
    }

    /// With what to do.
    pub fn advice(self, advice: impl Into<String>) -> Check {
        Check { advice: Some(advice.into()), ..self }
    }

    /// With a code of the table of error codes.
    pub fn code(self, code: ErrorCode) -> Check {
        Check { code: Some(code), ..self }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Problem => "PROBLEM",
        })
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Area::Connection => "CONNECTION",
            Area::Permissions => "PERMISSIONS",
            Area::Topics => "TOPICS",
            Area::Brokers => "BROKERS",
            Area::Clocks => "CLOCKS",
            Area::Group => "GROUP",
            Area::Transactions => "TRANSACTIONS",
            Area::Registry => "REGISTRY",
        })
    }
}
