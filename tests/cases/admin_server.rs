//! /metrics, /livez and /readyz of a router.

use serde_json::json;

use crate::http::get;
use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::eventually_observed;

/// The value of a series.
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |text| text.parse().unwrap())
}

#[test]
fn metrics_tell_what_was_committed_and_health_turns_green() {
    let namespace = Namespace::new("metrics");
    let router = RouterProcess::start(&namespace, "a");
    let addr = router.admin_addr();
    eventually_observed(DEADLINE, "/readyz", || match get(&addr, "/readyz") {
        (200, _) => Ok(()),
        (code, body) => Err(format!("{code} {body}")),
    });
    assert_eq!(get(&addr, "/livez").0, 200);
    let start = json!({"event_id": "s", "event_type": "workflow.started", "workflow_id": "checks"});
    namespace.send(&[("e", start.clone()), ("e", start), ("x", json!({"event_type": "claim.amended"}))]);
    namespace.await_events(&["checks.joined"], 1);
    namespace.await_drained();
    let wanted = [
        ("thalweg_inputs_total{result=\"applied\"}", 1.0),
        ("thalweg_inputs_total{result=\"duplicate\"}", 1.0),
        ("thalweg_inputs_total{result=\"dead_lettered\"}", 1.0),
        ("thalweg_dead_letters_total{code=\"EXECUTION_UNKNOWN\"}", 1.0),
        ("thalweg_executions_open", 1.0),
        ("thalweg_joins_total{outcome=\"JOINED\",policy=\"all\"}", 1.0),
        ("thalweg_lag{partition=\"0\"}", 0.0),
        ("thalweg_scopes_open", 0.0),
    ];
    eventually_observed(DEADLINE, "the metrics", || {
        let metrics = get(&addr, "/metrics").1;
        let wrong: Vec<String> = wanted
            .iter()
            .filter(|(series, wanted)| value(&metrics, series) != *wanted)
            .map(|(series, wanted)| format!("{series} is {} instead of {wanted}", value(&metrics, series)))
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", ")) }
    });
}
