//! Tasks that fail are tried again, on real Kafka.

use serde_json::{Value, json};
use thalweg_core::retry::{self, PERMANENTLY_FAILED, SCHEDULED};
use thalweg_core::{Event, WorkflowStatus};

use crate::command_line::Thalweg;
use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::Signal;

fn start(id: &str, works_at: i64) -> (&str, Value) {
    (id, json!({"event_type": "workflow.started", "workflow_id": "flaky", "payload": {"works_at": works_at}}))
}

fn count(events: &[Event], event_type: &str) -> usize {
    events.iter().filter(|event| event.event_type == event_type).count()
}

/// J7: the delay is kept, also where another router takes over meanwhile.
#[test]
fn a_retry_keeps_its_delay_across_a_restart() {
    let namespace = Namespace::new("retry-restart");
    let mut first = RouterProcess::start(&namespace, "a");
    namespace.send(&[start("e", 4)]);
    namespace.await_events(&[SCHEDULED], 1);
    first.process.signal(Signal::KILL);
    first.process.wait_exit(DEADLINE);
    let _second = RouterProcess::start(&namespace, "b");
    namespace.await_ended(1);
    let history = namespace.history("e");
    assert_eq!((count(&history, SCHEDULED), count(&history, "task.failed")), (3, 3));
    let scheduled = history.iter().filter(|event| event.event_type == SCHEDULED);
    let started = history.iter().filter(|event| event.event_type == retry::STARTED);
    for (scheduled, started) in scheduled.zip(started) {
        let delay_ms = scheduled.payload_value()["delay_ms"].as_i64().unwrap();
        assert!(started.recorded_at.unwrap() >= scheduled.recorded_at.unwrap() + delay_ms * 1000, "never early");
        assert_eq!(scheduled.attempt, started.attempt);
    }
    let end = history.last().unwrap().payload_value();
    assert_eq!(end, json!({"works_at": 4, "beside": 1, "attempt": 4}));
    namespace.verify();
}

/// D3: failed four times with at most 3 retries: one PERMANENTLY_FAILED; its redrive has a fresh series of attempts.
#[test]
fn a_task_that_gave_up_is_told_once_and_can_be_redriven() {
    let namespace = Namespace::new("retry-gives-up");
    let thalweg = Thalweg::of(&namespace);
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[start("e", 5)]);
    namespace.await_events(&["workflow.failed"], 1);
    let history = namespace.history("e");
    let counts = ["task.failed", SCHEDULED, PERMANENTLY_FAILED].map(|event_type| count(&history, event_type));
    assert_eq!(counts, [4, 3, 1]);
    let letters = namespace.read(namespace.topics.dead_letters());
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].headers["attempts"].as_str(), letters[0].headers["task"].as_str()), ("4", "flaky"));
    namespace.verify();

    thalweg.json(&["dead-letters", "redrive", "--task", "flaky", "--execute"]);
    namespace.await_events(&["workflow.failed"], 2);
    let history = namespace.history("e");
    let counts = ["task.failed", SCHEDULED, PERMANENTLY_FAILED].map(|event_type| count(&history, event_type));
    assert_eq!(counts, [8, 6, 2]);
    assert_eq!(namespace.verify().in_status(WorkflowStatus::Failed), 1);
}

/// An attempt that takes too long is one, a code may be final, and all attempts together have their time.
#[test]
fn attempts_have_limits_beside_their_number() {
    let namespace = Namespace::new("retry-limits");
    let _router = RouterProcess::start(&namespace, "a");
    let start = || json!({"event_type": "workflow.started", "workflow_id": "strict"});
    let asked = |task: &str| json!({"event_type": format!("{task}.asked")});
    let tasks = ["slow", "stern", "hurried"];
    let sent: Vec<(&str, Value)> = tasks.iter().flat_map(|task| [(*task, start()), (*task, asked(task))]).collect();
    namespace.send(&sent);
    namespace.await_ended(tasks.len());
    let told = tasks.map(|task| {
        let history = namespace.history(task);
        let failed = history.iter().filter(|event| event.event_type == "task.failed");
        let codes: Vec<String> = failed.map(|event| event.error.clone().unwrap().code.unwrap()).collect();
        assert_eq!(count(&history, SCHEDULED), codes.len() - 1, "{task}");
        assert_eq!(count(&history, PERMANENTLY_FAILED), 1, "{task}");
        codes
    });
    assert_eq!(told[0], ["TASK_TIMED_OUT"; 2]);
    assert_eq!(told[1], ["TASK_FAILED"]);
    // 20 ms lie between two attempts, and 150 ms are all that there is.
    assert!((1..20).contains(&told[2].len()) && told[2].iter().all(|code| code == "TASK_FAILED"), "{:?}", told[2]);
    assert_eq!(namespace.verify().in_status(WorkflowStatus::Failed), tasks.len());
}
