//! Passwords and access control: what the doctor advises is what lacks.

use thalweg_runtime::Config;

use super::report::{Level, Report};
use crate::command_line::Thalweg;
use crate::namespace::Namespace;
use crate::support::Broker;

const ACLS: &str = "org.apache.kafka.tools.AclCommand";

/// A broker that takes the users `admin`, `visitor` and `stranger`, each with its name as its password, and lets them
/// do what access control lists say.
fn guarded_broker() -> Broker {
    let users = ["admin", "visitor", "stranger"].map(|name| format!("user_{name}=\"{name}\"")).join(" ");
    let jaas = format!("org.apache.kafka.common.security.plain.PlainLoginModule required {users};");
    Broker::start(&[
        ("listener.security.protocol.map", "CLIENTS:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ("sasl.enabled.mechanisms", "PLAIN"),
        ("listener.name.clients.plain.sasl.jaas.config", &jaas),
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ("super.users", "User:admin;User:ANONYMOUS"),
    ])
}

fn sign_in(config: &mut Config, user: &str) {
    config.kafka.set("security.protocol", "SASL_PLAINTEXT");
    config.kafka.set("sasl.mechanisms", "PLAIN");
    config.kafka.set("sasl.username", user);
    config.kafka.set("sasl.password", user);
}

fn as_user(namespace: &Namespace, user: &str, password: &str) -> Thalweg {
    Thalweg::of(namespace).with(&[
        ("THALWEG_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"),
        ("THALWEG_KAFKA_SASL_MECHANISMS", "PLAIN"),
        ("THALWEG_KAFKA_SASL_USERNAME", user),
        ("THALWEG_KAFKA_SASL_PASSWORD", password),
    ])
}

/// Runs a command that was advised, through the listener that needs no password.
fn follow(broker: &Broker, advice: &str) {
    let command = &advice[advice.find("kafka-acls.sh ").unwrap()..];
    let words = command.split_whitespace().skip(1);
    let words: Vec<&str> =
        words.map(|word| if word == broker.bootstrap() { broker.internal_bootstrap() } else { word }).collect();
    broker.java_tool(ACLS, &words);
}

#[test]
fn what_is_not_allowed_is_told_with_the_command_that_allows_it() {
    let broker = guarded_broker();
    let namespace = Namespace::with("doctor-acl", |config| {
        config.brokers = broker.bootstrap().to_owned();
        sign_in(config, "admin");
        for channel in thalweg_core::Channel::ALL {
            config.channels.insert(*channel, "events".to_owned());
        }
    });
    let ns = &namespace.config.namespace;

    let report = Report::of(&as_user(&namespace, "visitor", "wrong"), 1);
    report.assert("authenticated", broker.bootstrap(), Level::Problem, "Authentication failed");
    assert_eq!(report.checks.len(), 1);
    let report = Report::of(&Thalweg::of(&namespace), 4);
    report.assert("reachable", broker.bootstrap(), Level::Problem, "no answer");

    // Without any right no topic is seen.
    let report = Report::of(&as_user(&namespace, "stranger", "stranger"), 1);
    report.assert("authenticated", "stranger by SASL_PLAINTEXT", Level::Ok, "accepted");
    let finding = report.assert("see", namespace.topics.contexts(), Level::Problem, "denied");
    let command = format!(
        "kafka-acls.sh --bootstrap-server {} --add --allow-principal User:stranger --operation Read --operation Write \
         --topic {ns}.contexts --topic {ns}.inbox --topic {ns}.registry",
        broker.bootstrap()
    );
    assert_eq!(finding["advice"], command.as_str());
    report.assert("see", &format!("{ns}.events"), Level::Problem, "denied");
    report.assert("write", &format!("transactional ids {ns}."), Level::Problem, "denied");
    report.assert("settings", "broker 1", Level::Warning, "can't be read");

    // A visitor sees topics, and does nothing to them; after the advice it can do what a router does.
    let see = ["--operation", "Describe", "--operation", "DescribeConfigs", "--resource-pattern-type", "prefixed"];
    let add = ["--bootstrap-server", broker.internal_bootstrap(), "--add", "--allow-principal", "User:visitor"];
    broker.java_tool(ACLS, &[&add[..], &see, &["--topic", &format!("{ns}.")]].concat());
    let visitor = as_user(&namespace, "visitor", "visitor");
    let report = Report::eventually(&visitor, 1, "read");
    for topic in ["inbox", "contexts", "registry"] {
        report.assert("read", &format!("{ns}.{topic}"), Level::Problem, "denied");
    }
    for topic in ["inbox", "contexts", "registry", "events", "dead-letters"] {
        report.assert("write", &format!("{ns}.{topic}"), Level::Problem, "denied");
    }
    report.assert("read", &format!("group {ns}.router"), Level::Problem, "denied");
    let commands: Vec<String> = report.advice().into_iter().filter(|advice| advice.contains("kafka-acls.sh")).collect();
    assert_eq!(commands.len(), 5, "{commands:#?}");
    for command in commands {
        follow(&broker, &command);
    }
    let report = Report::eventually(&visitor, 0, "write");
    for topic in ["inbox", "contexts", "registry", "events", "dead-letters"] {
        report.assert("write", &format!("{ns}.{topic}"), Level::Ok, "allowed");
    }
    report.assert("read", &format!("group {ns}.router"), Level::Ok, "allowed");
    assert_eq!(super::ends(&namespace).values().filter(|end| **end > 0).count(), 0, "something was written");
}
