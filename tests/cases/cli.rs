//! The command line, each command as a process of its own: what it prints for people and for programs, and how it ends.

use std::io::{Seek, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::command_line::{Thalweg, assert_lines};
use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::{Signal, broker, eventually_observed, namespace};

#[test]
fn topics_are_created_once_and_checked_from_then_on() {
    let namespace = namespace("cli-topics");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "brokers = {:?}\npartitions = 2\n", broker().bootstrap()).unwrap();
    let thalweg = Thalweg::new(&[]);
    let arguments = ["topics", "--config", file.path().to_str().unwrap(), "--namespace", &namespace];

    let first = thalweg.json(&[&arguments[..], &["--replication", "1"]].concat());
    assert_eq!(first["created"].as_array().unwrap().len(), 12);
    assert_eq!(first["findings"], json!([]));
    let second = thalweg.json(&arguments);
    assert_eq!(second["created"], json!([]));
    assert!(second["topics"].as_array().unwrap().iter().all(|topic| topic["state"] == "as wanted"), "{second}");
    let table = thalweg.table(&arguments);
    assert_lines(&table, &["TOPIC", &format!("{namespace}.inbox "), &format!("{namespace}.contexts ")]);

    let contexts = format!("{namespace}.contexts");
    let alter =
        ["--alter", "--entity-type", "topics", "--add-config", "cleanup.policy=delete", "--entity-name", &contexts];
    let bootstrap = ["--bootstrap-server", broker().internal_bootstrap()];
    broker().java_tool("kafka.admin.ConfigCommand", &[&bootstrap[..], &alter].concat());
    let ran = thalweg.run(&arguments).expect(1).names("fault");
    assert_lines(
        &ran.stdout,
        &[&contexts, "fault ", &format!("{contexts} cleanup.policy"), "kafka-configs.sh --alter"],
    );
    let ran = thalweg.run(&[&arguments[..], &["-o", "json"]].concat()).expect(1);
    let document = ran.document();
    let [finding] = &document["findings"].as_array().unwrap()[..] else { panic!("one finding: {ran:#?}") };
    assert_eq!((&finding["severity"], &finding["setting"]), (&json!("fault"), &json!("cleanup.policy")));

    thalweg.run(&[&arguments[..], &["--replication", "0"]].concat()).expect(2);
}

