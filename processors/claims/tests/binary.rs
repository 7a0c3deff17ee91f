//! The `claims` program: what it does before it meets Kafka.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

fn claims(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claims"));
    command.args(arguments).env_remove("THALWEG_BROKERS").env_remove("THALWEG_NAMESPACE");
    command.envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn flags_win_over_the_environment_and_secrets_are_not_shown() {
    let environment = [
        ("THALWEG_BROKERS", "from-environment:9092"),
        ("THALWEG_NAMESPACE", "acme"),
        ("THALWEG_KAFKA_SASL_PASSWORD", "do-not-show"),
    ];
    let shown = claims(&["--brokers", "from-flag:9092", "--show-config"], &environment);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success());
    assert!(text.contains("from-flag:9092") && !text.contains("from-environment"), "{text}");
    assert!(text.contains("acme"), "{text}");
    assert!(!text.contains("do-not-show"), "{text}");
}

#[test]
fn an_unknown_setting_and_an_unknown_flag_are_errors() {
    let setting = claims(&["--brokers", "x:9092"], &[("THALWEG_BATCH_MAX_RECORD", "1")]);
    assert!(!setting.status.success());
    let text = String::from_utf8(setting.stderr).unwrap().to_lowercase();
    assert!(text.contains("batch") && text.contains("max"), "{text}");
    assert_eq!(claims(&["--no-such-flag"], &[]).status.code(), Some(2));
}

/// A broker that takes connections and never answers: there is nothing to finish and nothing to leave.
#[test]
fn asked_to_stop_before_kafka_answers_it_ends_well() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_claims"));
    command.args(["--brokers", &silent.local_addr().unwrap().to_string(), "--admin-addr", "127.0.0.1:0"]);
    let mut router = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(router.stderr.take().unwrap()).lines().map_while(Result::ok);
    log.find(|line| line.contains("metrics and health are served")).unwrap();
    let pid = rustix::process::Pid::from_child(&router);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(log.any(|line| line.contains("asked to stop")), "the signal is told");
    assert_eq!(router.wait().unwrap().code(), Some(0));
}
