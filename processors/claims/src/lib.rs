//! The sample workflow: an insurance claim. One file a task.
//!
//! `workflow.started` -> claim_processor -> `claim.processed` -> assessment, which fans out to risk_assessment,
//! fraud_detection and, for cars, vehicle_inspection -> `parallel.processing.completed` -> claim_validator ->
//! `validation.completed` -> claim_decision -> `workflow.completed`.
//!
//! A claim that lacks information takes another way from the validator: `validation.failed` -> information_request,
//! which emits `user.input.required` and waits for `user.input.provided` -> information_intake ->
//! `information.received` -> the validator again.
//!
//! Information is lacking where the claim has no amount, or one of [`DOCUMENTS_REQUIRED_FROM`] and above without
//! supporting documents. It is asked for once: after an answer the claim is decided with what there is, and a claim
//! whose amount is still unknown is referred to a person. An answer without any content is asked for again.

mod analyst;
mod assessment;
mod claim;
mod claim_data;
mod claim_decision;
mod claim_processor;
mod claim_validator;
mod example;
mod fraud_detection;
mod information_intake;
mod information_request;
mod risk_assessment;
mod rule_analyst;
mod vehicle_inspection;

pub use analyst::{ClaimAnalyst, Reading};
pub use claim::{Claim, ClaimType};
pub use claim_validator::DOCUMENTS_REQUIRED_FROM;
pub use example::{ExampleKind, example};
pub use rule_analyst::RuleAnalyst;

use std::sync::Arc;

use thalweg_core::Workflow;

use assessment::Assessment;
use claim_decision::ClaimDecision;
use claim_processor::ClaimProcessor;
use claim_validator::ClaimValidator;
use fraud_detection::FraudDetection;
use information_intake::InformationIntake;
use information_request::InformationRequest;
use risk_assessment::RiskAssessment;
use vehicle_inspection::VehicleInspection;

/// The name of the workflow.
pub const WORKFLOW_ID: &str = "insurance_claim";

/// The insurance claim, with the rules of [`RuleAnalyst`].
pub fn workflow() -> Workflow {
    workflow_with(Arc::new(RuleAnalyst))
}

/// The insurance claim with another analyst, such as one that asks a language model.
pub fn workflow_with(analyst: Arc<dyn ClaimAnalyst>) -> Workflow {
    Workflow::new(WORKFLOW_ID, "1")
        .task(ClaimProcessor::new(Arc::clone(&analyst)))
        .task(Assessment::new())
        .task(RiskAssessment::new(Arc::clone(&analyst)))
        .task(FraudDetection::new(Arc::clone(&analyst)))
        .task(VehicleInspection::new(Arc::clone(&analyst)))
        .task(ClaimValidator::new(analyst))
        .task(ClaimDecision::new())
        .task(InformationRequest::new())
        .task(InformationIntake::new())
}
