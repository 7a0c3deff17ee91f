//! Has the claim assessed side by side: risk, fraud and, for a car, the vehicle.

use serde_json::json;
use thalweg_core::{Event, FanOut, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, async_trait};

use crate::claim::{Claim, ClaimType};

/// Branch that assesses the risk.
pub(crate) const RISK: &str = "risk_assessment";
/// Branch that looks for fraud.
pub(crate) const FRAUD: &str = "fraud_detection";
/// Branch that inspects the vehicle; not required for other claims.
pub(crate) const VEHICLE: &str = "vehicle_inspection";

/// `claim.processed` -> a branch for each assessment -> `parallel.processing.completed`.
pub(crate) struct Assessment {
    on: [Pattern; 1],
}

impl Assessment {
    /// The task.
    pub fn new() -> Assessment {
        Assessment { on: [Pattern::new("claim.processed")] }
    }
}

#[async_trait]
impl Task for Assessment {
    fn task_id(&self) -> &str {
        "assessment"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    async fn handle_event(&self, _: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let claim_type = Claim::in_data(&context.data)?.claim_type;
        let request = |event_type| NewEvent::command(event_type, json!({"claim_type": claim_type.as_str()}));
        let assessments = FanOut::new("assessments")
            .then("parallel.processing.completed")
            .branch_until(RISK, request("risk.assessment.requested"), "risk.assessed")
            .branch_until(FRAUD, request("fraud.detection.requested"), "fraud.checked");
        let assessments = if claim_type == ClaimType::Car {
            assessments.branch_until(VEHICLE, request("vehicle.inspection.requested"), "vehicle.inspected")
        } else {
            assessments.not_required(VEHICLE)
        };
        Ok(Outcome::new().fan_out(assessments))
    }
}
