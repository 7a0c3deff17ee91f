//! Takes in what the customer answers.

use serde_json::{Value, json};
use thalweg_core::{Event, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, async_trait};

use crate::information_request::ANSWER;

/// `user.input.provided` -> `information.received`; an answer without content is asked for again.
pub(crate) struct InformationIntake {
    on: [Pattern; 1],
}

impl InformationIntake {
    /// The task.
    pub fn new() -> InformationIntake {
        InformationIntake { on: [Pattern::new(ANSWER)] }
    }
}

#[async_trait]
impl Task for InformationIntake {
    fn task_id(&self) -> &str {
        "information_intake"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let mut payload = event.payload_value();
        let added = match payload.get_mut("additional_info").map(Value::take) {
            Some(added) => added,
            // Without that field the payload itself is the answer.
            None => payload,
        };
        if is_blank(&added) {
            let missing = context.data["waiting_for"].take();
            return Ok(Outcome::new().emit(NewEvent::new("validation.failed", json!({ "missing": missing }))));
        }
        context.data["additional_info"] = added;
        context.data["waiting_for"] = Value::Null;
        Ok(Outcome::new().emit(NewEvent::new("information.received", json!({}))))
    }
}

fn is_blank(added: &Value) -> bool {
    match added {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
