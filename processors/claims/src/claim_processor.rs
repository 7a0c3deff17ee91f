//! Reads the claim that started the workflow and classifies it.

use std::sync::Arc;

use serde_json::json;
use thalweg_core::inbound::STARTED;
use thalweg_core::{Event, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, async_trait};

use crate::analyst::ClaimAnalyst;
use crate::claim::{Claim, amount_value};
use crate::claim_data::ClaimData;

/// `workflow.started` -> `claim.processed`.
pub(crate) struct ClaimProcessor {
    on: [Pattern; 1],
    analyst: Arc<dyn ClaimAnalyst>,
}

impl ClaimProcessor {
    /// With this analyst.
    pub fn new(analyst: Arc<dyn ClaimAnalyst>) -> ClaimProcessor {
        ClaimProcessor { on: [Pattern::new(STARTED)], analyst }
    }
}

#[async_trait]
impl Task for ClaimProcessor {
    fn task_id(&self) -> &str {
        "claim_processor"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    async fn handle_event(&self, _: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        // The payload that started the workflow is its data.
        let data = ClaimData::read(&context.data)?;
        let reading = self.analyst.read(&data.description).await?;
        // What the customer states goes before what the text tells.
        let claim = Claim {
            claim_type: data.claim_type.unwrap_or(reading.claim_type),
            amount: data.amount.or(reading.amount),
            description: data.description,
            supporting_documents: data.supporting_documents,
        };
        context.data["processed_claim"] = claim.to_value();
        context.data["claim_type"] = json!(claim.claim_type.as_str());
        Ok(Outcome::new().emit(NewEvent::new(
            "claim.processed",
            json!({"claim_type": claim.claim_type.as_str(), "amount": claim.amount.map(amount_value)}),
        )))
    }
}
