//! Tests of a workflow without Kafka, in milliseconds: the router's own step, on records in memory, in virtual time.
//!
//! What a workflow does here it does on a router: the same events in the same order, the same context. After every
//! input the records are written and read back, as after a restart. What is not here is what Kafka is for: several
//! routers, transactions that fail, the time that things take.
//!
//! ```
//! use std::time::Duration;
//!
//! use serde_json::json;
//! use thalweg_core::{
//!     Event, NewEvent, Outcome, Pattern, RetryPolicy, Task, TaskContext, TaskError, Workflow, WorkflowStatus, async_trait,
//! };
//! use thalweg_testkit::TestKit;
//!
//! /// Sends an invoice, three times at most.
//! struct Invoice([Pattern; 1], RetryPolicy);
//!
//! #[async_trait]
//! impl Task for Invoice {
//!     fn task_id(&self) -> &str {
//!         "invoice"
//!     }
//!     fn handles_events(&self) -> &[Pattern] {
//!         &self.0
//!     }
//!     fn retry_policy(&self) -> &RetryPolicy {
//!         &self.1
//!     }
//!     async fn handle_event(&self, _: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
//!         Ok(Outcome::new().complete(json!({"sent_to": context.data["customer"]})))
//!     }
//! }
//!
//! let invoice = Invoice([Pattern::new("workflow.started")], RetryPolicy::attempts(3));
//! let mut kit = TestKit::new(Workflow::new("billing", "1").task(invoice));
//! kit.fail_task("invoice", 1, TaskError::new("MAIL_DOWN", "the mail server does not answer"));
//! kit.start("order-7", json!({"customer": "ann"})).unwrap();
//! assert!(kit.execution("order-7").has("task.retry.scheduled"));
//!
//! kit.advance(Duration::from_secs(60));
//! let order = kit.execution("order-7");
//! assert_eq!(order.status(), Some(WorkflowStatus::Success));
//! assert_eq!(order.result(), Some(json!({"sent_to": "ann"})));
//! println!("{}", order.history());
//! ```

mod execution;
mod fault;
mod kit;
mod records;

pub use execution::SeenExecution;
pub use kit::TestKit;
