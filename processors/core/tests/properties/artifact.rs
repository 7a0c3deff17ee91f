//! Values that are kept elsewhere are referred to, and what is too large for an event says so.

use serde_json::{Value, json};
use thalweg_core::inbound::STARTED;
use thalweg_core::limits::{ARTIFACT_URI_MAX_BYTES, ARTIFACTS_MAX};
use thalweg_core::{Artifact, ErrorCode, Limits, NewEvent, Outcome, Workflow, Workflows};

use crate::memory_router::MemoryRouter;
use crate::timers::{doing, start};

/// Emits what data asks for, and completes with what it reads of it.
fn workflows() -> Workflows {
    let begin = doing("begin", STARTED, |event, context| {
        let count = context.data["count"].as_u64().unwrap_or(1) as usize;
        let uri = context.data["uri"].as_str().map_or_else(|| Artifact::of(event)[0].uri.clone(), str::to_owned);
        let scan = Artifact { media_type: Some("image/png".to_owned()), bytes: Some(7_000_000), ..Artifact::at(&uri) };
        let made = vec![scan; count].into_iter().fold(NewEvent::new("made", json!({})), NewEvent::artifact);
        Ok(Outcome::new().emit(made))
    });
    let made = doing("made", "made", |event, _| {
        Ok(Outcome::new().emit(NewEvent::new("told", json!({}))).complete(json!(Artifact::of(event))))
    });
    Workflows::new().with(Workflow::new("w", "1").task(begin).task(made))
}

fn run(start: &Value) -> crate::memory_router::Log {
    let workflows = workflows();
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, start);
    router.commit();
    router.assert_folded("e");
    router.log("e").clone()
}

#[test]
fn a_reference_comes_in_goes_on_and_is_not_passed_on_unasked() {
    let mut start = start("e");
    start["artifacts"] = json!([{"uri": "s3://claims/scan-1.png", "sha256": "ab"}]);
    let log = run(&start);
    let told = json!([{"uri": "s3://claims/scan-1.png", "media_type": "image/png", "bytes": 7_000_000}]);
    assert_eq!(log.published.last().unwrap().payload_value(), told);
    let refers: Vec<usize> = log.published.iter().map(|event| Artifact::of(event).len()).collect();
    assert_eq!((log.types(), refers), (vec![STARTED, "made", "told", "workflow.completed"], vec![1, 1, 0, 0]));
}

#[test]
fn references_have_limits() {
    for data in [
        json!({"uri": "x".repeat(ARTIFACT_URI_MAX_BYTES + 1)}),
        json!({"uri": "x", "count": ARTIFACTS_MAX + 1}),
        json!({"uri": ""}),
    ] {
        let mut start = start("e");
        start["payload"] = data;
        let log = run(&start);
        assert!(log.dead_letters[0].message.contains("artifacts: "), "{:?}", log.dead_letters);
    }
}

#[test]
fn a_payload_that_is_too_large_says_what_to_do() {
    let begin =
        doing("begin", STARTED, |_, _| Ok(Outcome::new().emit(NewEvent::new("made", json!("x".repeat(600_000))))));
    let workflows = Workflows::new().with(Workflow::new("w", "1").task(begin));
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, &start("e"));
    let letter = &router.log("e").dead_letters[0];
    assert_eq!(letter.code, ErrorCode::ResultTooLarge);
    assert!(letter.message.contains("payload.max.bytes") && letter.message.contains("artifacts"), "{}", letter.message);
}
