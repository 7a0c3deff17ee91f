//! Who judges a claim: the place where a call to a language model would go.

use thalweg_core::{TaskError, async_trait};

use crate::claim::{Claim, ClaimType};

/// What a text tells of a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What was damaged.
    pub claim_type: ClaimType,
    /// The amount that is claimed, where the text names one.
    pub amount: Option<f64>,
}

/// Reads and scores claims. Scores go from 0 (nothing to worry about) to 100.
#[async_trait]
pub trait ClaimAnalyst: Send + Sync {
    /// Reads a description of a claim, or an answer to a question about one.
    async fn read(&self, text: &str) -> Result<Reading, TaskError>;

    /// How risky it is to settle the claim without a second look.
    async fn risk_score(&self, claim: &Claim) -> Result<u8, TaskError>;

    /// How much the claim looks like fraud.
    async fn fraud_score(&self, claim: &Claim) -> Result<u8, TaskError>;

    /// How badly the vehicle is damaged.
    async fn damage_score(&self, claim: &Claim) -> Result<u8, TaskError>;
}
