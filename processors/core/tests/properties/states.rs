//! The table of states in ARCHITECTURE.md is what the code does.

use serde_json::json;
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    Event, Limits, NewEvent, Outcome, Pattern, Task, TaskContext, TaskError, WaitFor, Workflow, Workflows, async_trait,
};

use crate::memory_router::MemoryRouter;

/// Moves to the status that an event names.
struct Mover([Pattern; 1]);

#[async_trait]
impl Task for Mover {
    fn task_id(&self) -> &str {
        "mover"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, event: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        Ok(match event.event_type.as_str() {
            "to.WAITING" | "to.PAUSED" => Outcome::new().wait_for(WaitFor::event("never")),
            "to.SUCCESS" => Outcome::new().complete(json!(null)),
            "to.FAILED" => Outcome::new().fail("PLANNED", "as planned"),
            "to.LIMIT_EXCEEDED" => Outcome::new().emit(NewEvent::new("to.LIMIT_EXCEEDED", json!(null))),
            _ => Outcome::new(),
        })
    }
}

/// Where an execution with this status gets by this event.
fn moved(status: &str, event_type: &str) -> String {
    let workflows = Workflows::new().with(Workflow::new("w", "1").task(Mover([Pattern::new("*")])));
    let mut router = MemoryRouter::new(&workflows, Limits { chain_max_depth: 3, ..Limits::default() });
    let event = |event_type: &str| json!({"event_type": event_type, "execution_id": "e", "workflow_id": "w"});
    let mut offset = 0;
    let mut send = |router: &mut MemoryRouter, event_type: &str| {
        router.send("e", offset, &event(event_type));
        router.commit();
        offset += 1;
    };
    if status != "-" {
        send(&mut router, STARTED);
        send(&mut router, &format!("to.{status}"));
        match status {
            "PAUSED" => send(&mut router, "workflow.pause.requested"),
            "CANCELED" => send(&mut router, "workflow.cancel.requested"),
            _ => {}
        }
        assert_eq!(router.contexts.root("e").unwrap().status.as_str(), status, "the test gets there");
    }
    let rejected = router.log("e").rejected.len();
    send(&mut router, if event_type == "an event" { "noted" } else { event_type });
    if router.log("e").rejected.len() > rejected {
        return "rejected".to_owned();
    }
    router.contexts.root("e").unwrap().status.to_string()
}

#[test]
fn the_table_of_states_is_what_the_code_does() {
    let text = include_str!("../../../../ARCHITECTURE.md");
    let table = text.split("<!-- states -->").nth(1).unwrap();
    let rows =
        table.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, from, event, to, _] = cells[..] else { panic!("{row}") };
        assert_eq!(moved(from, event), to, "{row}");
        count += 1;
    }
    assert_eq!(count, 36, "every status that an execution has, and everything that comes from outside");
}
