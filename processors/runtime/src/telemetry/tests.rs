use thalweg_core::{
    Event, JoinPolicy, Outcome, Pattern, ScopeStatus, Task, TaskContext, TaskError, Workflow, WorkflowStatus,
    async_trait,
};

use super::*;

struct Assess;

#[async_trait]
impl Task for Assess {
    fn task_id(&self) -> &str {
        "assess"
    }

    fn handles_events(&self) -> &[Pattern] {
        &[]
    }

    async fn handle_event(&self, _: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        Err(TaskError::new("UNUSED", "never called"))
    }
}

/// Metrics of their own, so that tests which run side by side don't count for each other.
fn metrics() -> Metrics {
    let metrics = Metrics::new().unwrap();
    metrics.register(&Workflows::new().with(Workflow::new("claim", "1").task(Assess)));
    metrics
}

fn assert_has(metrics: &Metrics, line: &str) {
    let text = metrics.text().unwrap();
    assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
}

#[test]
fn every_metric_is_there_before_anything_occurs() {
    let metrics = metrics();
    LagSeen { partition: 0, lag: 0 }.record(&metrics);
    let text = metrics.text().unwrap();
    for name in [
        "events_total",
        "inputs_total",
        "executions_total",
        "executions_open",
        "execution_seconds",
        "task_seconds",
        "joins_total",
        "scopes_open",
        "timers_pending",
        "transactions_total",
        "transaction_seconds",
        "transaction_inputs",
        "dead_letters_total",
        "lag",
        "restore_seconds",
        "stalled_total",
        "contexts_bytes",
    ] {
        assert!(text.contains(&format!("# TYPE thalweg_{name} ")), "{name} is not in\n{text}");
    }
    for result in ["applied", "duplicate", "rejected", "dead_lettered", "forwarded"] {
        assert_has(&metrics, &format!("thalweg_inputs_total{{result=\"{result}\"}} 0"));
    }
}

#[test]
fn closed_sets_are_in_the_order_of_their_series() {
    assert!(INPUT_RESULTS.iter().enumerate().all(|(i, &result)| result as usize == i));
    assert!(TRANSACTION_OUTCOMES.iter().enumerate().all(|(i, &outcome)| outcome as usize == i));
    assert!(Channel::ALL.iter().enumerate().all(|(i, &channel)| channel as usize == i));
    assert!(ErrorCode::ALL.iter().enumerate().all(|(i, &code)| code as usize == i));
    assert!(WorkflowStatus::ALL.iter().enumerate().all(|(i, &status)| status as usize == i));
}

#[test]
fn occurrences_count_in_their_series() {
    let metrics = metrics();
    EventPublished { channel: Channel::PlanEvents, count: 3 }.record(&metrics);
    InputHandled { result: InputResult::Forwarded, count: 2 }.record(&metrics);
    ExecutionStarted { workflow: "claim" }.record(&metrics);
    ExecutionClosed { workflow: "claim", status: WorkflowStatus::Failed, seconds: 0.2 }.record(&metrics);
    ExecutionStalled { workflow: "claim", execution_id: "e" }.record(&metrics);
    TaskRan { task: "assess", failure: None, seconds: 0.1 }.record(&metrics);
    TaskRan { task: "assess", failure: Some(ErrorCode::TaskPanicked), seconds: 0.1 }.record(&metrics);
    ScopeJoined { policy: JoinPolicy::All, outcome: ScopeStatus::Joined, canceled: false }.record(&metrics);
    ScopeJoined { policy: JoinPolicy::Quorum(7), outcome: ScopeStatus::Failed, canceled: true }.record(&metrics);
    EventLate { execution_id: "e" }.record(&metrics);
    ToolResultOrphaned { execution_id: "e" }.record(&metrics);
    DeadLettered { code: ErrorCode::DecodeFailed, input: Some("thalweg.inbox/0/7"), task: None }.record(&metrics);
    PartitionRestored { partition: 0, contexts: 5, seconds: 1.5 }.record(&metrics);
    for line in [
        "thalweg_events_total{channel=\"plan-events\"} 3",
        "thalweg_inputs_total{result=\"forwarded\"} 2",
        "thalweg_executions_total{status=\"RUNNING\",workflow=\"claim\"} 1",
        "thalweg_executions_total{status=\"FAILED\",workflow=\"claim\"} 1",
        "thalweg_executions_total{status=\"SUCCESS\",workflow=\"claim\"} 0",
        "thalweg_execution_seconds_count{workflow=\"claim\"} 1",
        "thalweg_stalled_total 1",
        "thalweg_task_seconds_count{outcome=\"SUCCESS\",task=\"assess\"} 1",
        "thalweg_task_seconds_count{outcome=\"TASK_PANICKED\",task=\"assess\"} 1",
        "thalweg_joins_total{outcome=\"JOINED\",policy=\"all\"} 1",
        "thalweg_joins_total{outcome=\"FAILED\",policy=\"all\"} 0",
        "thalweg_joins_total{outcome=\"CANCELED\",policy=\"quorum\"} 1",
        "thalweg_late_events_total 1",
        "thalweg_orphan_tool_results_total 1",
        "thalweg_dead_letters_total{code=\"DECODE_FAILED\"} 1",
        "thalweg_restore_seconds_sum 1.5",
    ] {
        assert_has(&metrics, line);
    }
}

