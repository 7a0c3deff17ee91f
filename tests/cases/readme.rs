//! The README's pages of what workflows can do: their commands, as they are written, and the routers of the examples.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;
use thalweg_core::apply::CONTINUED;
use thalweg_core::{Artifact, WorkflowStatus};

use super::console_tools::readme_block;
use crate::namespace::{DEADLINE, Namespace};
use crate::support::{Process, eventually_observed};

/// A page's commands, and where they run.
struct Page<'a> {
    namespace: &'a Namespace,
    /// Routers that its commands have left in the background.
    routers: Vec<Process>,
    /// Where its commands find `target/release/thalweg`.
    root: TempDir,
}

impl<'a> Page<'a> {
    fn of(namespace: &'a Namespace) -> Page<'a> {
        let root = TempDir::new().unwrap();
        let release = root.path().join("target/release");
        std::fs::create_dir_all(&release).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_thalweg"), release.join("thalweg")).unwrap();
        Page { namespace, routers: Vec::new(), root }
    }

    /// Runs the commands of a block one after the other. Who types them is slower than a test: a command that comes too
    /// early is typed again.
    fn run(&mut self, block: &str) -> Vec<String> {
        let mut printed = Vec::new();
        for mut line in commands(&readme_block(block)) {
            if line.starts_with("export ") {
                continue;
            }
            if let Some(example) = line.strip_prefix("cargo run --release -p claims --example ") {
                let example = example.trim_end_matches('&').trim();
                let router = self.command(&example_of(example).display().to_string());
                self.routers.push(Process::spawn(example, router));
                continue;
            }
            if line.contains(" tail ") && !line.contains("--max") {
                // It would follow for ever.
                line.push_str(" --max 5");
            }
            printed.push(eventually_observed(DEADLINE, &line, || {
                let mut process = Process::spawn_with_input(&line, self.command(&line), Stdio::null());
                if process.wait_exit(DEADLINE).success() { Ok(process.stdout()) } else { Err(process.log()) }
            }));
        }
        printed
    }

    fn command(&self, line: &str) -> Command {
        let config = &self.namespace.config;
        let mut command = Command::new("bash");
        // The shell gives its place to the one command of a line, so that a signal reaches that.
        command.args(["-c", &format!("exec {line}")]).current_dir(self.root.path());
        command
            .env("THALWEG_BROKERS", &config.brokers)
            .env("THALWEG_NAMESPACE", &config.namespace)
            .env("THALWEG_PARTITIONS", config.partitions.to_string())
            .env("THALWEG_ADMIN_ADDR", "127.0.0.1:0")
            .env("THALWEG_LANES", "1");
        command
    }
}

/// The commands of a block; one may go over several lines, by a backslash or inside of quotes.
fn commands(block: &[String]) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in block {
        match commands.last_mut().filter(|_| goes_on || line.starts_with("--")) {
            Some(command) => *command = format!("{command} {line}"),
            None => commands.push(line.clone()),
        }
        goes_on = commands.last().is_some_and(|command| command.matches('\'').count() % 2 == 1);
    }
    commands
}

/// The program of an example, which Cargo has built beside this one.
fn example_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_thalweg")).with_file_name("examples").join(name)
}

#[test]
fn the_newsroom() {
    let namespace = Namespace::with("readme-newsroom", |_| {});
    let mut page = Page::of(&namespace);
    page.run("newsroom");
    page.run("commands");
    page.run("commands to parts");
    page.run("people");
    let answers = page.run("requests").pop().unwrap();
    assert!(answers.contains("workflow.acknowledged"), "{answers}");
    let letters = page.run("subscriptions").pop().unwrap();
    page.run("continue as new");
    page.run("budgets");
    page.run("before the start");
    namespace.await_events(&["workflow.completed"], 1);
    let history = namespace.history("a-1");
    let types: Vec<&str> = history.iter().map(|event| event.event_type.as_str()).collect();
    let last = history.last().unwrap();
    assert_eq!((last.event_type.as_str(), last.payload_value()), ("workflow.completed", json!({"editions": 2})));
    for expected in [
        "workflow.paused",
        "workflow.resumed",
        "agent.execute.requested",
        "drafts.enough",
        "interrupt.raised",
        "system.error",
        CONTINUED,
    ] {
        assert!(types.contains(&expected), "{expected} is not in {types:?}");
    }
    let chosen = history.iter().find(|event| event.event_type == "draft.chosen").unwrap();
    assert_eq!(Artifact::of(chosen), [Artifact::at("s3://newsroom/a-1.pdf")]);
    let published = history.iter().find(|event| event.event_type == "article.published").unwrap();
    assert_eq!(published.payload_value(), json!({"text": "Tides come and go.", "edition": 1}));
    let early = namespace.await_events(&["drafts.enough"], 5);
    assert!(early.iter().any(|event| event.execution_id == "a-3" && event.event_type == "gossip.heard"));
    assert!(letters.contains("PLACE"), "{letters}");
    let summary = namespace.verify_but(crate::oracle::StillOpen::Waiting);
    assert_eq!((summary.in_status(WorkflowStatus::LimitExceeded), summary.in_status(WorkflowStatus::Canceled)), (1, 1));
}

#[test]
fn a_batch_of_claims() {
    let namespace = Namespace::with("readme-children", |_| {});
    let mut page = Page::of(&namespace);
    let history = page.run("children").pop().unwrap();
    assert!(history.contains("workflow.completed"), "{history}");
    assert_eq!(namespace.verify().in_status(WorkflowStatus::Success), 3);
}

#[test]
fn an_invoice_that_nobody_pays() {
    let namespace = Namespace::with("readme-patience", |_| {});
    let mut page = Page::of(&namespace);
    page.run("patience");
    let events = namespace.events();
    for expected in ["task.retry.scheduled", "payment.reminded", "payment.missed"] {
        assert!(events.iter().any(|event| event.event_type == expected), "{expected}");
    }
    namespace.verify();
}
