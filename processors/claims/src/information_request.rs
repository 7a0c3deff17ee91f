//! Asks the customer for the information that is lacking, and has the workflow wait for it.

use serde_json::json;
use thalweg_core::{Channel, Event, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, WaitFor, async_trait};

/// The event with which the customer answers.
pub(crate) const ANSWER: &str = "user.input.provided";

/// `validation.failed` -> `user.input.required`, and the workflow waits for `user.input.provided`.
pub(crate) struct InformationRequest {
    on: [Pattern; 1],
}

impl InformationRequest {
    /// The task.
    pub fn new() -> InformationRequest {
        InformationRequest { on: [Pattern::new("validation.failed")] }
    }
}

#[async_trait]
impl Task for InformationRequest {
    fn task_id(&self) -> &str {
        "information_request"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let missing = event.payload_value()["missing"].clone();
        let required = NewEvent::command(
            "user.input.required",
            json!({
                "message": "Please provide additional claim information",
                "required_fields": missing,
                "answer_with": ANSWER,
            }),
        );
        context.data["waiting_for"] = missing;
        Ok(Outcome::new().emit(required.on(Channel::NotificationEvents)).wait_for(WaitFor::event(ANSWER)))
    }
}
