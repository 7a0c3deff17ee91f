//! Kafka's own command-line tools: what users have, and a client that is not ours.

use std::io::{Seek, Write};
use std::process::Stdio;
use std::time::Duration;

use super::broker::Broker;
use super::process::Process;

/// For the whole run of a tool, its start included.
const TOOL_DEADLINE: Duration = Duration::from_secs(90);

impl Broker {
    /// Runs a class of Kafka's tools, such as `org.apache.kafka.tools.TopicCommand`, and gives its
    /// standard output; panics when it fails. Tools that ask the broker take
    /// `--bootstrap-server` with [`Broker::internal_bootstrap`].
    #[track_caller]
    pub fn java_tool(&self, class: &str, arguments: &[&str]) -> String {
        self.run_tool(class, arguments, Stdio::null())
    }

    #[track_caller]
    fn run_tool(&self, class: &str, arguments: &[&str], input: impl Into<Stdio>) -> String {
        let mut command = self.tool_command(class);
        command.args(arguments);
        let mut tool = Process::spawn_with_input(class, command, input);
        let status = tool.wait_exit(TOOL_DEADLINE);
        assert!(status.success(), "{class} {arguments:?} failed: {status}");
        tool.stdout()
    }
}

/// A run of the console producer.
pub struct ConsoleProducer<'a> {
    broker: &'a Broker,
    arguments: Vec<String>,
}

impl<'a> ConsoleProducer<'a> {
    /// A producer to `topic`, of values without keys.
    pub fn new(broker: &'a Broker, topic: &str) -> Self {
        let mut arguments = connection_arguments(broker, topic);
        // Unless it waits for each answer, the tool only logs a record that the broker refused, and
        // exits with 0; and unless told not to, it waits a second for more records before.
        arguments.extend(["--sync", "--timeout", "0"].map(str::to_owned));
        arguments.extend(["--max-block-ms", "10000"].map(str::to_owned));
        Self { broker, arguments }
    }

    /// Lines are `key`, `separator`, `value`.
    pub fn keyed(self, separator: &str) -> Self {
        self.reader_property("parse.key", "true").reader_property("key.separator", separator)
    }

    /// Sets a property of the line reader, such as `parse.headers` or `null.marker`.
    pub fn reader_property(mut self, name: &str, value: &str) -> Self {
        push_property(&mut self.arguments, "--reader-property", name, value);
        self
    }

    /// Sends each line as a record; panics unless the broker took them all.
    #[track_caller]
    pub fn send<L: AsRef<str>>(self, lines: &[L]) {
        let mut input = tempfile::tempfile().expect("a file for the lines");
        for line in lines {
            writeln!(input, "{}", line.as_ref()).expect("a line fits the file");
        }
        input.rewind().expect("a file can be read from its start");
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let class = "org.apache.kafka.tools.ConsoleProducer";
        self.broker.run_tool(class, &arguments, input);
    }
}

/// A run of the console consumer, from the beginning of a topic.
pub struct ConsoleConsumer<'a> {
    broker: &'a Broker,
    arguments: Vec<String>,
    idle: Duration,
}

impl<'a> ConsoleConsumer<'a> {
    /// A consumer of the values of `topic`, until ten seconds pass without a record.
    pub fn new(broker: &'a Broker, topic: &str) -> Self {
        let mut arguments = connection_arguments(broker, topic);
        arguments.push("--from-beginning".to_owned());
        Self { broker, arguments, idle: Duration::from_secs(10) }
    }

    /// Ends after `count` records.
    pub fn max_messages(mut self, count: usize) -> Self {
        self.arguments.extend(["--max-messages".to_owned(), count.to_string()]);
        self
    }

    /// Ends when `idle` passes without a record.
    pub fn timeout(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Passes over records of aborted and open transactions.
    pub fn read_committed(mut self) -> Self {
        self.arguments.extend(["--isolation-level".to_owned(), "read_committed".to_owned()]);
        self
    }

    /// Sets a property of the formatter, such as `print.key`, `print.headers` (each `true`) or
    /// `key.separator` (a tab unless set).
    pub fn formatter_property(mut self, name: &str, value: &str) -> Self {
        push_property(&mut self.arguments, "--formatter-property", name, value);
        self
    }

    /// The records as lines; fewer than asked for when the topic has no more.
    #[track_caller]
    pub fn read(self) -> Vec<String> {
        let idle = self.idle.as_millis().to_string();
        let mut arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        arguments.extend(["--timeout-ms", &idle]);
        let class = "org.apache.kafka.tools.consumer.ConsoleConsumer";
        let output = self.broker.run_tool(class, &arguments, Stdio::null());
        output.lines().map(str::to_owned).collect()
    }
}

fn connection_arguments(broker: &Broker, topic: &str) -> Vec<String> {
    ["--bootstrap-server", broker.internal_bootstrap(), "--topic", topic].map(str::to_owned).to_vec()
}

fn push_property(arguments: &mut Vec<String>, option: &str, name: &str, value: &str) {
    arguments.extend([option.to_owned(), format!("{name}={value}")]);
}
