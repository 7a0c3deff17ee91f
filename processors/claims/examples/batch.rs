//! A router with a workflow that starts others: a batch of insurance claims, each of them an execution of its own.
//!
//! The batch is done when all of its claims have ended, and says what was decided of each.

use std::process::ExitCode;

use serde_json::{Value, json};
use thalweg_core::child::{COMPLETED, FAILED};
use thalweg_core::inbound::STARTED;
use thalweg_core::{Event, NewChild, Outcome, Pattern, Task, TaskContext, TaskError, Workflow, Workflows, async_trait};
use thalweg_router::{Router, RouterError};
use thalweg_runtime::{Config, Overrides, init_processor_log};

/// Starts a claim for each of data.claims.
struct StartClaims([Pattern; 1]);

#[async_trait]
impl Task for StartClaims {
    fn task_id(&self) -> &str {
        "start_claims"
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }
    async fn handle_event(&self, _: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let claims = context.data["claims"].as_array().cloned().unwrap_or_default();
        if claims.is_empty() {
            return Ok(Outcome::new().complete(json!([])));
        }
        let child = |claim: Value| NewChild::new(claims::WORKFLOW_ID, json!({ "claim_data": claim }));
        Ok(claims.into_iter().map(child).fold(Outcome::new(), Outcome::start_child))
    }
}

/// Collects what became of the claims, until all have ended.
struct Collect([Pattern; 2]);

#[async_trait]
impl Task for Collect {
    fn task_id(&self) -> &str {
        "collect"
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }
    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        let mut decided = context.data["decided"].as_array().cloned().unwrap_or_default();
        decided.push(match &event.error {
            Some(error) => json!({"failed": error.message}),
            None => event.payload_value(),
        });
        let is_last = Some(decided.len()) == context.data["claims"].as_array().map(Vec::len);
        context.data["decided"] = json!(decided);
        Ok(if is_last { Outcome::new().complete(decided) } else { Outcome::new() })
    }
}

fn workflow() -> Workflow {
    Workflow::new("claim_batch", "1")
        .task(StartClaims([Pattern::new(STARTED)]))
        .task(Collect([Pattern::new(COMPLETED), Pattern::new(FAILED)]))
}

fn run() -> Result<(), RouterError> {
    let config = Config::load(None, &Overrides::default())?;
    Router::run(&config, Workflows::new().with(workflow()).with(claims::workflow()), None, |_| {})
}

fn main() -> ExitCode {
    let ran = init_processor_log().map_err(|error| error.to_string());
    match ran.and_then(|()| run().map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
