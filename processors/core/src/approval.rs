//! People decide: what a task asks them, and what they answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::context::Wait;
use crate::error_code::ErrorCode;
use crate::event::Event;
use crate::inbound::Refusal;

/// The event type by which someone decides. Its payload is an [`Approval`].
pub const DECIDED: &str = "workflow.approval.decided";

/// What a task asks people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Interrupt {
    /// Why.
    pub reason: String,
    /// What they are to look at.
    pub state_for_review: Value,
    /// The tool whose use they are to allow, where it is that.
    pub tool_name: Option<String>,
    /// Who is to decide.
    pub approver: Option<String>,
}

impl Interrupt {
    /// Asks for this reason.
    pub fn new(reason: &str) -> Interrupt {
        Interrupt { reason: reason.to_owned(), ..Interrupt::default() }
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The execution goes on.
    Approved,
    /// The task that asked has failed, for good.
    Rejected,
}

/// What someone decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// The task that asked; none: the only one, or the one that asked first.
    #[serde(default)]
    pub node_id: Option<String>,
    /// Who decided.
    #[serde(default)]
    pub user_id: Option<String>,
    /// What.
    pub decision: Decision,
    /// Why.
    #[serde(default)]
    pub comment: Option<String>,
    /// A merge patch (RFC 7396) of the workflow's data.
    #[serde(default)]
    pub state_patch: Option<Map<String, Value>>,
}

impl Approval {
    /// What an event says.
    ///
    /// # Errors
    /// PAYLOAD_INVALID.
    pub fn of(event: &Event) -> Result<Approval, Refusal> {
        serde_json::from_value(event.payload_value()).map_err(|error| {
            let form =
                "{\"decision\": \"approved\" or \"rejected\", \"node_id\", \"user_id\", \"comment\", \"state_patch\"}";
            Refusal::new(ErrorCode::PayloadInvalid, format!("the payload of {DECIDED} must be {form}: {error}"))
        })
    }

    /// Is it the answer to this wait?
    pub(crate) fn answers(&self, wait: &Wait) -> bool {
        wait.event_type == DECIDED && self.node_id.as_ref().is_none_or(|node| *node == wait.task_id)
    }
}
