//! Waits end once, on real Kafka.

use serde_json::{Value, json};
use thalweg_core::Channel;
use thalweg_core::timer::WAITING_TIMED_OUT;

use crate::load::borrowed;
use crate::namespace::{DEADLINE, Namespace, one_topic};
use crate::router_process::RouterProcess;
use crate::support::Signal;

fn start(ms: u64, default: bool) -> Value {
    let payload = json!({"ms": ms, "default": default});
    json!({"event_type": "workflow.started", "workflow_id": "patient", "payload": payload})
}

/// C7: a wait times out after 2 s: it is told, the execution fails, one alert is raised.
#[test]
fn a_wait_that_times_out_fails_its_execution_with_one_alert() {
    let namespace = Namespace::with("wait-timeout", |config| {
        one_topic(config);
        config.channels.remove(&Channel::NotificationEvents);
    });
    let _router = RouterProcess::start(&namespace, "a");
    namespace.send(&[("e", start(2_000, false))]);
    namespace.await_ended(1);
    let history = namespace.history("e");
    let types: Vec<&str> = history.iter().map(|event| event.event_type.as_str()).collect();
    let expected = ["workflow.started", "timer.fired", WAITING_TIMED_OUT, "alert.raised", "workflow.failed"];
    assert_eq!(types, expected);
    let recorded = |place: usize| history[place].recorded_at.unwrap();
    assert!(recorded(2) - recorded(0) >= 2_000_000, "never early");
    assert_eq!(namespace.read(namespace.topics.channel(Channel::NotificationEvents)).len(), 1);
    namespace.verify();
}

/// Answers that come about when the time is over: each execution goes one way, and no other.
#[test]
fn an_answer_at_the_instant_of_the_timeout_has_one_winner() {
    const EXECUTIONS: usize = 100;
    let namespace = Namespace::new("wait-instant");
    let _router = RouterProcess::start(&namespace, "a");
    let id = |number: usize| format!("e-{number}");
    let starts: Vec<(String, Value)> = (0..EXECUTIONS).map(|number| (id(number), start(400, true))).collect();
    namespace.send(&borrowed(&starts));
    namespace.await_events(&["workflow.started"], EXECUTIONS);
    for part in 0..10 {
        let answers: Vec<(String, Value)> = (0..EXECUTIONS)
            .filter(|number| number % 10 == part)
            .map(|number| (id(number), json!({"event_type": "answer", "event_id": format!("answer-{number}")})))
            .collect();
        namespace.send(&borrowed(&answers));
    }
    namespace.await_ended(EXECUTIONS);
    for number in 0..EXECUTIONS {
        let history = types_of(&namespace, &id(number));
        let timed_out = history.iter().any(|event_type| event_type == WAITING_TIMED_OUT);
        let answered = history.iter().any(|event_type| event_type == "answer");
        assert!(timed_out != answered, "{history:?}");
    }
    namespace.verify();
}

fn types_of(namespace: &Namespace, id: &str) -> Vec<String> {
    let numbered = namespace.history(id).into_iter().filter(|event| event.sequence > 0);
    numbered.map(|event| event.event_type).collect()
}

/// What is said before it is asked for is kept, across a restart, and is the answer; what is said again comes too late.
#[test]
fn an_answer_before_its_wait_is_delivered_once() {
    let namespace = Namespace::new("wait-early");
    let mut first = RouterProcess::start(&namespace, "a");
    let given =
        |number: u64| json!({"event_type": "approval.given", "event_id": number.to_string(), "payload": number});
    namespace.send(&[
        ("e", json!({"event_type": "workflow.started", "workflow_id": "approval"})),
        ("e", given(1)),
        ("e", given(2)),
        ("e", given(1)),
    ]);
    namespace.await_drained();
    first.process.signal(Signal::KILL);
    first.process.wait_exit(DEADLINE);
    let _second = RouterProcess::start(&namespace, "b");
    namespace.send(&[("e", json!({"event_type": "approval.asked"}))]);
    namespace.await_ended(1);
    let history = namespace.history("e");
    assert_eq!(history.last().unwrap().payload_value(), 1);
    assert_eq!(history.iter().filter(|event| event.event_type == "approval.given").count(), 1);
    let summary = namespace.verify();
    assert_eq!((summary.duplicates, summary.rejected), (1, 1));
}
