use serde_json::json;

use super::*;
use crate::codec::Schemas;
use crate::fan_out::FanOut;
use crate::outcome::{NewEvent, Outcome, WaitFor};
use crate::pattern::Pattern;
use crate::record_store::EmptyStore;
use crate::records::Records;
use crate::task::{Task, TaskContext, TaskError};
use crate::workflow::Workflow;
use crate::{async_trait, inbound};

struct Handler<F> {
    id: &'static str,
    on: Vec<Pattern>,
    run: F,
}

#[async_trait]
impl<F> Task for Handler<F>
where
    F: Fn(&Event, &mut TaskContext) -> Result<Outcome, TaskError> + Send + Sync,
{
    fn task_id(&self) -> &str {
        self.id
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }
    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        (self.run)(event, context)
    }
}

fn task(
    id: &'static str,
    on: &str,
    run: impl Fn(&Event, &mut TaskContext) -> Result<Outcome, TaskError> + Send + Sync + 'static,
) -> impl Task + 'static {
    Handler { id, on: vec![Pattern::new(on)], run }
}

fn run_now(call: TaskCall) -> TaskRun {
    let TaskCall { task, event, mut context } = call;
    let mut future = task.handle_event(&event, &mut context);
    let polled = future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    drop(future);
    let result = match polled {
        std::task::Poll::Ready(Ok(outcome)) => Ok((outcome, context.data)),
        std::task::Poll::Ready(Err(error)) => Err(error.into()),
        std::task::Poll::Pending => panic!("a test's task awaits nothing"),
    };
    TaskRun { result, duration_ms: 0.0 }
}

fn inbound(execution_id: &str, offset: i64, json: serde_json::Value) -> Inbound {
    let schemas = Schemas::new().unwrap();
    let text = json.to_string();
    let record = inbound::InboxRecord {
        topic: "inbox",
        partition: 0,
        offset,
        timestamp: 1,
        key: Some(execution_id.as_bytes()),
        value: Some(text.as_bytes()),
        origin: None,
        redrive: 0,
        headers: &[],
    };
    match inbound::read(&record, 1, &schemas, &Limits::default()).unwrap() {
        inbound::Reading::Event(inbound) => *inbound,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_claim_fans_out_joins_and_completes() {
    let workflow = Workflow::new("w", "1")
        .task(task("first", inbound::STARTED, |_, context| {
            context.data["seen"] = json!(true);
            Ok(Outcome::new().fan_out(
                FanOut::new("checks")
                    .then("checks.done")
                    .branch_until("a", NewEvent::command("a.requested", json!({})), "a.done")
                    .branch("b", NewEvent::command("b.requested", json!({})))
                    .not_required("c"),
            ))
        }))
        .task(task("a", "a.requested", |_, _| Ok(Outcome::new().emit(NewEvent::new("a.done", json!({"risk": 1}))))))
        .task(task("b", "b.requested", |_, _| Ok(Outcome::new().result(json!("fine")))))
        .task(task("last", "checks.done", |_, _| Ok(Outcome::new().wait_for(WaitFor::event("go")))))
        .task(task("go", "go", |event, _| Ok(Outcome::new().complete(event.payload_value()))));
    let workflows = Workflows::new().with(workflow);
    let limits = Limits::default();
    let step = Step { now: 5, workflows: &workflows, limits: &limits, store: &EmptyStore };
    let mut execution = Execution::unknown("e");
    let mut published = Vec::new();
    let mut take = |actions: Vec<Action>| {
        for action in actions {
            if let Action::Publish(event, _) = action {
                published.push((*event).clone());
            }
        }
    };
    let start = inbound(
        "e",
        0,
        json!({"event_type": inbound::STARTED, "workflow_id": "w", "correlation_id": "k", "payload": {"x": 1}}),
    );
    take(drive(&mut execution, Some(start), &step, &mut run_now, &mut || false));
    assert_eq!(execution.context().unwrap().status, WorkflowStatus::Waiting);
    let go = inbound("e", 1, json!({"event_type": "go", "payload": {"y": 2}}));
    take(drive(&mut execution, Some(go), &step, &mut run_now, &mut || false));
    assert!(execution.is_closed());

    let types: Vec<&str> = published.iter().map(|e| e.event_type.as_str()).collect();
    assert_eq!(
        types,
        ["workflow.started", "a.requested", "b.requested", "a.done", "checks.done", "go", "workflow.completed"]
    );
    assert!(published.iter().all(|e| e.correlation_id.as_deref() == Some("k")));
    let mut folded = Records::default();
    let schemas = Schemas::new().unwrap();
    for event in &published {
        let event = schemas.read_event(&schemas.write_event(event).unwrap()).unwrap();
        folded.fold_event(&event).unwrap();
    }
    let mut context = execution.context().unwrap().clone();
    context.applied_offset = -1;
    context.input_ids.clear();
    context.processed.clear();
    assert_eq!(folded.context.as_ref(), Some(&context));
    assert_eq!(folded.scopes, execution.records().scopes);
    assert_eq!(folded.branches, execution.records().branches);
    assert_eq!(
        published[4].payload_value()["results"],
        json!({
            "a": {"status": "SUCCESS", "result": {"risk": 1}}, "b": {"status": "SUCCESS", "result": "fine"}, "c": {"status": "NOT_REQUIRED"}
        })
    );
    for (key, bytes) in execution.changed_records(&schemas).unwrap() {
        assert_eq!(schemas.read_key(&schemas.write_key(&key).unwrap()).unwrap(), key);
        if let crate::context::RecordKey::Root(_) = key {
            assert_eq!(&schemas.read_context(&bytes).unwrap(), execution.context().unwrap());
        }
    }
}

#[test]
fn a_branch_that_is_done_waits_for_nothing_more() {
    let workflow = Workflow::new("w", "1")
        .task(task("first", inbound::STARTED, |_, _| {
            let branch = NewEvent::new("a.requested", json!({}));
            Ok(Outcome::new().fan_out(FanOut::new("checks").then("checks.done").branch("a", branch)))
        }))
        .task(task("a", "a.requested", |_, _| {
            let next = NewEvent::new("a.decided", json!({}));
            Ok(Outcome::new().wait_for(WaitFor::event("answer")).emit(next))
        }))
        .task(task("decided", "a.decided", |_, _| Ok(Outcome::new().complete_branch(json!(1)))))
        .task(task("done", "checks.done", |_, _| Ok(Outcome::new())));
    let workflows = Workflows::new().with(workflow);
    let limits = Limits::default();
    let step = Step { now: 5, workflows: &workflows, limits: &limits, store: &EmptyStore };
    let mut execution = Execution::unknown("e");
    let start = inbound("e", 0, json!({"event_type": inbound::STARTED, "workflow_id": "w"}));
    drive(&mut execution, Some(start), &step, &mut run_now, &mut || false);
    let context = execution.context().unwrap();
    assert_eq!((context.status, context.waits.len(), context.stalled), (WorkflowStatus::Running, 0, true));
}
