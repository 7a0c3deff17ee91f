//! A real Prometheus scrapes two routers, with the files of docker/, which promtool finds nothing to say about.

use std::collections::BTreeSet;
use std::io::{Seek, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{encoded, get, try_get};
use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::{RouterProcess, SAMPLE_ONLY};
use crate::support::{Process, eventually_observed};

/// Every metric that a router has, and the endings of its series.
const METRICS: [(&str, &[&str]); 20] = [
    ("thalweg_events_total", &[""]),
    ("thalweg_inputs_total", &[""]),
    ("thalweg_executions_total", &[""]),
    ("thalweg_executions_open", &[""]),
    ("thalweg_execution_seconds", &["_bucket", "_sum", "_count"]),
    ("thalweg_task_seconds", &["_bucket", "_sum", "_count"]),
    ("thalweg_joins_total", &[""]),
    ("thalweg_scopes_open", &[""]),
    ("thalweg_late_events_total", &[""]),
    ("thalweg_orphan_tool_results_total", &[""]),
    ("thalweg_task_retries_total", &[""]),
    ("thalweg_timers_pending", &[""]),
    ("thalweg_transactions_total", &[""]),
    ("thalweg_transaction_seconds", &["_bucket", "_sum", "_count"]),
    ("thalweg_transaction_inputs", &["_bucket", "_sum", "_count"]),
    ("thalweg_dead_letters_total", &[""]),
    ("thalweg_lag", &[""]),
    ("thalweg_restore_seconds", &["_bucket", "_sum", "_count"]),
    ("thalweg_stalled_total", &[""]),
    ("thalweg_contexts_bytes", &[""]),
];

/// A Prometheus of its own.
struct Prometheus {
    addr: String,
    _process: Process,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts one with the configuration and the rules of docker/, where only the way to the routers is another, and
    /// the looks come more often.
    fn start(routers: &[String]) -> Prometheus {
        let directory = tempfile::tempdir().unwrap();
        let shipped = std::fs::read_to_string(docker_file("prometheus.yml")).unwrap();
        let (head, discovery) = shipped.split_once("    dns_sd_configs:\n").unwrap();
        assert!(discovery.lines().all(|line| line.starts_with("      ")), "the discovery comes last");
        let head = ["scrape_interval: 5s", "evaluation_interval: 15s"].iter().fold(head.to_owned(), |text, setting| {
            assert!(text.contains(setting), "{setting}");
            text.replace(setting, &format!("{} 1s", setting.split(' ').next().unwrap()))
        });
        let config = directory.path().join("prometheus.yml");
        std::fs::write(&config, format!("{head}    static_configs:\n      - targets: {}\n", json!(routers))).unwrap();
        std::fs::copy(docker_file("alerts.yml"), directory.path().join("alerts.yml")).unwrap();

        let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address={addr}"));
        let process = Process::spawn("prometheus, of Debian's package of that name,", command);
        let prometheus = Prometheus { addr, _process: process, _directory: directory };
        eventually_observed(DEADLINE, "Prometheus is ready", || match try_get(&prometheus.addr, "/-/ready") {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        prometheus
    }

    fn api(&self, path: &str) -> Value {
        let (code, body) = get(&self.addr, &format!("/api/v1/{path}"));
        let answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!((code, &answer["status"]), (200, &json!("success")), "{answer}");
        answer["data"].clone()
    }

    /// Waits until a query has this number for its one answer.
    fn await_value(&self, query: &str, wanted: f64) {
        let path = format!("query?query={}", encoded(query));
        eventually_observed(DEADLINE, &format!("{query} is {wanted}"), || {
            let answer = self.api(&path);
            let value = answer["result"][0]["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
            if value == Some(wanted) { Ok(()) } else { Err(answer.to_string()) }
        });
    }
}

fn docker_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker").join(name)
}

/// Runs promtool, which is to end well, and gives all that it says.
#[track_caller]
fn promtool(arguments: &[&str], input: impl Into<Stdio>) -> String {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(docker_file(""));
    let mut tool = Process::spawn_with_input("promtool, of Debian's package prometheus,", command, input);
    let status = tool.wait_exit(DEADLINE);
    assert!(status.success(), "promtool {arguments:?}: {}", tool.log());
    tool.log()
}

#[test]
fn prometheus_scrapes_two_routers() {
    let namespace = Namespace::new("prometheus");
    let environment = [(SAMPLE_ONLY, "1")];
    let routers = ["a", "b"].map(|instance| RouterProcess::start_with(&namespace, instance, &environment));
    let addresses = routers.each_ref().map(RouterProcess::admin_addr);
    let prometheus = Prometheus::start(&addresses);
    prometheus.await_value("sum(up{job=\"thalweg\"})", 2.0);
    prometheus.await_value("count(count by (instance) (thalweg_lag))", 2.0);

    let claim = |number: usize| {
        let data = json!({"type": "car", "amount": 1200, "description": "rear bumper"});
        json!({"event_id": format!("start-{number}"), "event_type": "workflow.started",
               "workflow_id": "insurance_claim", "payload": {"claim_data": data}})
    };
    let ids: Vec<String> = (0..20).map(|number| format!("claim-{number}")).collect();
    let mut inputs: Vec<(&str, Value)> = ids.iter().enumerate().map(|(n, id)| (id.as_str(), claim(n))).collect();
    inputs.push((&ids[7], claim(7)));
    namespace.send(&inputs);
    namespace.send_raw(&[(Some("x"), b"no event".to_vec())], &[]);
    namespace.await_ended(20);

    prometheus.await_value("sum(thalweg_inputs_total{result=\"applied\"})", 20.0);
    prometheus.await_value("sum(thalweg_inputs_total{result=\"duplicate\"})", 1.0);
    prometheus.await_value("sum(thalweg_dead_letters_total{code=\"DECODE_FAILED\"})", 1.0);
    prometheus.await_value("sum(thalweg_executions_total{workflow=\"insurance_claim\",status=\"SUCCESS\"})", 20.0);
    prometheus.await_value("sum(thalweg_execution_seconds_count{workflow=\"insurance_claim\"})", 20.0);
    prometheus.await_value("sum(thalweg_events_total)", 220.0);
    prometheus.await_value("sum(thalweg_lag)", 0.0);

    let known: BTreeSet<String> = serde_json::from_value(prometheus.api("label/__name__/values")).unwrap();
    let known: BTreeSet<String> = known.into_iter().filter(|name| name.starts_with("thalweg_")).collect();
    let wanted = METRICS.iter().flat_map(|(name, ends)| ends.iter().map(move |end| format!("{name}{end}")));
    assert_eq!(known, wanted.collect());

    // The rules are evaluated on what real routers tell.
    let rules = eventually_observed(DEADLINE, "every rule was evaluated", || {
        let rules = prometheus.api("rules")["groups"][0]["rules"].as_array().unwrap().clone();
        if rules.iter().all(|rule| rule["health"] != "unknown") { Ok(rules) } else { Err(json!(rules).to_string()) }
    });
    assert!(!rules.is_empty() && rules.iter().all(|rule| rule["health"] == "ok"), "{rules:?}");
    // A dead letter is cause for an alert. Whether this one is seen to come, the counter being 0 at an earlier scrape:
    // the routers were up before.
    prometheus.await_value("count(ALERTS{alertname=\"ThalwegDeadLetters\",code=\"DECODE_FAILED\"})", 1.0);

    for addr in &addresses {
        let mut metrics = tempfile::tempfile().unwrap();
        metrics.write_all(get(addr, "/metrics").1.as_bytes()).unwrap();
        metrics.rewind().unwrap();
        assert_eq!(promtool(&["check", "metrics"], metrics), "");
    }
}

#[test]
fn promtool_has_nothing_to_say_about_the_files() {
    for arguments in [["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"]] {
        let said = promtool(&arguments, Stdio::null());
        let clean = |line: &str| line.is_empty() || line.starts_with("Checking") || line.trim().starts_with("SUCCESS");
        assert!(said.lines().all(clean), "{said}");
    }
    promtool(&["test", "rules", "alerts_test.yml"], Stdio::null());
}

/// An alert that nothing makes fire may be one that nothing can.
#[test]
fn every_alert_is_made_to_fire() {
    let named = |file: &str, mark: &str, with: &str| -> BTreeSet<String> {
        let text = std::fs::read_to_string(docker_file(file)).unwrap();
        let parts = text.split(mark).skip(1).filter(|part| part.contains(with));
        parts.map(|part| part.lines().next().unwrap().to_owned()).collect()
    };
    let alerts = named("alerts.yml", "- alert: ", "");
    assert!(!alerts.is_empty());
    assert_eq!(alerts, named("alerts_test.yml", "- alertname: ", "exp_labels:"));
}
