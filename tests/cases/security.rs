//! A secret that is given anywhere is shown nowhere.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::namespace::{DEADLINE, Namespace};
use crate::router_process::RouterProcess;
use crate::support::{Process, secure_broker};

/// Nothing else has it in its name or value.
const SECRET: &str = "zyzzyva-4711";

/// The router and the command line, over TLS with SASL, with all that they can log: connecting, working, and failing.
#[test]
fn nothing_shows_a_password() {
    let broker = secure_broker();
    let namespace =
        Namespace::with("secret", |config| config.brokers = broker.broker().internal_bootstrap().to_owned());
    let user = format!("secret-{}", namespace.config.namespace);
    broker.administrator().add_user(&user, SECRET);
    broker.administrator().allow_all(&format!("User:{user}"));
    broker.administrator().await_changes(&format!("User:{user}"));

    let settings = broker.settings(&user, SECRET);
    let loud = [("THALWEG_LOG", "trace"), ("THALWEG_KAFKA_DEBUG", "all")];
    let mut environment: Vec<(String, String)> = settings
        .iter()
        .map(|(name, value)| (format!("THALWEG_KAFKA_{}", name.to_uppercase().replace('.', "_")), value.clone()))
        .collect();
    environment.push(("THALWEG_BROKERS".to_owned(), broker.broker().bootstrap().to_owned()));
    environment.push(("THALWEG_NAMESPACE".to_owned(), namespace.config.namespace.clone()));
    environment.extend(loud.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let borrowed: Vec<(&str, &str)> = environment.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();

    // It works, and is loud.
    let router = RouterProcess::start_with(&namespace, "a", &borrowed);
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "linear"}))]);
    namespace.await_ended(1);
    let mut shown = vec![get(&router.admin_addr(), "/metrics"), get(&router.admin_addr(), "/readyz")];
    let log = router.process.log();
    assert!(log.contains("SASL") && log.contains("sasl.username"), "librdkafka tells its configuration");
    drop(router);
    shown.push(log);

    // From a file, where it is right; and where it is wrong in every way that comes to mind.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("thalweg.toml");
    let table: String = settings.iter().map(|(name, value)| format!("{name} = {value:?}\n")).collect();
    let right = format!("[kafka]\n{table}");
    let wrong_password = right.replace(SECRET, &format!("{SECRET}-but-not-quite"));
    let unquoted = right.replace(&format!("{SECRET:?}"), SECRET);
    let misspelt = right.replace("sasl.password", "sasl.pasword");
    let key = format!("{right}ssl.key.location = \"nowhere\"\nssl.key.password = \"{SECRET}\"\n");
    let oauth =
        format!("{right}sasl.oauthbearer.client.secret = \"{SECRET}\"\nsasl.oauthbearer.method = \"{SECRET}\"\n");
    let in_brokers = format!("brokers = \"SASL_SSL://{user}:{SECRET}@127.0.0.1:9\"\n{right}");
    let cases =
        [(&right, 0), (&wrong_password, 4), (&unquoted, 2), (&misspelt, 2), (&key, 1), (&oauth, 2), (&in_brokers, 2)];
    for (text, code) in cases {
        fs::write(&file, text).unwrap();
        for arguments in [&["get", "e"][..], &["get", "e", "-o", "json"], &["topics"]] {
            let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
            command.args(arguments).arg("--config").arg(&file).envs(loud);
            command.env("THALWEG_NAMESPACE", &namespace.config.namespace);
            if text != &in_brokers {
                command.env("THALWEG_BROKERS", broker.broker().bootstrap());
            }
            let mut process = Process::spawn_with_input("thalweg", command, Stdio::null());
            let status = process.wait_exit(DEADLINE);
            shown.push(process.log());
            assert_eq!(status.code(), Some(code), "{arguments:?} with\n{text}\n{}", process.stderr());
        }
    }

    // A router that can't connect says so in its last words.
    let mut wrong = borrowed.clone();
    wrong.push(("THALWEG_KAFKA_SASL_PASSWORD", "zyzzyva-4711-but-not-quite"));
    let mut router = RouterProcess::start_with(&namespace, "a", &wrong);
    assert!(!router.process.wait_exit(DEADLINE).success());
    shown.push(router.process.log());

    for text in shown {
        let line = text.lines().find(|line| line.contains(SECRET));
        assert_eq!(line, None, "a secret is shown");
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: router\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
