//! A router with a newsroom: agents that draft side by side on a budget, people who approve, an article that is updated
//! for years.
//!
//! Three drafts are asked for and two are enough. The longest is kept outside, its reference goes on, and people are asked.
//! What they approve is published; with each `article.outdated` the execution continues as new, and ends with
//! `article.withdrawn`. An observer hears everything and matters to nobody.

use std::process::ExitCode;

use serde_json::json;
use thalweg_core::approval::{DECIDED, Interrupt};
use thalweg_core::budget::{Budget, Budgets, Usage};
use thalweg_core::inbound::STARTED;
use thalweg_core::{
    Artifact, Channel, Event, FanOut, JoinPolicy, NewEvent, OnFailure, Outcome, Pattern, Task, TaskContext, TaskError,
    Workflow, Workflows, async_trait,
};
use thalweg_router::{Router, RouterError};
use thalweg_runtime::{Config, Overrides, init_processor_log};

type Handling = fn(&Event, &mut TaskContext) -> Result<Outcome, TaskError>;

/// A task that is a function.
struct Desk {
    id: &'static str,
    on: [Pattern; 1],
    agent: Option<&'static str>,
    on_failure: OnFailure,
    handle: Handling,
}

#[async_trait]
impl Task for Desk {
    fn task_id(&self) -> &str {
        self.id
    }
    fn handles_events(&self) -> &[Pattern] {
        &self.on
    }
    fn agent(&self) -> Option<&str> {
        self.agent
    }
    fn on_failure(&self) -> OnFailure {
        self.on_failure
    }
    async fn handle_event(&self, event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
        (self.handle)(event, context)
    }
}

fn desk(id: &'static str, on: &str, handle: Handling) -> Desk {
    Desk { id, on: [Pattern::new(on)], agent: None, on_failure: OnFailure::FailExecution, handle }
}

/// Asks for drafts, of which two are enough.
fn plan(_: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
    let drafts = FanOut::new("drafts").policy(JoinPolicy::Quorum(2)).then("drafts.enough");
    let writers = ["ann", "ben", "cleo"];
    Ok(Outcome::new().fan_out(writers.into_iter().fold(drafts, |drafts, writer| {
        drafts.branch(writer, NewEvent::command("draft.requested", json!({"writer": writer})))
    })))
}

/// Writes a draft, and says what that took.
fn write(event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
    let text = format!("{}, says {}", context.data["topic"], event.payload_value()["writer"]);
    let usage = Usage { output_tokens: 100, ..Usage::default() };
    let written = Outcome::new().usage(usage);
    // One that was asked for by itself is nobody's branch.
    Ok(match &event.branch {
        Some(_) => written.complete_branch(json!(text)),
        None => written.result(json!(text)),
    })
}

/// Takes the longest draft, and asks people.
fn edit(event: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
    let results = event.payload_value()["results"].clone();
    let drafts = results.as_object().into_iter().flatten();
    let longest = drafts.filter_map(|(_, draft)| draft["result"].as_str()).max_by_key(|text| text.len());
    context.data["text"] = json!(longest);
    let scan = Artifact::at(&format!("s3://newsroom/{}.pdf", event.execution_id));
    let chosen = NewEvent::new("draft.chosen", json!({})).artifact(scan).on(Channel::BusinessFacts);
    let review = Interrupt { state_for_review: context.data.clone().into(), ..Interrupt::new("is it ready?") };
    Ok(Outcome::new().emit(chosen).interrupt(review))
}

/// What people have approved is published.
fn publish(_: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
    let published = context.data["published"].as_u64().unwrap_or(0) + 1;
    context.data["published"] = json!(published);
    let article = json!({"text": context.data["text"], "edition": published});
    Ok(Outcome::new()
        .emit(NewEvent::new("article.published", article))
        .wait_for(thalweg_core::WaitFor::event("article.withdrawn")))
}

/// The next edition begins as the first did.
fn update(_: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
    Ok(Outcome::new().continue_as_new())
}

fn withdraw(_: &Event, context: &mut TaskContext) -> Result<Outcome, TaskError> {
    Ok(Outcome::new().complete(json!({"editions": context.data["published"]})))
}

/// Hears of everything, and fails at gossip: that is told, and changes nothing.
fn observe(event: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
    match event.event_type.as_str() {
        "gossip.heard" => Err(TaskError::new("GOSSIP", "unheard of")),
        _ => Ok(Outcome::new()),
    }
}

fn workflow() -> Workflow {
    let writer = Budget { total_tokens: Some(10_000), ..Budget::default() };
    let budgets = Budgets { agents: [("writer".to_owned(), writer)].into(), ..Budgets::default() };
    Workflow::new("article", "1")
        .budgets(budgets)
        .task(desk("plan", STARTED, plan))
        .task(Desk { agent: Some("writer"), ..desk("write", "draft.requested", write) })
        .task(desk("edit", "drafts.enough", edit))
        .task(desk("publish", DECIDED, publish))
        .task(desk("update", "article.outdated", update))
        .task(desk("withdraw", "article.withdrawn", withdraw))
        .task(Desk { on_failure: OnFailure::Report, ..desk("observe", "gossip.*", observe) })
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
