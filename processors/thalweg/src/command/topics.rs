//! `thalweg topics`

mod adopt;

use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use thalweg_runtime::{Config, Finding, REPLICATION_OF_BROKER, Severity, TopicReport, create_topics, wanted_topics};

use crate::connection::Connection;
use crate::error::CommandError;
use crate::output::{self, Output, Table};
use crate::settings::Settings;

/// How long the partitions of new topics may take to have leaders.
const LEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks whether they have.
const LEADERS_PAUSE: Duration = Duration::from_millis(50);

/// Create the topics of the namespace, or check those that exist
///
/// It changes no topic that exists: it says what differs, and what to do. With a fault the exit code is 1.
#[derive(Args, Debug)]
pub struct Topics {
    /// Replicas of each partition of the topics that are created [default: as the brokers have it]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    replication: Option<i32>,
    /// Say, for each partition, whether the inbox fits the contexts, and what would make routers go on where it does not
    #[arg(long, value_name = "WHICH", num_args = 0..=1, conflicts_with = "replication")]
    adopt: Option<Option<adopt::Inbox>>,
    /// With --adopt: do it
    #[arg(long, requires = "adopt")]
    execute: bool,
    #[command(flatten)]
    output: Output,
}

impl Topics {
    /// Runs the command.
    ///
    /// # Errors
    /// Where a topic can't be created, or one that exists has a fault.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let config = settings.load()?;
        if let Some(which) = self.adopt {
            return adopt::run(&config, which, self.execute, &self.output);
        }
        Connection::open(&config)?;
        let report = create(&config, self.replication.unwrap_or(REPLICATION_OF_BROKER))?;
        let names: Vec<String> = wanted_topics(&config).into_iter().map(|topic| topic.name).collect();
        if self.output.is_json() {
            output::print_json(&document(&report, &names))?;
        } else {
            output::print(&text(&report, &names))?;
        }
        if report.findings.iter().any(|finding| finding.severity == Severity::Fault) {
            return Err(CommandError::Failed("a topic has a fault; what to do about it is printed with it".to_owned()));
        }
        Ok(())
    }
}

/// Creates the topics that lack, and waits until every partition of them can be used.
///
/// # Errors
/// Where one can't be created, or does not become usable.
pub fn create(config: &Config, replication: i32) -> Result<TopicReport, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Start)?;
    let report = runtime.block_on(create_topics(config, replication))?;
    if !report.created.is_empty() {
        await_leaders(config, &report.created)?;
    }
    Ok(report)
}

/// A topic is visible before the leaders of its partitions know that they are.
fn await_leaders(config: &Config, topics: &[String]) -> Result<(), CommandError> {
    let connection = Connection::open(config)?;
    let partitions = connection.all_partitions(topics.iter().map(String::as_str))?;
    let deadline = Instant::now() + LEADERS_TIMEOUT;
    while let Err(error) = connection.spans(&partitions) {
        if Instant::now() >= deadline {
            return Err(error);
        }
        thread::sleep(LEADERS_PAUSE);
    }
    Ok(())
}

/// What became of a topic, in a word.
fn state(report: &TopicReport, topic: &str) -> &'static str {
    let worst = report.findings.iter().filter(|finding| finding.topic == topic).map(|finding| finding.severity).max();
    match worst {
        Some(Severity::Fault) => "fault",
        _ if report.created.iter().any(|created| created == topic) => "created",
        Some(Severity::Notice) => "differs",
        None => "as wanted",
    }
}

fn document(report: &TopicReport, names: &[String]) -> Value {
    let topics: Vec<Value> = names.iter().map(|name| json!({"topic": name, "state": state(report, name)})).collect();
    let finding = |finding: &Finding| {
        json!({
            "severity": finding.severity.to_string(), "code": finding.code, "topic": finding.topic,
            "setting": finding.setting, "wanted": finding.wanted, "found": finding.found, "advice": finding.advice,
        })
    };
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    json!({"created": report.created, "topics": topics, "findings": findings})
}

fn text(report: &TopicReport, names: &[String]) -> String {
    let mut topics = Table::new(&["TOPIC", "STATE"]);
    for name in names {
        topics.row([name.as_str(), state(report, name)]);
    }
    let mut text = topics.to_string();
    if report.findings.is_empty() {
        return text;
    }
    let mut findings = Table::new(&["", "TOPIC", "SETTING", "WANTED", "FOUND"]);
    for finding in &report.findings {
        findings.row([
            &finding.severity.to_string(),
            &finding.topic,
            &finding.setting,
            &finding.wanted,
            &finding.found,
        ]);
    }
    text.push_str(&format!("\n\n{findings}\n"));
    for finding in &report.findings {
        let code = finding.code.map_or_else(String::new, |code| format!("{code}: "));
        text.push_str(&format!("\n{} {}\n  {code}{}", finding.topic, finding.setting, finding.advice));
    }
    text
}
