//! A reader that is not our own: fastavro and confluent-kafka, in Python.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "tests use what they need of it")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;

use crate::support::Process;

const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Enough to fetch some 20 MB over a slow line; the other test processes wait meanwhile.
const INSTALL_DEADLINE: Duration = Duration::from_secs(300);

const READ_DEADLINE: Duration = Duration::from_secs(120);

/// Where the reader finds the schemas that records were written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemasFrom {
    /// In `schemas/` of this repository.
    Files,
    /// In the namespace's registry topic.
    Registry,
}

/// All committed records of `topics`, or where none are given of the namespace's channels and contexts: each an object
/// with `topic`, `partition`, `offset`, `key`, `headers` and `record`. Documents inside of records are text.
#[track_caller]
pub fn reader(brokers: &str, namespace: &str, topics: &[&str], schemas: SchemasFrom) -> Vec<Value> {
    let mut command = script();
    command.args(["--brokers", brokers, "--namespace", namespace]);
    match schemas {
        SchemasFrom::Files => command.arg("--schemas").arg(schemas_directory()),
        SchemasFrom::Registry => command.arg("--registry"),
    };
    if !topics.is_empty() {
        command.arg("--topics").args(topics);
    }
    lines(command)
}

/// The record in a file, read with the schemas of this repository.
#[track_caller]
pub fn file_reader(file: &Path) -> Value {
    let mut command = script();
    command.arg("--schemas").arg(schemas_directory()).arg("--file").arg(file);
    lines(command).remove(0)["record"].take()
}

#[track_caller]
fn lines(command: Command) -> Vec<Value> {
    let mut reader = Process::spawn("the Python reader", command);
    let status = reader.wait_exit(READ_DEADLINE);
    assert!(status.success(), "the Python reader failed: {status}");
    reader.stdout().lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn schemas_directory() -> PathBuf {
    repository().join("schemas")
}

/// The script, run by a Python that has what it requires.
fn script() -> Command {
    static PYTHON: LazyLock<PathBuf> = LazyLock::new(environment);
    let mut command = Command::new(&*PYTHON);
    // Text is UTF-8 whatever the locale, and nothing is written beside the script.
    command.args(["-X", "utf8", "-B"]).arg(repository().join("tests/python/read_topics.py"));
    command
}

/// Makes a virtual environment unless it is there, one test process at a time, and gives its Python.
fn environment() -> PathBuf {
    let target = repository().join("target");
    fs::create_dir_all(&target).expect("a directory for what is built");
    let lock = File::create(target.join("python-venv.lock")).expect("a lock file beside the environment");
    lock.lock().expect("the lock of the environment");
    let directory = target.join("python-venv");
    let python = directory.join("bin/python");
    // Written last, so that an environment that was left half made is made anew.
    let made_for = directory.join("made-for.txt");
    if !fs::read_to_string(&made_for).is_ok_and(|requirements| requirements == REQUIREMENTS) {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&directory);
        run("python3 -m venv (Debian: `apt install python3-venv`)", venv);
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--requirement"])
            .arg(repository().join("tests/python/requirements.txt"));
        run("pip install", pip);
        fs::write(&made_for, REQUIREMENTS).expect("the mark of a complete environment");
    }
    python
}

#[track_caller]
fn run(name: &str, command: Command) {
    let status = Process::spawn(name, command).wait_exit(INSTALL_DEADLINE);
    assert!(status.success(), "{name} failed: {status}");
}

/// `record` with the documents that are text in Avro parsed, where `like` has them so.
fn with_documents(record: &Value, like: &Value) -> Value {
    match (record, like) {
        (Value::String(text), Value::String(_)) => Value::from(text.as_str()),
        (Value::String(document), _) => serde_json::from_str(document).expect("a JSON document"),
        (Value::Object(fields), Value::Object(like)) => {
            fields.iter().map(|(name, value)| (name.clone(), with_documents(value, &like[name]))).collect()
        }
        (Value::Array(items), Value::Array(like)) => {
            items.iter().zip(like).map(|(item, like)| with_documents(item, like)).collect()
        }
        (other, _) => other.clone(),
    }
}

#[test]
fn the_golden_records_are_read_by_fastavro() {
    for name in ["event", "context", "scope", "branch", "context_key"] {
        let directory = schemas_directory().join("versions").join(name);
        let golden = |version: u32, kind: &str| directory.join(format!("{version}.{kind}"));
        for version in (1..).take_while(|version| golden(*version, "avro").exists()) {
            let expected: Value = serde_json::from_slice(&fs::read(golden(version, "json")).unwrap()).unwrap();
            let read = file_reader(&golden(version, "avro"));
            assert_eq!(with_documents(&read, &expected), expected, "version {version} of {name}");
        }
    }
}
