//! Scores the damage to the vehicle.

use std::sync::Arc;

use serde_json::json;
use thalweg_core::{Event, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, async_trait};

use crate::analyst::ClaimAnalyst;
use crate::claim::Claim;

/// `vehicle.inspection.requested` -> `vehicle.inspected`, which ends its branch.
///
/// The score travels in the event: data stay untouched, so the order of the branches does not matter.
pub(crate) struct VehicleInspection {
    on: [Pattern; 1],
    analyst: Arc<dyn ClaimAnalyst>,
}

impl VehicleInspection {
    /// With this analyst.
    pub fn new(analyst: Arc<dyn ClaimAnalyst>) -> VehicleInspection {
        VehicleInspection { on: [Pattern::new("vehicle.inspection.requested")], analyst }
    }
}

#[async_trait]
impl Task for VehicleInspection {
    fn task_id(&self) -> &str {
        "vehicle_inspection"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    async fn handle_event(&self, _: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let claim = Claim::in_data(&context.data)?;
        let score = self.analyst.damage_score(&claim).await?;
        Ok(Outcome::new().emit(NewEvent::new("vehicle.inspected", json!({"score": score}))))
    }
}
