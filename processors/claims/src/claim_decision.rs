//! Decides the claim, and with it ends the workflow.

use serde_json::{Value, json};
use thalweg_core::{Event, Outcome, Pattern, Task, TaskContext, TaskError, async_trait};

use crate::assessment::{FRAUD, RISK, VEHICLE};
use crate::claim::{Claim, amount_value};

/// Fraud score from which a claim is denied.
const FRAUD_DENIES_FROM: u64 = 80;
/// Fraud score from which a person looks at the claim.
const FRAUD_REFERS_FROM: u64 = 50;
/// Risk score from which a person looks at the claim.
const RISK_REFERS_FROM: u64 = 70;
/// Damage score from which a vehicle is beyond repair and a person looks at the claim.
const DAMAGE_REFERS_FROM: u64 = 90;

/// `validation.completed` -> `workflow.completed` with the decision: approved, denied, or referred to a person.
pub(crate) struct ClaimDecision {
    on: [Pattern; 1],
}

impl ClaimDecision {
    /// The task.
    pub fn new() -> ClaimDecision {
        ClaimDecision { on: [Pattern::new("validation.completed")] }
    }
}

#[async_trait]
impl Task for ClaimDecision {
    fn task_id(&self) -> &str {
        "claim_decision"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    async fn handle_event(&self, _: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let claim = Claim::in_data(&context.data)?;
        let (decision, reason) = decide(&claim, &context.data["assessments"]);
        context.data["decision"] = json!(decision);
        Ok(Outcome::new().complete(json!({
            "decision": decision,
            "reason": reason,
            "claim_type": claim.claim_type.as_str(),
            "amount": claim.amount.map(amount_value),
        })))
    }
}

fn decide(claim: &Claim, scores: &Value) -> (&'static str, &'static str) {
    let score = |branch: &str| scores[branch].as_u64().unwrap_or(0);
    if score(FRAUD) >= FRAUD_DENIES_FROM {
        ("denied", "the claim looks like fraud")
    } else if claim.amount.is_none() {
        ("referred", "the amount is not known")
    } else if score(FRAUD) >= FRAUD_REFERS_FROM {
        ("referred", "the claim may be fraud")
    } else if score(RISK) >= RISK_REFERS_FROM {
        ("referred", "the risk is high")
    } else if score(VEHICLE) >= DAMAGE_REFERS_FROM {
        ("referred", "the vehicle may be beyond repair")
    } else {
        ("approved", "every assessment is within its limits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::ClaimType;

    #[test]
    fn scores_and_amount_decide() {
        let claim = |amount| Claim {
            claim_type: ClaimType::Car,
            amount,
            description: String::new(),
            supporting_documents: Vec::new(),
        };
        let decision = |amount, scores: Value| decide(&claim(amount), &scores).0;
        assert_eq!(decision(Some(1.0), json!({RISK: 69, FRAUD: 49, VEHICLE: 89})), "approved");
        assert_eq!(decision(Some(1.0), json!({RISK: 0, FRAUD: 80})), "denied");
        assert_eq!(decision(Some(1.0), json!({RISK: 0, FRAUD: 50})), "referred");
        assert_eq!(decision(Some(1.0), json!({RISK: 70, FRAUD: 0})), "referred");
        assert_eq!(decision(Some(1.0), json!({VEHICLE: 90})), "referred");
        assert_eq!(decision(None, json!({RISK: 0, FRAUD: 0})), "referred");
    }
}
