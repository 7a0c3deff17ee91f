//! Scores the risk of settling the claim without a second look.

use std::sync::Arc;

use serde_json::json;
use thalweg_core::{Event, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, async_trait};

use crate::analyst::ClaimAnalyst;
use crate::claim::Claim;

/// `risk.assessment.requested` -> `risk.assessed`, which ends its branch.
///
/// The score travels in the event: data stay untouched, so the order of the branches does not matter.
pub(crate) struct RiskAssessment {
    on: [Pattern; 1],
    analyst: Arc<dyn ClaimAnalyst>,
}

impl RiskAssessment {
    /// With this analyst.
    pub fn new(analyst: Arc<dyn ClaimAnalyst>) -> RiskAssessment {
        RiskAssessment { on: [Pattern::new("risk.assessment.requested")], analyst }
    }
}

#[async_trait]
impl Task for RiskAssessment {
    fn task_id(&self) -> &str {
        "risk_assessment"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    async fn handle_event(&self, _: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let claim = Claim::in_data(&context.data)?;
        let score = self.analyst.risk_score(&claim).await?;
        Ok(Outcome::new().emit(NewEvent::new("risk.assessed", json!({"score": score}))))
    }
}
