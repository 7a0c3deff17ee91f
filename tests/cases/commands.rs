//! Commands to executions, from the inbox and from the command line.

use serde_json::json;
use thalweg_core::Event;

use crate::command_line::{Thalweg, assert_lines};
use crate::namespace::{DEADLINE, Namespace};
use crate::oracle::StillOpen;
use crate::router_process::RouterProcess;
use crate::support::eventually_observed;

fn start(id: &str) -> (&str, serde_json::Value) {
    (id, json!({"event_type": "workflow.started", "workflow_id": "office"}))
}

fn types(history: &[Event]) -> Vec<&str> {
    history.iter().map(|event| event.event_type.as_str()).collect()
}

/// C5: nothing is dispatched while an execution is PAUSED; another router keeps the pause.
#[test]
fn a_paused_execution_takes_in_and_routes_nothing_until_it_is_resumed() {
    let namespace = Namespace::with("pause", |_| {});
    let thalweg = Thalweg::of(&namespace);
    let router = RouterProcess::start(&namespace, "a");
    namespace.send(&[start("e")]);
    namespace.await_events(&["workflow.started"], 1);
    let table = thalweg.table(&["pause", "e", "--reason", "the desk is closed"]);
    assert_lines(&table, &["EXECUTION  e", "STATUS     PAUSED"]);
    namespace.send(&[("e", json!({"event_type": "form.filled"}))]);
    namespace.await_events(&["form.filled"], 1);
    drop(router);
    let _router = RouterProcess::start(&namespace, "b");
    namespace.send(&[("e", json!({"event_type": "note.taken"}))]);
    namespace.await_events(&["note.taken"], 1);
    assert!(!types(&namespace.history("e")).contains(&"stamp.requested"), "it was dispatched");
    assert_eq!(thalweg.json(&["get", "e"])["context"]["status"], "PAUSED");
    namespace.verify_but(StillOpen::Any);

    thalweg.run(&["pause", "e"]).expect(1).names("TRANSITION_REJECTED: the execution is PAUSED");
    let rejected = thalweg.run(&["pause", "e"]).expect(1);
    assert!(
        rejected.stderr.contains(
            "what it takes now: workflow.cancel.requested, workflow.resume.requested, task.trigger.requested"
        )
    );
    let resumed = thalweg.json(&["resume", "e"]);
    assert_eq!((&resumed["status"], &resumed["event_type"]), (&json!("RUNNING"), &json!("workflow.resumed")));
    namespace.await_events(&["stamp.requested"], 1);
    namespace.send(&[("e", json!({"event_type": "close"}))]);
    let ended = namespace.await_ended(1);
    let completed = ended.iter().find(|event| event.event_type == "workflow.completed").unwrap();
    assert_eq!(completed.payload_value(), json!({"stamped": true}));
    namespace.verify();
    let history = namespace.history("e");
    let paused = history.iter().find(|event| event.event_type == "workflow.paused").unwrap();
    assert_eq!(paused.payload_value(), json!({"reason": "the desk is closed"}));
}

#[test]
fn an_execution_is_canceled_and_takes_nothing_more() {
    let namespace = Namespace::with("cancel", |_| {});
    let thalweg = Thalweg::of(&namespace);
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[start("e"), start("f")]);
    namespace.await_events(&["workflow.started"], 2);
    // As a client of any kind asks for it.
    namespace.send(&[("f", json!({"event_type": "workflow.cancel.requested"}))]);
    let canceled = thalweg.json(&["cancel", "e", "--reason", "not needed"]);
    assert_eq!((&canceled["status"], &canceled["reason"]), (&json!("CANCELED"), &json!("not needed")));
    namespace.await_ended(2);
    let last = namespace.history("e").pop().unwrap();
    assert_eq!((last.event_type.as_str(), last.status.as_deref()), ("workflow.canceled", Some("CANCELED")));
    assert_eq!(last.payload_value(), json!({"reason": "not needed"}));

    thalweg.run(&["cancel", "e"]).expect(1).names("TRANSITION_REJECTED: the execution is closed (CANCELED)");
    thalweg.run(&["resume", "f"]).expect(1).names("TRANSITION_REJECTED");
    thalweg.run(&["cancel", "nobody"]).expect(3).names("EXECUTION_UNKNOWN");
    thalweg.run(&["cancel", ""]).expect(2);
    let wait = ["start", "--workflow", "office", "--id", "g", "--wait"];
    namespace.await_drained();
    let rejected = namespace.events().into_iter().filter(|event| event.event_type == "transition.rejected").count();
    assert_eq!(rejected, 2);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| thalweg.run(&wait));
        eventually_observed(DEADLINE, "a third start", || {
            let starts = types(&namespace.events()).iter().filter(|t| **t == "workflow.started").count();
            if starts == 3 { Ok(()) } else { Err(starts) }
        });
        thalweg.run(&["cancel", "g"]).expect(0);
        waiting.join().unwrap().expect(1).names("canceled");
    });
    namespace.verify();
}

#[test]
fn a_task_is_resumed_and_triggered_by_its_name() {
    let namespace = Namespace::new("task-commands");
    let _router = RouterProcess::start(&namespace, "a");
    let command = |event_type: &str, task: &str| json!({"event_type": event_type, "payload": {"task_id": task}});
    namespace.send(&[
        start("e"),
        ("e", command("task.resume.requested", "nobody")),
        ("e", command("task.resume.requested", "open")),
        ("e", command("task.trigger.requested", "close")),
    ]);
    namespace.await_ended(1);
    let history = namespace.history("e");
    let types = types(&history);
    let expected = [
        "workflow.started",
        "task.resume.requested",
        "stamp.requested",
        "task.trigger.requested",
        "workflow.completed",
    ];
    assert_eq!(types.iter().filter(|known| **known != "transition.rejected").copied().collect::<Vec<_>>(), expected);
    let rejected = history.iter().find(|event| event.event_type == "transition.rejected").unwrap();
    assert_eq!(rejected.payload_value()["reason"], "task \"nobody\" waits for nothing");
    namespace.verify();
}
