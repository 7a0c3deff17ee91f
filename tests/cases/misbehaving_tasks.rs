//! A task that fails, panics, blocks or never returns fails alone.

use serde_json::json;
use thalweg_core::codec::Schemas;

use crate::namespace::Namespace;
use crate::router_process::RouterProcess;

#[test]
fn a_misbehaving_task_fails_its_execution_and_nothing_else() {
    let namespace = Namespace::new("misbehaving");
    let _router = RouterProcess::start(&namespace, "a");
    let ways =
        [("panic", "TASK_PANICKED"), ("block", "TASK_TIMED_OUT"), ("await", "TASK_TIMED_OUT"), ("fail", "TASK_FAILED")];
    for (way, _) in ways {
        namespace.send(&[
            (way, json!({"event_type": "workflow.started", "workflow_id": "misbehaving", "payload": {"way": way}})),
            (&format!("good-{way}"), json!({"event_type": "workflow.started", "workflow_id": "linear"})),
        ]);
    }
    let events = namespace.await_ended(2 * ways.len());
    namespace.verify();
    let letters = namespace.read(namespace.topics.dead_letters());
    assert_eq!(letters.len(), ways.len());
    let schemas = Schemas::new().unwrap();
    for (way, code) in ways {
        let failed = events.iter().find(|e| e.execution_id == way && e.event_type == "workflow.failed").unwrap();
        assert_eq!(failed.error.as_ref().unwrap().code.as_deref(), Some(code), "{way}");
        let start = events.iter().find(|e| e.execution_id == way && e.event_type == "workflow.started").unwrap();
        let patches: Vec<_> = start.effects.iter().filter(|effect| effect.kind == "patch").collect();
        assert_eq!(patches.len(), 1, "{way}: what the other task did stands");
        assert_eq!(patches[0].json.value(), json!({"well": true}), "{way}: what the failing task did is undone");
        let letter = letters.iter().find(|read| read.key.as_deref() == Some(way.as_bytes())).unwrap();
        assert_eq!(letter.headers["code"], code, "{way}");
        assert_eq!(letter.headers["task"], "misbehaving", "{way}");
        assert!(letter.headers["origin"].starts_with(namespace.topics.inbox()), "{way}");
        assert!(!letter.headers.contains_key("input"), "{way}: the input itself was applied");
        assert!(schemas.read_inbox(letter.value.as_ref().unwrap()).is_ok(), "{way}: the original bytes");
        assert!(events.iter().any(|e| e.execution_id == format!("good-{way}") && e.event_type == "workflow.completed"));
    }
}
