//! Claims to try the workflow with.

use serde_json::{Value, json};

/// What an example claim leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExampleKind {
    /// A car claim: three assessments, then a decision.
    Car,
    /// A home claim: two assessments, then a decision.
    Home,
    /// A claim without an amount: it waits for `user.input.provided`.
    Incomplete,
}

impl ExampleKind {
    /// Every kind.
    pub const ALL: [ExampleKind; 3] = [ExampleKind::Car, ExampleKind::Home, ExampleKind::Incomplete];
}

/// The payload of a `workflow.started` for a claim of this kind; the same number always makes the same claim.
pub fn example(kind: ExampleKind, number: u64) -> Value {
    // Below the amount that needs documents, so that only the incomplete claim waits.
    let amount = 250 + (number.wrapping_mul(37)) % 9_000;
    let every = |nth: u64| number % nth == nth - 1;
    let claim_data = match kind {
        ExampleKind::Car => {
            let description = if every(20) {
                "An unwitnessed, urgent, unreceipted repair, paid in cash"
            } else if every(7) {
                "The car was rolled over and destroyed"
            } else {
                "A truck hit the bumper of the parked car"
            };
            json!({"type": "car", "amount": amount, "description": description, "policy_number": policy(number)})
        }
        ExampleKind::Home => json!({
            "type": "home", "amount": amount, "description": "A burst pipe flooded the kitchen",
            "policy_number": policy(number),
        }),
        ExampleKind::Incomplete => json!({
            "type": if every(2) { "home" } else { "other" },
            "description": "Something was lost; what it was worth is not known yet",
            "policy_number": policy(number),
        }),
    };
    json!({ "claim_data": claim_data })
}

fn policy(number: u64) -> String {
    format!("P-{:06}", number % 1_000_000)
}
