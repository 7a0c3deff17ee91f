//! The command line as a process of its own, and what it came to.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::namespace::{DEADLINE, Namespace};
use crate::support::Process;

/// A `thalweg` with this environment only.
pub struct Thalweg {
    environment: Vec<(String, String)>,
}

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Thalweg {
    pub fn new(environment: &[(&str, &str)]) -> Thalweg {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Thalweg { environment: environment.iter().map(owned).collect() }
    }

    /// For the topics of a namespace.
    pub fn of(namespace: &Namespace) -> Thalweg {
        let config = &namespace.config;
        let mut thalweg =
            Thalweg::new(&[("THALWEG_BROKERS", &config.brokers), ("THALWEG_NAMESPACE", &config.namespace)]);
        for (channel, topic) in &config.channels {
            let name = channel.as_str().to_uppercase().replace('-', "_");
            thalweg.environment.push((format!("THALWEG_CHANNELS_{name}"), topic.clone()));
        }
        thalweg
    }

    /// The same with more of the environment.
    pub fn with(mut self, environment: &[(&str, &str)]) -> Thalweg {
        self.environment.extend(Thalweg::new(environment).environment);
        self
    }

    pub fn spawn(&self, arguments: &[&str], input: impl Into<Stdio>) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("THALWEG_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        Process::spawn_with_input(&format!("thalweg {arguments:?}"), command, input)
    }

    #[track_caller]
    pub fn run_with(&self, arguments: &[&str], input: impl Into<Stdio>) -> Ran {
        let mut process = self.spawn(arguments, input);
        let status = process.wait_exit(DEADLINE);
        Ran { code: status.code().unwrap_or(-1), stdout: process.stdout(), stderr: process.stderr() }
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, Stdio::null())
    }

    /// What a command prints that is to end well.
    #[track_caller]
    pub fn table(&self, arguments: &[&str]) -> String {
        self.run(arguments).expect(0).stdout
    }

    /// The document that a command prints that is to end well.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["-o", "json"]].concat()).expect(0).document()
    }
}

impl Ran {
    #[track_caller]
    pub fn expect(self, code: i32) -> Ran {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// That standard error begins as an error and names this.
    #[track_caller]
    pub fn names(self, what: &str) -> Ran {
        assert!(self.stderr.starts_with("error: ") && self.stderr.contains(what), "{what}: {self:#?}");
        self
    }

    #[track_caller]
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// The lines of `text` begin with these, in this order.
#[track_caller]
pub fn assert_lines(text: &str, starts: &[&str]) {
    let mut lines = text.lines();
    for start in starts {
        assert!(lines.any(|line| line.trim_start().starts_with(start)), "no line {start:?} in order in:\n{text}");
    }
}
