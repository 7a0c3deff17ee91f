//! The claim as the tasks share it: `processed_claim` in the workflow's data.

use serde_json::{Value, json};
use thalweg_core::TaskError;

/// What was damaged or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimType {
    /// A car: it is inspected.
    Car,
    /// A home.
    Home,
    /// Anything else.
    Other,
}

impl ClaimType {
    /// Its name in events and data.
    pub const fn as_str(self) -> &'static str {
        match self {
            ClaimType::Car => "car",
            ClaimType::Home => "home",
            ClaimType::Other => "other",
        }
    }

    /// The type that a customer states, in one of its usual names; an unknown one is [`ClaimType::Other`].
    pub fn stated(text: &str) -> ClaimType {
        match text.trim().to_lowercase().as_str() {
            "car" | "auto" | "vehicle" | "motor" => ClaimType::Car,
            "home" | "house" | "property" | "household" => ClaimType::Home,
            _ => ClaimType::Other,
        }
    }
}

/// A claim that was read and classified.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// What was damaged or lost.
    pub claim_type: ClaimType,
    /// What is claimed, where that is known.
    pub amount: Option<f64>,
    /// What happened, in the customer's words.
    pub description: String,
    /// Names of the documents that were handed in.
    pub supporting_documents: Vec<String>,
}

impl Claim {
    /// As it stands in the workflow's data.
    pub fn to_value(&self) -> Value {
        json!({
            "claim_type": self.claim_type.as_str(),
            "amount": self.amount.map(amount_value),
            "description": self.description,
            "supporting_documents": self.supporting_documents,
        })
    }

    /// The claim that an earlier task has put into the workflow's data.
    ///
    /// # Errors
    /// CLAIM_NOT_PROCESSED, where there is none.
    pub fn in_data(data: &Value) -> Result<Claim, TaskError> {
        let claim = data.get("processed_claim").filter(|claim| claim.is_object());
        let claim = claim.ok_or_else(|| {
            TaskError::new(
                "CLAIM_NOT_PROCESSED",
                "the workflow's data hold no processed_claim; claim_processor comes first",
            )
        })?;
        Ok(Claim {
            claim_type: claim["claim_type"].as_str().map_or(ClaimType::Other, ClaimType::stated),
            amount: claim["amount"].as_f64(),
            description: claim["description"].as_str().unwrap_or_default().to_owned(),
            supporting_documents: texts(&claim["supporting_documents"]),
        })
    }
}

/// An amount as people write it: whole amounts without a fraction.
pub(crate) fn amount_value(amount: f64) -> Value {
    /// Every whole number up to here is exact in a double.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if amount.fract() == 0.0 && amount.abs() <= EXACT_MAX { json!(amount as i64) } else { json!(amount) }
}

/// The texts of a list; one text stands for a list of one.
pub(crate) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
