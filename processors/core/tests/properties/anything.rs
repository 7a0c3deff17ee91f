//! A workflow whose every event says itself what handling it gives.

use std::sync::LazyLock;

use serde_json::json;
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    Event, FanOut, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, WaitFor, Workflow, Workflows, async_trait,
};

/// Opens a scope and a wait at the start, and answers everything else by what its payload says.
struct Anything([Pattern; 1]);

#[async_trait]
impl Task for Anything {
    fn task_id(&self) -> &str {
        "anything"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        if event.event_type == STARTED {
            let request = |name: &str| NewEvent::command(name, json!({}));
            return Ok(Outcome::new().wait_for(WaitFor::event("answer")).fan_out(
                FanOut::new("work")
                    .branch_until("one", request("one.begun"), "one.ended")
                    .branch("two", request("two")),
            ));
        }
        let payload = event.payload_value();
        context.data["last"] = payload.clone();
        match serde_json::from_value::<Outcome>(payload) {
            Ok(outcome) => Ok(outcome),
            Err(error) => Err(TaskError::new("NO_OUTCOME", error.to_string())),
        }
    }
}

/// The workflow "w" with that task alone.
pub static WORKFLOWS: LazyLock<Workflows> =
    LazyLock::new(|| Workflows::new().with(Workflow::new("w", "1").task(Anything([Pattern::new("*")]))));
