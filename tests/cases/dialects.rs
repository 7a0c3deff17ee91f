//! Dialects: producers of each format are pointed at the inbox as they are, with Kafka's own console producer, and what
//! they sent comes out of `tail --dialect` as they sent it.

use std::io::{Seek, Write};
use std::process::Stdio;

use serde_json::{Value, json};
use thalweg_core::{Event, WorkflowStatus};

use super::console_tools::readme_block;
use crate::command_line::Thalweg;
use crate::namespace::Namespace;
use crate::oracle::StillOpen;
use crate::router_process::RouterProcess;
use crate::support::{ConsoleProducer, broker};

/// Sends lines under a key, as `key|line`.
pub fn send_keyed(namespace: &Namespace, key: &str, lines: &[String]) {
    let lines: Vec<String> = lines.iter().map(|line| format!("{key}|{line}")).collect();
    ConsoleProducer::new(broker(), namespace.topics.inbox()).keyed("|").send(&lines);
}

/// What `tail --dialect` prints of an execution: so many documents.
pub fn tail(namespace: &Namespace, dialect: &str, execution: &str, count: usize) -> Vec<String> {
    let count = count.to_string();
    let arguments =
        ["tail", "all", "--from-beginning", "--execution", execution, "--dialect", dialect, "--max", &count];
    Thalweg::of(namespace).table(&arguments).lines().map(str::to_owned).collect()
}

/// Each of `sent` is among `printed`, with all that it says.
#[track_caller]
pub fn assert_came_back(printed: &[String], sent: &[String]) {
    let printed: Vec<Value> = printed.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in sent {
        let document: Value = serde_json::from_str(line).unwrap();
        let says = |other: &Value| document.as_object().unwrap().iter().all(|(name, value)| other[name] == *value);
        assert!(printed.iter().any(says), "{line} is not among {printed:#?}");
    }
}

pub fn root(namespace: &Namespace, execution: &str) -> thalweg_core::context::Context {
    let observed = namespace.oracle().read().unwrap();
    observed.root(execution).unwrap_or_else(|| panic!("{execution} has no context")).clone()
}

fn ends(events: &[Event], execution: &str) -> bool {
    events.iter().any(|event| event.execution_id == execution && event.event_type == "workflow.completed")
}

