//! TLS and SASL through `[kafka]`.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::namespace::Namespace;
use crate::router_process::RouterProcess;
use crate::support::Broker;

const PASSWORD: &str = "between-us";

fn keytool(directory: &Path, arguments: &[&str]) {
    let mut command = Command::new("keytool");
    command.current_dir(directory).args(arguments).args(["-keystore", "broker.p12", "-storepass", PASSWORD]);
    let output = command.args(["-alias", "broker"]).output().unwrap();
    assert!(output.status.success(), "keytool: {}", String::from_utf8_lossy(&output.stdout));
}

/// A broker that takes clients over TLS with a password only; a claim runs from its start to its end.
#[test]
fn a_router_works_over_tls_with_sasl() {
    let directory = tempfile::tempdir().unwrap();
    let name = ["-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1"];
    let key = ["-genkeypair", "-storetype", "PKCS12", "-keyalg", "RSA", "-validity", "3"];
    keytool(directory.path(), &[key.as_slice(), &name].concat());
    keytool(directory.path(), &["-exportcert", "-rfc", "-file", "ca.pem"]);
    let path = |file: &str| directory.path().join(file).display().to_string();
    let jaas = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"admin\" password=\"{PASSWORD}\" \
         user_admin=\"{PASSWORD}\" user_router=\"{PASSWORD}\";"
    );
    let broker = Broker::start(&[
        ("listener.security.protocol.map", "CLIENTS:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("sasl.enabled.mechanisms", "PLAIN"),
        ("listener.name.clients.plain.sasl.jaas.config", &jaas),
        ("ssl.keystore.location", &path("broker.p12")),
        ("ssl.keystore.password", PASSWORD),
        ("ssl.keystore.type", "PKCS12"),
    ]);
    let ca = path("ca.pem");
    let settings = [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanisms", "PLAIN"),
        ("sasl.username", "router"),
        ("sasl.password", PASSWORD),
        ("ssl.ca.location", &ca),
    ];
    let namespace = Namespace::with("secure", |config| {
        config.brokers = broker.bootstrap().to_owned();
        for (name, value) in settings {
            config.kafka.set(name, value);
        }
    });
    let environment: Vec<(String, &str)> = settings
        .iter()
        .map(|(name, value)| (format!("THALWEG_KAFKA_{}", name.to_uppercase().replace('.', "_")), *value))
        .collect();
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let router = RouterProcess::start_with(&namespace, "a", &environment);
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "linear"}))]);
    namespace.await_ended(1);
    assert!(!router.process.log().contains(PASSWORD), "a secret is in the log");
}
