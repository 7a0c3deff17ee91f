//! Scores how much the claim looks like fraud.

use std::sync::Arc;

use serde_json::json;
use thalweg_core::{Event, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, async_trait};

use crate::analyst::ClaimAnalyst;
use crate::claim::Claim;

/// `fraud.detection.requested` -> `fraud.checked`, which ends its branch.
///
/// The score travels in the event: data stay untouched, so the order of the branches does not matter.
pub(crate) struct FraudDetection {
    on: [Pattern; 1],
    analyst: Arc<dyn ClaimAnalyst>,
}

impl FraudDetection {
    /// With this analyst.
    pub fn new(analyst: Arc<dyn ClaimAnalyst>) -> FraudDetection {
        FraudDetection { on: [Pattern::new("fraud.detection.requested")], analyst }
    }
}

#[async_trait]
impl Task for FraudDetection {
    fn task_id(&self) -> &str {
        "fraud_detection"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    async fn handle_event(&self, _: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let claim = Claim::in_data(&context.data)?;
        let score = self.analyst.fraud_score(&claim).await?;
        Ok(Outcome::new().emit(NewEvent::new("fraud.checked", json!({"score": score}))))
    }
}
