//! Is there enough information to decide?

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use thalweg_core::{Event, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, async_trait};

use crate::analyst::ClaimAnalyst;
use crate::claim::{Claim, amount_value, texts};

/// Claims of this amount and above need supporting documents.
pub const DOCUMENTS_REQUIRED_FROM: f64 = 10_000.0;

/// `parallel.processing.completed` -> `validation.completed`, or `validation.failed` where information is lacking;
/// `information.received` -> `validation.completed`.
pub(crate) struct ClaimValidator {
    on: [Pattern; 2],
    analyst: Arc<dyn ClaimAnalyst>,
}

impl ClaimValidator {
    /// With this analyst.
    pub fn new(analyst: Arc<dyn ClaimAnalyst>) -> ClaimValidator {
        ClaimValidator {
            on: [Pattern::new("parallel.processing.completed"), Pattern::new("information.received")],
            analyst,
        }
    }

    /// The claim with what the customer added to it.
    async fn completed(&self, claim: Claim, added: &Value) -> Result<Claim, TaskError> {
        let told = match added {
            Value::String(text) => text.as_str(),
            _ => added["additional_details"].as_str().unwrap_or_default(),
        };
        let stated = added["amount"].as_f64().filter(|amount| *amount >= 0.0);
        let amount = match stated.or(claim.amount) {
            None => self.analyst.read(told).await?.amount,
            known => known,
        };
        let mut supporting_documents = claim.supporting_documents;
        supporting_documents.extend(texts(&added["supporting_documents"]));
        Ok(Claim { amount, supporting_documents, ..claim })
    }
}

#[async_trait]
impl Task for ClaimValidator {
    fn task_id(&self) -> &str {
        "claim_validator"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let claim = Claim::in_data(&context.data)?;
        if event.event_type == "information.received" {
            let claim = self.completed(claim, &context.data["additional_info"]).await?;
            context.data["processed_claim"] = claim.to_value();
            return Ok(Outcome::new().emit(validated(&claim)));
        }
        context.data["assessments"] = scores(event)?;
        let missing = missing(&claim);
        Ok(Outcome::new().emit(if missing.is_empty() {
            validated(&claim)
        } else {
            NewEvent::new("validation.failed", json!({ "missing": missing }))
        }))
    }
}

fn validated(claim: &Claim) -> NewEvent {
    let payload = json!({"claim_type": claim.claim_type.as_str(), "amount": claim.amount.map(amount_value)});
    NewEvent::new("validation.completed", payload)
}

/// Names of the information that is lacking.
fn missing(claim: &Claim) -> Vec<&'static str> {
    match claim.amount {
        None => vec!["amount"],
        Some(amount) if amount >= DOCUMENTS_REQUIRED_FROM && claim.supporting_documents.is_empty() => {
            vec!["supporting_documents"]
        }
        Some(_) => Vec::new(),
    }
}

/// What is read of the payload that tells the end of the assessments.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Assessments {
    results: BTreeMap<String, Assessed>,
}

/// What an assessment came to.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Assessed {
    result: Value,
}

/// Each assessment's score by its branch; an assessment that was not required has none.
///
/// # Errors
/// ASSESSMENTS_UNREADABLE: a claim whose scores can't be read must not be decided as one without any.
fn scores(joined: &Event) -> Result<Value, TaskError> {
    let assessments: Assessments = joined
        .payload_as()
        .map_err(|error| TaskError::new("ASSESSMENTS_UNREADABLE", format!("results of the assessments: {error}")))?;
    let scored = assessments.results.into_iter();
    let scored = scored.filter_map(|(branch, assessed)| Some((branch, assessed.result.get("score")?.clone())));
    Ok(Value::Object(scored.collect::<Map<_, _>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_read_of_what_was_assessed() {
        let joined = |payload: Value| Event { payload: Some((&payload).into()), ..Event::new("joined", 0) };
        let results = json!({
            "risk_assessment": {"status": "SUCCESS", "result": {"score": 15}},
            "fraud_detection": {"status": "SUCCESS", "result": null},
            "vehicle_inspection": {"status": "NOT_REQUIRED"},
        });
        let event = joined(json!({"name": "assessments", "results": results, "status": "JOINED"}));
        assert_eq!(scores(&event), Ok(json!({"risk_assessment": 15})));
        assert_eq!(scores(&joined(json!({"results_in": {"topic": "contexts"}}))), Ok(json!({})));
        for unreadable in [joined(json!({"results": {"risk_assessment": 15}})), Event::new("joined", 0)] {
            assert_eq!(scores(&unreadable).map_err(|error| error.code), Err("ASSESSMENTS_UNREADABLE".to_owned()));
        }
    }
}
