//! A router with a workflow that has patience: a task that is tried again, a reminder, a wait with a time-out.
//!
//! An invoice is sent by a service that is busy at first. Then the payment is waited for, with a reminder after half of the
//! time. Without payment a collector takes over.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    Event, NewEvent, NewTimer, Outcome, Pattern, RetryPolicy, Task, TaskContext, TaskError, WaitFor, Workflow,
    Workflows, async_trait,
};
use thalweg_router::{Router, RouterError};
use thalweg_runtime::{Config, Overrides, init_processor_log};

/// How long the payment is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends the invoice. The service takes it at the third attempt.
struct SendInvoice([Pattern; 1], RetryPolicy);

#[async_trait]
impl Task for SendInvoice {
    fn task_id(&self) -> &str {
        "send_invoice"
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }
    fn retry_policy(&self) -> &RetryPolicy {
        &self.1
    }
    async fn handle_event(&self, _: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        if context.attempt < 3 {
            return Err(TaskError::new("BUSY", "the service is busy"));
        }
        let reminder = NewTimer::after("reminder", PATIENCE / 2, NewEvent::new("payment.reminded", json!({})));
        let payment = WaitFor::event("payment.made").timeout(PATIENCE);
        let payment = payment.on_timeout(NewEvent::new("payment.missed", json!({})));
        Ok(Outcome::new().timer(reminder).wait_for(payment))
    }
}

/// Closes the invoice, paid or not.
struct Close([Pattern; 2]);

#[async_trait]
impl Task for Close {
    fn task_id(&self) -> &str {
        "close"
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }
    async fn handle_event(&self, event: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        let paid = event.event_type == "payment.made";
        Ok(Outcome::new().cancel_timer("reminder").complete(json!({"paid": paid})))
    }
}

fn workflow() -> Workflow {
    // Up to 5 attempts, a second after the first, twice as long each time; a quarter of it may be taken off.
    let policy = RetryPolicy::attempts(5).jitter(0.25).not_on("ADDRESS_UNKNOWN");
    Workflow::new("invoice", "1")
        // A payment that comes before it is waited for is kept.
        .awaits("payment.made")
        .task(SendInvoice([Pattern::new(STARTED)], policy))
        .task(Close([Pattern::new("payment.made"), Pattern::new("payment.missed")]))
}

fn run() -> Result<(), RouterError> {
    let config = Config::load(None, &Overrides::default())?;
    Router::run(&config, Workflows::new().with(workflow()), None, |_| {})
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
