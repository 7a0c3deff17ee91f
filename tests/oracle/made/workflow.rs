//! A workflow that does a little of everything.

use serde_json::json;
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    Event, FanOut, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, WaitFor, Workflow, async_trait,
};

type Handle = fn(&Event, &mut TaskContext) -> Result<Outcome, TaskError>;

struct Handler {
    id: &'static str,
    on: Vec<Pattern>,
    handle: Handle,
}

#[async_trait]
impl Task for Handler {
    fn task_id(&self) -> &str {
        self.id
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }

    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        (self.handle)(event, context)
    }
}

/// The workflow `made`: the payload of the start says what it does.
pub fn workflow() -> Workflow {
    let task = |id, on, handle: Handle| Handler { id, on: vec![Pattern::new(on)], handle };
    Workflow::new("made", "1")
        .task(task("begin", STARTED, begin))
        .task(task("risk", "risk.requested", |_, _| {
            Ok(Outcome::new().emit(NewEvent::answer("risk.assessed", json!({"risk": 0.25}))))
        }))
        .task(task("fraud", "fraud.requested", |_, context| {
            context.data["fraud"] = json!(false);
            Ok(Outcome::new().result(json!("none")))
        }))
        .task(task("breaks", "breaks.requested", |_, _| Ok(Outcome::new().fail("BROKEN", "it is broken"))))
        .task(task("join", "checks.done", |_, _| Ok(Outcome::new().complete(json!({"paid": true})))))
        .task(task("note", "note.taken", |event, context| {
            context.data["note"] = event.payload_value();
            Ok(Outcome::new())
        }))
        .task(task("go", "go", |_, _| Ok(Outcome::new().wait_for(WaitFor::event("go.further")))))
        .task(task("link", "chain.link", |event, context| {
            let left = event.payload_value()["left"].as_u64().unwrap_or(0);
            context.data["left"] = json!(left);
            Ok(match left {
                0 => Outcome::new().complete(json!("the end of the chain")),
                left => Outcome::new().emit(NewEvent::new("chain.link", json!({"left": left - 1}))),
            })
        }))
}

fn begin(event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
    context.data["begun"] = json!(true);
    let command = |event_type: &str| NewEvent::command(event_type, json!({}));
    match event.payload_value()["does"].as_str() {
        Some("fan_out") => Ok(Outcome::new().fan_out(
            FanOut::new("checks")
                .then("checks.done")
                .branch_until("risk", command("risk.requested"), "risk.assessed")
                .branch("fraud", command("fraud.requested"))
                .not_required("inspection"),
        )),
        Some("failing_branch") => Ok(Outcome::new().fan_out(
            FanOut::new("checks")
                .then("checks.done")
                .branch("fraud", command("fraud.requested"))
                .branch("breaks", command("breaks.requested")),
        )),
        Some("wait") => Ok(Outcome::new().wait_for(WaitFor::event("go"))),
        Some("chain") => Ok(Outcome::new().emit(NewEvent::new("chain.link", json!({"left": 20})))),
        Some("short_chain") => Ok(Outcome::new().emit(NewEvent::new("chain.link", json!({"left": 4})))),
        _ => Err(TaskError::new("NO_IDEA", "nothing to do")),
    }
}