#[test]
fn workflow_events_start_and_drive_a_workflow() {
    let namespace = Namespace::new("dialect-workflow");
    let _router = RouterProcess::start(&namespace, "a");
    let event = |id: &str, event_type: &str, payload: &str, more: &str| {
        format!(
            r#"{{"event_id":"{id}","event_type":"{event_type}","workflow_instance_id":"claim-17","payload":{payload},"created_at":"2026-01-17T10:30:00.5Z","correlation_id":null,"priority":200{more}}}"#
        )
    };
    let start = event("w-1", "workflow.started", r#"{"seen":0}"#, r#","workflow_type":"counter""#);
    ConsoleProducer::new(broker(), namespace.topics.inbox()).send(std::slice::from_ref(&start));
    namespace.await_events(&["workflow.started"], 1);
    let rest = [event("w-2", "count.up", r#"{"by":1.50}"#, ""), event("w-3", "count.stop", "null", "")];
    send_keyed(&namespace, "claim-17", &rest);
    assert!(ends(&namespace.await_ended(1), "claim-17"));
    let printed = tail(&namespace, "workflow", "claim-17", 5);
    let up = printed.iter().find(|line| line.contains("w-2")).unwrap();
    assert!(up.contains(r#""payload":{"by":1.50}"#) && up.contains(r#""created_at":"2026-01-17T10:30:00.5Z""#), "{up}");
    let completed = printed.iter().find(|line| line.contains("workflow.completed")).unwrap();
    assert!(completed.contains(r#""workflow_instance_id":"claim-17""#), "{completed}");
    namespace.verify();
}

#[test]
fn soorma_envelopes_find_their_execution_by_its_correlation() {
    let namespace = Namespace::new("dialect-soorma");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("s-1", json!({"event_type": "workflow.started", "workflow_id": "counter"}))]);
    namespace.await_events(&["workflow.started"], 1);
    let envelope = |id: &str, event_type: &str, topic: &str| {
        format!(
            r#"{{"id":"{id}","event_type":"{event_type}","topic":"{topic}","timestamp":"2026-01-17T10:30:00Z","data":{{"cost":0.10}},"correlation_id":"s-1","trace_id":"t-1","tenant_id":"x","source":"planner","mood":"calm"}}"#
        )
    };
    let up = envelope("evt-1", "count.up", "action-requests");
    // S7: an unknown topic is rejected with the list of eight.
    let gossip = envelope("evt-2", "count.up", "gossip");
    ConsoleProducer::new(broker(), namespace.topics.inbox()).send(&[up.clone(), gossip]);
    namespace.await_events(&["count.up"], 1);
    let stop = envelope("evt-3", "count.stop", "business-facts");
    ConsoleProducer::new(broker(), namespace.topics.inbox()).send(std::slice::from_ref(&stop));
    let events = namespace.await_ended(1);
    let taken = events.iter().find(|event| event.event_id == "evt-1").unwrap();
    assert_eq!((taken.channel.as_str(), taken.trace_id.as_deref()), ("action-requests", Some("t-1")));
    assert_came_back(&tail(&namespace, "soorma", "s-1", 5), &[up, stop]);
    namespace.verify();
    let letters = namespace.read(namespace.topics.dead_letters());
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].headers["code"], "CHANNEL_UNKNOWN");
    assert!(letters[0].headers["message"].contains("notification-events"));
}

/// C3, and C1 for a workflow that runs here: a trigger starts it once.
#[test]
fn compozy_s_state_events_are_tracked_and_its_trigger_starts_a_workflow() {
    let namespace = Namespace::new("dialect-compozy");
    let _router = RouterProcess::start(&namespace, "a");
    let event = |id: &str, section: &str, payload: &str, subject: &str| {
        format!(
            r#"{{"metadata":{{"correlation_id":"c-1","event_id":"{id}","event_timestamp":"2025-05-13T20:00:15Z","source_component":"task.Executor"}},"workflow":{{"id":"onboarding","exec_id":"x-1"}}{section},"payload":{payload},"subject":"compozy.c-1.{subject}"}}"#
        )
    };
    let task = r#","task":{"id":"mail","exec_id":"mail-1"}"#;
    let sent = [
        event("1", "", r#"{"status":"RUNNING","context":{"input":{"to":"a"}}}"#, "workflow.evts.x-1.started"),
        event("2", task, r#"{"status":"RUNNING"}"#, "task.evts.mail-1.started"),
        event(
            "3",
            task,
            r#"{"status":"SUCCESS","result":{"output":{"n":1.0}},"duration_ms":42}"#,
            "task.evts.mail-1.success",
        ),
        event(
            "4",
            "",
            r#"{"status":"SUCCESS","result":{"output":{"sent":true}},"duration_ms":1234}"#,
            "workflow.evts.x-1.success",
        ),
    ];
    send_keyed(&namespace, "x-1", &sent);
    let events = namespace.await_ended(1);
    let end = events.iter().find(|event| event.event_type == "workflow.completed").unwrap();
    assert_eq!(end.payload_value(), json!({"sent": true}));
    let told = events.iter().find(|event| event.event_type == "report.workflow.success").unwrap();
    assert_eq!((told.duration_ms, told.status.as_deref()), (Some(1234.0), Some("SUCCESS")));
    assert_eq!(root(&namespace, "x-1").status, WorkflowStatus::Success);
    assert_came_back(&tail(&namespace, "compozy", "x-1", 5), &sent);

    let trigger = r#"{"metadata":{"correlation_id":"c-2","request_id":"r-1","event_timestamp":"2025-05-13T20:00:00Z","source_component":"api.Service"},"workflow":{"id":"linear"},"payload":{"context":{"input":{"n":1}}}}"#;
    send_keyed(&namespace, "x-2", &[trigger.to_owned()]);
    assert!(ends(&namespace.await_ended(2), "x-2"));
    namespace.verify();
}

/// D1 and D9 in an execution that was started to be tracked.
#[test]
fn dream_os_reports_move_a_tracked_execution() {
    let namespace = Namespace::new("dialect-dreamos");
    let _router = RouterProcess::start(&namespace, "a");
    let start = json!({"event_type": "workflow.started", "workflow_id": "elsewhere", "tracked": true});
    let event = |id: &str, event_type: &str, data: &str| {
        format!(
            r#"{{"event_type":"{event_type}","source_id":"Agent-3","data":{data},"timestamp":1747166415.1234567,"event_id":"{id}","correlation_id":"d-1"}}"#
        )
    };
    let sent = [
        event("1", "TASK_ACCEPTED", r#"{"task_id":"t-9","agent_id":"Agent-3","status":"ACCEPTED"}"#),
        event("2", "TASK_STARTED", r#"{"task_id":"t-9","agent_id":"Agent-3"}"#),
        event("3", "AGENT_ERROR", r#"{"agent_id":"Agent-3","task_id":"t-9"}"#),
        event("4", "TASK_PROGRESS", r#"{"task_id":"t-9","agent_id":"Agent-3","progress":0.50}"#),
        event("5", "TASK_COMPLETED", r#"{"task_id":"t-9","agent_id":"Agent-3","result":{"pages":12}}"#),
        event("6", "TASK_COMPLETED", r#"{"task_id":"t-9","agent_id":"Agent-3","result":{"pages":12}}"#),
    ];
    send_keyed(&namespace, "d-1", &[&[start.to_string()][..], &sent[..]].concat());
    let events = namespace.await_events(&["transition.rejected"], 1);
    assert!(events.iter().any(|event| event.event_type == "report.task.success"));
    let tracked = root(&namespace, "d-1").tracked.unwrap();
    assert_eq!((tracked[0].task_id.as_str(), tracked[0].status.as_str()), ("t-9", "SUCCESS"));
    let printed = tail(&namespace, "dreamos", "d-1", 7);
    assert_came_back(&printed, &sent[..5]);
    assert!(printed.iter().any(|line| line.contains(r#""timestamp":1747166415.1234567"#)), "{printed:#?}");
    namespace.verify_but(StillOpen::Any);
}

#[test]
fn jamjet_s_log_is_tracked_from_its_start_to_its_end() {
    let namespace = Namespace::new("dialect-jamjet");
    let _router = RouterProcess::start(&namespace, "a");
    let event = |sequence: u32, kind: &str| {
        format!(
            r#"{{"id":"00000000-0000-7000-8000-00000000000{sequence}","execution_id":"j-1","sequence":{sequence},"kind":{kind},"created_at":"2026-01-17T10:30:00.123456789Z"}}"#
        )
    };
    let sent = [
        event(
            1,
            r#"{"type":"workflow_started","workflow_id":"research","workflow_version":"0.3.0","initial_input":{"topic":"tides"}}"#,
        ),
        event(2, r#"{"type":"node_scheduled","node_id":"draft","queue_type":"model"}"#),
        event(3, r#"{"type":"node_started","node_id":"draft","worker_id":"w-1","attempt":1}"#),
        event(
            4,
            r#"{"type":"node_completed","node_id":"draft","output":{},"state_patch":{"draft":"x"},"duration_ms":12,"cost_usd":0.00030}"#,
        ),
        event(5, r#"{"type":"workflow_completed","final_state":{"draft":"x"}}"#),
    ];
    send_keyed(&namespace, "j-1", &sent);
    assert!(ends(&namespace.await_ended(1), "j-1"));
    assert_eq!(root(&namespace, "j-1").data, json!({"topic": "tides", "draft": "x"}));
    let printed = tail(&namespace, "jamjet", "j-1", 6);
    assert_came_back(&printed, &sent);
    assert!(printed.iter().any(|line| line.contains(r#""cost_usd":0.00030"#)), "{printed:#?}");
    // The engine's own word about the end, told as JamJet tells it.
    assert!(
        printed[5].contains(r#""type":"workflow_completed""#) && printed[5].contains("\"thalweg\""),
        "{}",
        printed[5]
    );
    namespace.verify();
}

/// S9, D5: a plan's tasks are counted by what has become of each, and a tool's result without its call is told.
#[test]
fn a_plan_that_is_worked_on_elsewhere_is_counted() {
    let namespace = Namespace::new("dialect-plan");
    let _router = RouterProcess::start(&namespace, "a");
    let start = json!({"event_type": "workflow.started", "workflow_id": "elsewhere", "tracked": true}).to_string();
    let envelope = |id: &str, event_type: &str, topic: &str, data: &str| {
        format!(
            r#"{{"id":"{id}","event_type":"{event_type}","topic":"{topic}","plan_id":"trip","correlation_id":"p-1","data":{data}}}"#
        )
    };
    let task = |id: &str, event_type: &str, task: &str| {
        envelope(id, event_type, "task-events", &format!(r#"{{"task_id":"{task}"}}"#))
    };
    let orphan = r#"{"event_type":"TOOL_RESULT","source_id":"a","event_id":"9","correlation_id":"p-1","timestamp":1.5,"data":{"tool_name":"grep"}}"#;
    let sent = [
        start,
        envelope("1", "plan.created", "plan-events", r#"{"tasks":["fly","sleep","eat","see"]}"#),
        task("2", "task.started", "fly"),
        task("3", "task.completed", "fly"),
        task("4", "task.started", "sleep"),
        task("5", "task.failed", "sleep"),
        task("3", "task.completed", "fly"),
        task("6", "task.started", "eat"),
        task("7", "task.completed", "eat"),
        orphan.to_owned(),
    ];
    send_keyed(&namespace, "p-1", &sent);
    let events = namespace.await_events(&["report.tool.result"], 1);
    let told = events.iter().rfind(|event| event.event_type == "plan.progressed").unwrap();
    assert_eq!(told.payload_value(), json!({"plan_id": "trip", "total": 4, "done": 2, "failed": 1, "open": 1}));
    assert_eq!(told.channel, "plan-events");
    let result = events.iter().find(|event| event.event_type == "report.tool.result").unwrap();
    assert_eq!(result.effects.iter().map(|effect| &*effect.kind).collect::<Vec<_>>(), ["orphan"]);
    let table = Thalweg::of(&namespace).table(&["get", "p-1"]);
    let row = table.lines().find(|line| line.starts_with("trip")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["trip", "4", "2", "1", "1"], "{table}");
    namespace.verify_but(StillOpen::Any);
}

/// Structured, and in headers.
#[test]
fn cloud_events_in_both_modes() {
    let namespace = Namespace::new("dialect-cloudevents");
    let _router = RouterProcess::start(&namespace, "a");
    let start = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"workflow.started","executionid":"ce-1","workflowid":"counter","data":{"seen":0}}"#;
    ConsoleProducer::new(broker(), namespace.topics.inbox()).send(&[start]);
    namespace.await_events(&["workflow.started"], 1);
    let headers = |id: &str, event_type: &str| {
        format!(
            "ce_specversion=1.0,ce_id={id},ce_source=/shop,ce_type={event_type},ce_executionid=ce-1,content-type=application/json"
        )
    };
    let binary = |line: String| {
        ConsoleProducer::new(broker(), namespace.topics.inbox())
            .reader_property("parse.headers", "true")
            .reader_property("headers.key.separator", "=")
            .send(&[line]);
    };
    binary(format!("{}\t{{\"by\":1.50}}", headers("2", "count.up")));
    namespace.await_events(&["count.up"], 1);
    binary(format!("{}\tnull", headers("3", "count.stop")));
    assert!(ends(&namespace.await_ended(1), "ce-1"));
    let printed = tail(&namespace, "cloudevents", "ce-1", 5);
    assert_came_back(&printed, &[start.to_owned()]);
    assert!(printed.iter().any(|line| line.contains(r#""type":"count.up""#) && line.contains(r#""data":{"by":1.50}"#)));
    namespace.verify();
}

#[test]
fn a_record_of_two_shapes_is_refused_until_a_header_says_which_it_is() {
    let namespace = Namespace::new("dialect-two");
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "counter"}))]);
    let two = json!({"event_type": "count.up", "topic": "business-facts", "id": "1", "data": {}, "source_id": "x"});
    let value = two.to_string().into_bytes();
    namespace.send_raw(&[(Some("e"), value.clone())], &[]);
    namespace.send_raw(&[(Some("e"), value)], &[("thalweg-dialect", "soorma")]);
    namespace.send(&[("e", json!({"event_type": "count.stop"}))]);
    let events = namespace.await_ended(1);
    assert_eq!(events.iter().filter(|event| event.event_type == "count.up").count(), 1);
    namespace.verify();
    let letters = namespace.read(namespace.topics.dead_letters());
    let [letter] = letters.as_slice() else { panic!("{letters:#?}") };
    assert_eq!(letter.headers["code"], "EVENT_INVALID");
    assert!(letter.headers["message"].contains("soorma") && letter.headers["message"].contains("dreamos"));
}

fn input(text: &str) -> Stdio {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file.into()
}

#[test]
fn convert_reads_documents_and_prints_each_on_a_line() {
    let thalweg = Thalweg::new(&[]);
    let example = readme_block("convert").join(" ");
    let (command, document) = example.split_once("<<< '").unwrap();
    let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
    let shown = thalweg.run_with(&arguments, input(document.trim_end_matches('\''))).expect(0).document();
    assert_eq!((&shown["event_type"], &shown["status"]), (&json!("report.task.success"), &json!("SUCCESS")));

    let two = "{\"id\":\"1\",\"event_type\":\"order.placed\",\"topic\":\"business-facts\",\n \"timestamp\":\"2026-01-17T10:30:00Z\",\"data\":{\"cost\": 1.50},\"new\":1e400}\n{\"id\":\"2\",\"event_type\":\"order.placed\",\"topic\":\"business-facts\",\"data\":{}}";
    let native = thalweg.run_with(&["convert", "--from", "soorma", "--to", "native"], input(two)).expect(0).stdout;
    assert_eq!(native.lines().count(), 2, "{native}");
    assert!(native.contains(r#""payload":{"cost":1.50}"#) && native.contains("1e400"), "{native}");
    let back = thalweg.run_with(&["convert", "--from", "native", "--to", "soorma"], input(&native)).expect(0).stdout;
    let first = r#"{"id":"1","event_type":"order.placed","topic":"business-facts","timestamp":"2026-01-17T10:30:00Z","data":{"cost":1.50},"new":1e400}"#;
    assert_eq!(back.lines().next(), Some(first));

    let bad = "{\"event_type\":\"a\",\"source_id\":\"x\",\"data\":{},\"timestamp\":1.5}\n{\"event_type\":\"a\",\"source_id\":7}";
    let ran = thalweg.run_with(&["convert", "--from", "dreamos", "--to", "jamjet"], input(bad)).expect(1);
    ran.names("EVENT_INVALID: document 2").expect(1);
    thalweg.run_with(&["convert", "--from", "soorma", "--to", "native"], input("{")).expect(1).names("DECODE_FAILED");
    let ran = thalweg.run_with(&["convert", "--from", "latin", "--to", "native"], input("")).expect(2);
    assert!(ran.stderr.contains("the dialects are compozy"), "{}", ran.stderr);
}