#[test]
fn start_waits_for_the_result_and_says_by_its_code_whether_it_succeeded() {
    let namespace = Namespace::new("cli-start");
    let thalweg = Thalweg::of(&namespace);
    let _router = RouterProcess::start(&namespace, "a");
    let start = |more: &[&str]| thalweg.run(&[&["start", "--workflow", "insurance_claim"], more].concat());

    let home = r#"{"claim_data": {"type": "home", "amount": 900, "description": "a broken window"}}"#;
    let ran = start(&["--id", "home", "--data", home, "--correlation-id", "k-1", "--wait"]).expect(0);
    assert_lines(&ran.stdout, &["EXECUTION  home", "STATUS     SUCCESS", "DURATION ", "RESULT     {"]);
    assert!(namespace.history("home").iter().all(|event| event.correlation_id.as_deref() == Some("k-1")));

    let mut input = tempfile::tempfile().unwrap();
    input.write_all(home.as_bytes()).unwrap();
    input.rewind().unwrap();
    let arguments = ["start", "--workflow", "insurance_claim", "--data", "-", "--wait", "-o", "json"];
    let document = thalweg.run_with(&arguments, input).expect(0).document();
    assert_eq!((&document["status"], &document["error"]), (&json!("SUCCESS"), &Value::Null));
    assert_eq!(document["result"]["claim_type"], "home");

    // A task failed it, nobody knows the workflow, it has run before, it does not end in time.
    let ran = start(&["--id", "bad", "--data", r#"{"claim_data": 7}"#, "--wait"]).expect(1).names("TASK_FAILED: ");
    assert_lines(&ran.stdout, &["EXECUTION  bad", "STATUS     FAILED"]);
    let ran = thalweg.run(&["start", "--workflow", "none", "--wait", "-o", "json"]).expect(1).names("WORKFLOW_UNKNOWN");
    assert_eq!(
        (&ran.document()["status"], &ran.document()["error"]["code"]),
        (&json!("REFUSED"), &json!("WORKFLOW_UNKNOWN"))
    );
    start(&["--id", "home", "--data", home, "--wait"]).expect(1).names("TRANSITION_REJECTED");
    let open = r#"{"claim_data": {"type": "home"}}"#;
    start(&["--id", "open", "--data", open, "--wait", "--timeout", "1"]).expect(1).names("thalweg get open");
}

#[test]
fn an_execution_is_started_looked_at_answered_and_told() {
    let namespace = Namespace::with("cli-life", |_| {});
    let thalweg = Thalweg::of(&namespace);
    let _router = RouterProcess::start(&namespace, "a");

    let data = r#"{"claim_data": {"type": "home", "description": "no amount given"}}"#;
    let id = thalweg.table(&["start", "--workflow", "insurance_claim", "--data", data]);
    let id = id.trim();
    let waiting = eventually_observed(DEADLINE, "a context that waits", || {
        let ran = thalweg.run(&["get", id, "-o", "json"]);
        if ran.code == 0 && ran.document()["context"]["status"] == "WAITING" {
            Ok(ran.document())
        } else {
            Err(format!("{ran:?}"))
        }
    });
    assert_eq!(waiting["context"]["waits"][0]["event_type"], "user.input.provided");
    assert_eq!(waiting["context"]["input_ids"][0].as_str().map(str::len), Some(32));
    assert_eq!(waiting["scopes"][0]["branches"].as_array().unwrap().len(), 2);
    let table = thalweg.table(&["get", id]);
    let blocks =
        ["EXECUTION ", "STATUS       WAITING", "WAITS FOR    user.input.provided", "TASK ", "claim_processor "];
    assert_lines(&table, &[&blocks[..], &["assessments  JOINED", "vehicle_inspection  not required", "DATA"]].concat());

    let answer = r#"{"additional_info": {"amount": 700}}"#;
    let sent = thalweg.json(&["send", "--id", id, "--type", "user.input.provided", "--data", answer]);
    assert_eq!(sent["partition"], json!(namespace.partition(id)));
    namespace.await_ended(1);

    let table = thalweg.table(&["history", id]);
    let tree = [
        "EXECUTION ",
        "STATUS     SUCCESS",
        "#  EVENT",
        "1  workflow.started",
        "2  claim.processed",
        "├─ risk_assessment",
        "3  │  risk.assessment.requested",
        "└─ vehicle_inspection",
        "7  parallel.processing.completed",
        "10  user.input.provided",
        "13  workflow.completed",
    ];
    assert_lines(&table, &tree);
    let events = thalweg.json(&["history", id]);
    let sequences: Vec<_> =
        events.as_array().unwrap().iter().map(|event| event["sequence"].as_i64().unwrap()).collect();
    assert_eq!(sequences, (1..=13).collect::<Vec<_>>());
    assert_eq!(thalweg.json(&["get", id])["context"]["status"], "SUCCESS");

    let position = thalweg.table(&["send", "--event", &format!(r#"{{"event_type": "late", "execution_id": {id:?}}}"#)]);
    assert_lines(&position, &["EXECUTION", &format!("POSITION   {}/", namespace.topics.inbox())]);
    for command in ["get", "history"] {
        thalweg.run(&[command, "unknown"]).expect(3).names("EXECUTION_UNKNOWN");
        thalweg.run(&[command, id, "--namespace", "no-such-namespace"]).expect(3).names("no topic no-such-namespace.");
    }
}

#[test]
fn a_tail_shows_what_it_is_asked_for() {
    let namespace = Namespace::with("cli-tail", |_| {});
    let thalweg = Thalweg::of(&namespace);
    let _router = RouterProcess::start(&namespace, "a");
    let start = json!({"event_type": "workflow.started", "workflow_id": "linear", "payload": {"x": 1}});
    namespace.send(&[("e-1", start.clone()), ("e-2", start)]);
    namespace.await_ended(2);

    let tail = |more: &[&str]| thalweg.table(&[&["tail", "--from-beginning"], more].concat());
    let table = tail(&["all", "--execution", "e-2", "--type", "first.*", "--max", "1"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["TIME", "(UTC)", "EVENT", "EXECUTION", "CHANNEL"]);
    assert_eq!(rows[1][1..], ["first.done", "e-2", "business-facts"]);
    assert_eq!(rows.len(), 2);
    let lines = tail(&["system-events", "--type", "workflow.completed", "--max", "2", "-o", "json"]);
    let mut ended: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    ended.sort_by_key(|event| event["execution_id"].to_string());
    assert_eq!(ended.iter().map(|event| event["execution_id"].clone()).collect::<Vec<_>>(), ["e-1", "e-2"]);

    thalweg.run(&["tail", "nothing"]).expect(2).names("business-facts");
    // One that follows what is yet to come, and ends when it is told to.
    let mut following = thalweg.spawn(&["tail", "all", "--max", "1", "-o", "json"], Stdio::null());
    let number = std::cell::Cell::new(2);
    let seen = eventually_observed(DEADLINE, "an event that came after the tail", || {
        number.set(number.get() + 1);
        let id = format!("e-{}", number.get());
        namespace.send(&[(&id, json!({"event_type": "workflow.started", "workflow_id": "linear"}))]);
        if following.is_running() { Err("nothing yet") } else { Ok(following.stdout()) }
    });
    let event: Value = serde_json::from_str(&seen).unwrap();
    assert!(!["e-1", "e-2"].contains(&event["execution_id"].as_str().unwrap()), "{event}");
}

#[test]
fn dead_letters_are_listed_and_shown_with_their_bytes() {
    let namespace = Namespace::new("cli-letters");
    let thalweg = Thalweg::of(&namespace);
    assert_eq!(thalweg.table(&["dead-letters", "list"]), "No dead letters.\n");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("nobody", json!({"event_type": "user.input.provided"}))]);
    namespace.send_raw(&[(Some("bytes"), b"\xff\x00\x01 and so on".to_vec())], &[("colour", "blue")]);
    namespace.send(&[("fails", json!({"event_type": "workflow.started", "workflow_id": "insurance_claim"}))]);

    let list = |more: &[&str]| thalweg.json(&[&["dead-letters", "list"], more].concat());
    let all = eventually_observed(DEADLINE, "three dead letters", || {
        let letters = list(&[]);
        if letters.as_array().unwrap().len() == 3 { Ok(letters) } else { Err(letters) }
    });
    let codes: std::collections::BTreeSet<&str> =
        all.as_array().unwrap().iter().map(|letter| letter["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["DECODE_FAILED", "EXECUTION_UNKNOWN", "TASK_FAILED"].into());
    assert_lines(&thalweg.table(&["dead-letters", "list"]), &["PLACE  WRITTEN"]);
    assert_eq!(list(&["--max", "1"]).as_array().unwrap()[..], all.as_array().unwrap()[2..]);
    let show = |code: &str, more: &[&str]| {
        let letters = list(&["--code", code]);
        let place = format!("{}/{}", letters[0]["partition"], letters[0]["offset"]);
        thalweg.table(&[&["dead-letters", "show", &place], more].concat())
    };

    let text = show("EXECUTION_UNKNOWN", &[]);
    let lines = ["place", "code          EXECUTION_UNKNOWN", "origin", "key           nobody", "ORIGINAL, 36 bytes"];
    assert_lines(&text, &[&lines[..], &[r#"{"event_type":"user.input.provided"}"#]].concat());
    let bytes = show("DECODE_FAILED", &[]);
    assert_lines(&bytes, &["header colour  blue", "ORIGINAL, 13 bytes", "00000000  ff 00 01 20 61 6e 64"]);
    let document: Value = serde_json::from_str(&show("DECODE_FAILED", &["-o", "json"])).unwrap();
    assert_eq!(document["value"], json!({"hex": "ff000120616e6420736f206f6e"}));
    assert_eq!((&document["key"], &document["attempts"]), (&json!({"text": "bytes"}), &json!(0)));
    let document: Value = serde_json::from_str(&show("TASK_FAILED", &["-o", "json"])).unwrap();
    assert_eq!((&document["task"], &document["attempts"]), (&json!("claim_processor"), &json!(1)));

    for place in ["0/99999", "99/0"] {
        thalweg.run(&["dead-letters", "show", place]).expect(3).names(place);
    }
    thalweg.run(&["dead-letters", "show", "one"]).expect(2);
    thalweg.run(&["dead-letters", "list", "--code", "NONE"]).expect(2).names("DECODE_FAILED");
}

#[test]
fn what_can_not_be_used_or_reached_has_its_own_code() {
    let nowhere = Thalweg::new(&[("THALWEG_BROKERS", "127.0.0.1:1")]);
    let commands: [&[&str]; 7] = [
        &["topics"],
        &["start", "--workflow", "w"],
        &["send", "--id", "e", "--type", "t"],
        &["get", "e"],
        &["history", "e"],
        &["tail", "all"],
        &["dead-letters", "list"],
    ];
    for command in commands {
        nowhere.run(command).expect(4).names("could not reach Kafka at 127.0.0.1:1");
        Thalweg::new(&[]).run(command).expect(2).names("brokers: not set");
    }
    nowhere.run(&["demo"]).expect(4);
    nowhere.run(&["dev"]).expect(4);
    let usage: [&[&str]; 8] = [
        &[],
        &["what"],
        &["start"],
        &["start", "--workflow", "w", "--timeout", "1"],
        &["start", "--workflow", "w", "--data", "{"],
        &["start", "--workflow", "w", "--data", "@no/such/file"],
        &["send", "--type", "t"],
        &["send", "--id", "e", "--event", "[]"],
    ];
    for arguments in usage {
        nowhere.run(arguments).expect(2);
    }
    nowhere.run(&["get", "e", "--config", "no/such/file"]).expect(2).names("no/such/file");
    Thalweg::new(&[("THALWEG_BROKER", "127.0.0.1:1")]).run(&["get", "e"]).expect(2).names("broker");
    Thalweg::new(&[("THALWEG_LOG", "=loud=")]).run(&["get", "e"]).expect(2).names("THALWEG_LOG");
    assert_lines(&nowhere.table(&["--help"]), &["Usage: thalweg", "demo", "Exit codes: "]);
}

/// What a demo of 40 claims comes to.
#[track_caller]
fn assert_demo(summary: &Value) {
    let counts = ["claims", "completed", "resumed", "waiting", "failed", "joins", "dead_letters"];
    // 13 are incomplete, and the tenth of them is left waiting.
    assert_eq!(counts.map(|name| summary[name].as_i64().unwrap()), [40, 39, 12, 1, 0, 40, 0], "{summary:#}");
    assert_eq!(summary["kinds"], json!({"car": 14, "home": 13, "incomplete": 13}));
    assert!(summary["latency_ms"]["p50"].as_f64().unwrap() <= summary["latency_ms"]["p99"].as_f64().unwrap());
    let history = summary["history"].as_array().unwrap();
    assert_eq!(history.last().unwrap()["event_type"], "workflow.completed");
}

#[test]
fn the_demo_needs_nothing_and_says_on_what_it_runs() {
    let thalweg = Thalweg::new(&[]);
    let ran = thalweg.run(&["demo", "--claims", "40"]).expect(0);
    assert!(ran.stdout.lines().next().unwrap().contains("In-process imitation of Kafka"), "{ran:#?}");
    let rows =
        ["claims ", "completed ", "waiting ", "joins ", "dead letters ", "latency p50 ", "latency p99 ", "EXECUTION "];
    assert_lines(&ran.stdout, &[&rows[..], &["1  workflow.started", "13  workflow.completed"]].concat());
    // How far it is, on a slow machine, but nothing of the router's log.
    assert!(!ran.stderr.contains("WARN") && !ran.stderr.contains("ERROR"), "{ran:#?}");
    let ran = thalweg.run(&["demo", "--claims", "40", "-o", "json"]).expect(0);
    assert!(ran.stderr.contains("In-process imitation of Kafka"), "{ran:#?}");
    assert_demo(&ran.document());
}

#[test]
fn the_demo_runs_on_a_given_kafka_as_often_as_one_likes() {
    let prefix = namespace("cli-demo");
    let arguments = ["demo", "--claims", "40", "-o", "json", "--brokers", broker().bootstrap(), "--namespace", &prefix];
    let runs = [(); 2].map(|()| {
        let ran = Thalweg::new(&[("THALWEG_PARTITIONS", "2")]).run(&arguments).expect(0);
        assert_demo(&ran.document());
        let namespace = ran.stderr.split_once(&format!("{prefix}-demo-")).map(|(_, rest)| rest[..8].to_owned());
        namespace.unwrap_or_else(|| panic!("no namespace is told: {ran:#?}"))
    });
    assert_ne!(runs[0], runs[1]);
}

#[test]
fn dev_serves_until_it_is_asked_to_stop() {
    let mut dev = Thalweg::new(&[]).spawn(&["dev", "--admin-addr", "127.0.0.1:0"], Stdio::null());
    let brokers = eventually_observed(DEADLINE, "the address of the broker", || {
        let told = dev.stdout();
        let line = told.lines().find_map(|line| line.strip_prefix("brokers ").map(|rest| rest.trim().to_owned()));
        line.filter(|_| told.contains("Ctrl-C ends it.")).ok_or(told)
    });
    let thalweg = Thalweg::new(&[("THALWEG_BROKERS", &brokers)]);
    let data = r#"{"claim_data": {"type": "car", "amount": 900, "description": "rear bumper"}}"#;
    let start = ["start", "--workflow", "insurance_claim", "--id", "claim-1", "--wait", "--data", data];
    assert_lines(&thalweg.table(&start), &["STATUS     SUCCESS"]);
    assert_eq!(thalweg.json(&["history", "claim-1"]).as_array().unwrap().len(), 11);
    assert_eq!(thalweg.json(&["get", "claim-1"])["context"]["status"], "SUCCESS");
    // What an imitation can't be asked for is no problem, and is told.
    let doctor = thalweg.run(&["doctor"]).expect(0);
    assert!(doctor.stdout.contains("these brokers list no groups"), "{doctor:#?}");
    dev.signal(Signal::INT);
    assert!(dev.wait_exit(DEADLINE).success());
    assert_eq!(dev.stderr(), "");
}

#[test]
fn executions_are_listed_and_waited_for() {
    let namespace = Namespace::new("cli-list");
    let thalweg = Thalweg::of(&namespace);
    assert_lines(&thalweg.table(&["list"]), &["no executions"]);
    let _router = RouterProcess::start(&namespace, "a");
    let start = |workflow: &str| json!({"event_type": "workflow.started", "workflow_id": workflow});
    namespace.send(&[("one", start("counter")), ("two", start("linear")), ("three", start("approval"))]);
    namespace.await_events(&["workflow.started"], 3);
    namespace.await_drained();
    assert_lines(&thalweg.table(&["list"]), &["EXECUTION"]);
    let ids = |more: &[&str]| {
        let listed = thalweg.json(&[&["list"], more].concat());
        let ids = listed.as_array().unwrap().iter().map(|one| one["execution_id"].as_str().unwrap().to_owned());
        ids.collect::<std::collections::BTreeSet<String>>()
    };
    assert_eq!(ids(&["--workflow", "counter"]), ["one".to_owned()].into());
    assert_eq!(ids(&["--status", "success"]), ["two".to_owned()].into());
    assert_eq!(ids(&["--max", "1"]).len(), 1);
    let table = thalweg.table(&["list", "--max", "1"]);
    assert!(table.contains("2 more"), "{table}");
    thalweg.run(&["list", "--status", "asleep"]).expect(2).names("LIMIT_EXCEEDED");

    let ended = thalweg.json(&["wait", "two"]);
    assert_eq!((&ended["status"], &ended["result"]["second"]["ran"]), (&json!("SUCCESS"), &json!(true)));
    thalweg.run(&["wait", "nobody"]).expect(3).names("EXECUTION_UNKNOWN");
    thalweg.run(&["wait", "one", "--timeout", "1"]).expect(1).names("has not ended in time");
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| thalweg.json(&["wait", "one"]));
        namespace.send(&[("one", json!({"event_type": "count.up"})), ("one", json!({"event_type": "count.stop"}))]);
        waiting.join().unwrap()
    });
    assert_eq!((&waiting["status"], &waiting["result"]), (&json!("SUCCESS"), &json!(1)));
}