#[test]
fn only_committed_transactions_count_their_inputs() {
    let metrics = metrics();
    for outcome in TRANSACTION_OUTCOMES {
        TransactionEnded { outcome, seconds: 0.01, inputs: 40 }.record(&metrics);
    }
    assert_has(&metrics, "thalweg_transactions_total{outcome=\"unknown\"} 1");
    assert_has(&metrics, "thalweg_transaction_seconds_count 3");
    assert_has(&metrics, "thalweg_transaction_inputs_count 1");
    assert_has(&metrics, "thalweg_transaction_inputs_sum 40");
}

#[test]
fn names_that_are_not_registered_share_one_label() {
    let metrics = metrics();
    let before = metrics.text().unwrap().lines().count();
    for n in 0..100 {
        let name = format!("surprise-{n}");
        ExecutionStarted { workflow: &name }.record(&metrics);
        ExecutionClosed { workflow: &name, status: WorkflowStatus::Success, seconds: 1.0 }.record(&metrics);
        TaskRan { task: &name, failure: None, seconds: 1.0 }.record(&metrics);
    }
    assert_eq!(metrics.text().unwrap().lines().count(), before);
    assert_has(&metrics, "thalweg_executions_total{status=\"SUCCESS\",workflow=\"unregistered\"} 100");
}

#[test]
fn gauges_are_sums_over_the_partitions_that_are_assigned() {
    let metrics = metrics();
    PartitionGauges { partition: 0, open: 5, scopes: 1, timers: 3, bytes: 100 }.record(&metrics);
    PartitionGauges { partition: 1, open: 7, scopes: 2, timers: 4, bytes: 200 }.record(&metrics);
    PartitionGauges { partition: 0, open: 4, scopes: 0, timers: 1, bytes: 80 }.record(&metrics);
    LagSeen { partition: 0, lag: 9 }.record(&metrics);
    LagSeen { partition: 1, lag: 3 }.record(&metrics);
    assert_has(&metrics, "thalweg_executions_open 11");
    assert_has(&metrics, "thalweg_scopes_open 2");
    assert_has(&metrics, "thalweg_timers_pending 5");
    assert_has(&metrics, "thalweg_contexts_bytes 280");

    PartitionRevoked { partition: 0 }.record(&metrics);
    PartitionRevoked { partition: 0 }.record(&metrics);
    assert_has(&metrics, "thalweg_executions_open 7");
    assert_has(&metrics, "thalweg_contexts_bytes 200");
    assert_has(&metrics, "thalweg_lag{partition=\"1\"} 3");
    assert!(!metrics.text().unwrap().contains("lag{partition=\"0\"}"));
}
