//! The rights in `acls/`: with them a processor works, and without any one of them Kafka denies something that the
//! processor then names.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use thalweg_core::Channel;
use thalweg_core::codec::{Schemas, fingerprint_of_text};
use thalweg_runtime::dead_letter::VALUE_MAX_BYTES as DEAD_LETTER_VALUE_MAX_BYTES;
use thalweg_runtime::registry_key;

use super::doctor::commit;
use crate::command_line::{Ran, Thalweg};
use crate::namespace::{DEADLINE, Namespace};
use crate::oracle::StillOpen;
use crate::poison::avro;
use crate::router_process::RouterProcess;
use crate::support::{Right, Signal, eventually_observed, secure_broker};

const PASSWORD: &str = "between-us";

/// Stands in for Kafka's `kafka-acls.sh`: it keeps its arguments, for the administrator to run the tool with.
const KAFKA_ACLS: &str = r#"#!/bin/sh
for argument; do printf '%s\t' "$argument" >> "$CALLS"; done
echo >> "$CALLS"
"#;

/// A user with the rights of one file, in one namespace.
struct User {
    environment: Vec<(String, String)>,
    rights: Vec<Right>,
}

impl User {
    /// Adds a user, and applies a file of `acls/` as an operator would.
    fn with_rights_of(file: &str, namespace: &str) -> User {
        let name = format!("{file}-{namespace}");
        let principal = format!("User:{name}");
        let broker = secure_broker();
        let directory = tempfile::tempdir().unwrap();
        let (tool, calls) = (directory.path().join("kafka-acls.sh"), directory.path().join("calls"));
        fs::write(&tool, KAFKA_ACLS).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../acls").join(format!("{file}.sh"));
        let applied = Command::new(&script)
            .env("PATH", path)
            .env("CALLS", &calls)
            .env("BOOTSTRAP", broker.broker().internal_bootstrap())
            .env("NAMESPACE", namespace)
            .env("PRINCIPAL", &principal)
            .status();
        assert!(applied.unwrap().success(), "{}", script.display());

        let mut administrator = broker.administrator();
        administrator.add_user(&name, PASSWORD);
        for call in fs::read_to_string(calls).unwrap().lines() {
            let arguments: Vec<&str> = call.trim_end_matches('\t').split('\t').collect();
            administrator.kafka_acls(&arguments);
        }
        administrator.await_changes(&principal);
        let rights = administrator.rights(&principal);
        let mut environment = vec![
            ("THALWEG_BROKERS".to_owned(), broker.broker().bootstrap().to_owned()),
            ("THALWEG_NAMESPACE".to_owned(), namespace.to_owned()),
        ];
        for (setting, value) in broker.settings(&name, PASSWORD) {
            environment.push((format!("THALWEG_KAFKA_{}", setting.to_uppercase().replace('.', "_")), value));
        }
        User { environment, rights }
    }

    /// The rights of this operation and kind.
    fn rights_to(&self, operation: &str, kind: &str) -> Vec<Right> {
        let found = self.rights.iter().filter(|right| right.operation == operation && right.kind == kind);
        found.cloned().collect()
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn router(&self, namespace: &Namespace) -> RouterProcess {
        RouterProcess::start_with(namespace, "a", &self.environment())
    }

    #[track_caller]
    fn thalweg(&self, arguments: &[&str]) -> Ran {
        Thalweg::new(&self.environment()).run(arguments)
    }
}

impl Ran {
    /// That it failed for want of a right to this.
    #[track_caller]
    fn denied(self, resource: &str) {
        let ran = self.expect(1);
        assert!(names_denied(&ran.stderr, resource), "{resource}: {ran:#?}");
    }
}

/// What a right is for, as errors call it.
fn resource(right: &Right) -> String {
    format!("{} {}", right.kind.to_lowercase().replace('_', " "), right.name)
}

/// A line says that a right to this is denied.
fn names_denied(text: &str, resource: &str) -> bool {
    text.lines().any(|line| line.contains("NOT_AUTHORIZED") && line.contains(resource))
}

/// Takes a right away, looks, and gives it back.
fn without<T>(right: &Right, look: impl FnOnce() -> T) -> T {
    eprintln!("without {right}");
    secure_broker().administrator().remove(right);
    let seen = look();
    secure_broker().administrator().add(right);
    seen
}

/// Eight channels, on the secured broker.
fn namespace(test: &str) -> Namespace {
    Namespace::with(test, |config| config.brokers = secure_broker().broker().internal_bootstrap().to_owned())
}

fn start(execution_id: &str) -> (&str, Value) {
    (execution_id, json!({"event_type": "workflow.started", "workflow_id": "checks", "event_id": execution_id}))
}

/// What a router asks for before it serves: it ends, and says what was denied.
#[test]
fn a_router_does_not_start_without_a_right_that_it_needs_at_once() {
    let namespace = namespace("acl-start");
    let user = User::with_rights_of("router", &namespace.config.namespace);
    let registry = namespace.topics.registry();
    // The first router of a namespace writes its schemas, later ones find them: that right is looked at first.
    let mut rights = user.rights_to("WRITE", "TOPIC");
    rights.retain(|right| right.name == registry || right.name == namespace.topics.channel(Channel::PlanEvents));
    rights.sort_by_key(|right| right.name != registry);
    rights.extend(user.rights.iter().filter(|right| right.operation == "READ").cloned());
    rights.extend(user.rights_to("WRITE", "TRANSACTIONAL_ID"));
    assert_eq!(rights.len(), 7);
    for right in &rights {
        without(right, || {
            let mut router = user.router(&namespace);
            let status = router.process.wait_exit(DEADLINE);
            let log = router.process.log();
            assert!(!status.success() && names_denied(&log, &resource(right)), "without {right}:\n{log}");
        });
    }
}

/// What a router asks for as it works: it says what was denied, loses nothing, and goes on once the right is back.
#[test]
fn a_router_goes_on_when_a_right_comes_back() {
    let namespace = namespace("acl-work");
    let user = User::with_rights_of("router", &namespace.config.namespace);
    let router = user.router(&namespace);
    namespace.send(&[start("e")]);
    namespace.await_events(&["workflow.started"], 1);
    let rights = user.rights_to("WRITE", "TOPIC");
    let topics = &namespace.topics;
    for (number, right) in rights.iter().filter(|right| right.name != topics.registry()).enumerate() {
        let event_type = format!("probe.{number}");
        let channel = Channel::ALL.iter().find(|channel| topics.channel(**channel) == right.name);
        let from = router.process.log().len();
        without(right, || {
            let mut event = json!({"event_type": event_type, "execution_id": "e"});
            if let Some(channel) = channel {
                event["channel"] = json!(channel.as_str());
            }
            let elsewhere =
                (0..).map(|n| n.to_string()).find(|key| namespace.partition(key) != namespace.partition("e"));
            let (key, value) = match right.name.as_str() {
                // On the wrong partition, so that it must be forwarded.
                name if name == topics.inbox() => (elsewhere.unwrap(), event.to_string()),
                name if name == topics.dead_letters() => ("e".to_owned(), "no event".to_owned()),
                _ => ("e".to_owned(), event.to_string()),
            };
            namespace.send_raw(&[(Some(&key), value.into_bytes())], &[]);
            eventually_observed(DEADLINE, "a router that says what is denied", || {
                let log = router.process.log().split_off(from);
                let named = log.contains("NOT_AUTHORIZED") && log.contains(&right.name);
                if named { Ok(()) } else { Err(log) }
            });
        });
        if right.name == topics.dead_letters() {
            eventually_observed(DEADLINE, "the dead letter", || {
                let letters = namespace.read(topics.dead_letters()).len();
                if letters == 1 { Ok(()) } else { Err(letters) }
            });
        } else {
            namespace.await_events(&[&event_type], 1);
        }
    }
    namespace.verify_but(StillOpen::Any);
}

/// An event as a later build writes it, which has a field more; with its schema.
fn event_of_a_later_build(event_id: &str) -> (Vec<u8>, String) {
    let known = Schemas::to_register().into_iter().map(|(_, text)| serde_json::from_str::<Value>(text).unwrap());
    let mut schema = known.into_iter().find(|schema| schema["name"] == "Event").unwrap();
    schema["fields"].as_array_mut().unwrap().push(json!({"name": "weather", "type": "string", "default": ""}));
    let text = schema.to_string();
    let mut value = avro(event_id);
    value[2..10].copy_from_slice(&fingerprint_of_text(&text).unwrap());
    // An empty string.
    value.push(0);
    (value, text)
}

/// Whether a schema is registered is not known while the registry can't be read: its record waits, and what comes after
/// it in the partition.
#[test]
fn a_record_waits_for_a_registry_that_can_be_read() {
    let namespace = namespace("acl-registry");
    let user = User::with_rights_of("router", &namespace.config.namespace);
    let router = user.router(&namespace);
    router.await_restored(2);
    let registry = namespace.topics.registry();
    let (value, schema) = event_of_a_later_build("later");
    let producer: BaseProducer = namespace.client().create().unwrap();
    let key = registry_key(&fingerprint_of_text(&schema).unwrap());
    let elsewhere = (0..).map(|n| n.to_string()).find(|key| namespace.partition(key) != namespace.partition("e"));
    let right = user.rights_to("READ", "TOPIC").into_iter().find(|right| right.name == registry).unwrap();
    without(&right, || {
        // Not before: what a consumer has fetched already it may read, and what a fetch that was allowed has waited for.
        let nothing = BaseRecord::to(registry).partition(0).key("nothing").payload("");
        producer.send(nothing).map_err(|(error, _)| error).unwrap();
        producer.flush(DEADLINE).unwrap();
        producer.send(BaseRecord::to(registry).partition(0).key(&key).payload(&schema)).map_err(|(e, _)| e).unwrap();
        producer.flush(DEADLINE).unwrap();
        namespace.send_raw(&[(Some("e"), value.clone()), (Some("e"), b"no event".to_vec())], &[]);
        eventually_observed(DEADLINE, "a partition that waits", || {
            let log = router.process.log();
            let waits = log.contains("its partition waits") && names_denied(&log, &resource(&right));
            if waits { Ok(()) } else { Err(log) }
        });
        // The other partition is served meanwhile.
        namespace
            .send(&[(elsewhere.as_ref().unwrap(), json!({"event_type": "workflow.started", "workflow_id": "linear"}))]);
        namespace.await_ended(1);
        assert_eq!(namespace.read(namespace.topics.dead_letters()).len(), 0, "it is not refused");
    });
    namespace.await_ended(2);
    assert!(namespace.history("e").iter().any(|event| event.event_id == "later"));
    namespace.schemas.learn(fingerprint_of_text(&schema).unwrap(), &schema).unwrap();
    assert_eq!(namespace.verify().dead_letters, 1, "the one behind it");
}

/// A client may write to the inbox, and nothing else.
#[test]
fn a_client_needs_its_right() {
    let namespace = namespace("acl-client");
    let user = User::with_rights_of("client", &namespace.config.namespace);
    let arguments = ["start", "--workflow", "linear"];
    user.thalweg(&arguments).expect(0);
    assert_eq!(user.rights.len(), 1);
    without(&user.rights[0], || user.thalweg(&arguments).denied(namespace.topics.inbox()));
    user.thalweg(&["send", "--type", "note", "--id", "e"]).expect(0);
    // What became of them is read first, from the registry.
    user.thalweg(&["dead-letters", "list"]).denied(namespace.topics.registry());
}

/// An observer reads what there is, and can't write.
#[test]
fn an_observer_needs_each_of_its_rights() {
    let namespace = namespace("acl-observer");
    let user = User::with_rights_of("observer", &namespace.config.namespace);
    let _router = User::with_rights_of("router", &namespace.config.namespace).router(&namespace);
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "linear"}))]);
    namespace.await_ended(1);
    let topics = &namespace.topics;
    let commands: [&[&str]; 4] = [
        &["get", "e"],
        &["history", "e"],
        &["tail", "all", "--from-beginning", "--max", "1"],
        &["dead-letters", "list"],
    ];
    for command in commands {
        user.thalweg(command).expect(0);
    }
    // A value with a schema that is not compiled in: it is looked up.
    let foreign = [&[0xC3, 0x01][..], &[7; 8]].concat();
    let producer: BaseProducer = namespace.client().create().unwrap();
    let record = BaseRecord::to(topics.channel(Channel::PlanEvents)).partition(namespace.partition("f"));
    producer.send(record.key("f").payload(&foreign)).map_err(|(error, _)| error).unwrap();
    producer.flush(DEADLINE).unwrap();
    let ran = user.thalweg(&["history", "f"]).expect(1);
    assert!(ran.stderr.contains("SCHEMA_UNKNOWN"), "{ran:#?}");
    for right in &user.rights {
        let command: &[&str] = match right.name.as_str() {
            name if name == topics.registry() => &["history", "f"],
            name if name == topics.dead_letters() => &["dead-letters", "list"],
            name if name == topics.contexts() || name == topics.inbox() => &["get", "e"],
            _ => &["history", "e"],
        };
        without(right, || user.thalweg(command).denied(&right.name));
    }
    user.thalweg(&["start", "--workflow", "linear"]).denied(topics.inbox());
}

/// An operator sends dead letters back and puts them aside.
#[test]
fn an_operator_needs_each_of_its_rights_to_dead_letters() {
    let namespace = namespace("acl-redrive");
    let user = User::with_rights_of("operator", &namespace.config.namespace);
    let router = User::with_rights_of("router", &namespace.config.namespace).router(&namespace);
    // An empty topic is not fetched from: the contexts are not to be.
    namespace.send(&[("known", json!({"event_type": "workflow.started", "workflow_id": "linear"}))]);
    namespace.await_ended(1);
    namespace.send(&[("e", json!({"event_type": "count.up"}))]);
    namespace.send_packed("cut", &vec![0x7e; DEAD_LETTER_VALUE_MAX_BYTES + 1]);
    eventually_observed(DEADLINE, "two dead letters", || {
        let letters = namespace.read(namespace.topics.dead_letters()).len();
        if letters == 2 { Ok(()) } else { Err(letters) }
    });
    drop(router);
    let topics = &namespace.topics;
    let redrive = ["dead-letters", "redrive", "--code", "EXECUTION_UNKNOWN"];
    let redrive_cut = ["dead-letters", "redrive", "--code", "DECODE_FAILED"];
    let discard = ["dead-letters", "discard", "--code", "EXECUTION_UNKNOWN", "--execute"];
    let execute = [&redrive[..], &["--execute"]].concat();
    let mut of_letters = [user.rights_to("READ", "TOPIC"), user.rights_to("WRITE", "TOPIC")].concat();
    of_letters.retain(|right| right.operation == "READ" || right.name != topics.contexts());
    for right in &of_letters {
        let command: &[&str] = match (right.operation.as_str(), right.name.as_str()) {
            ("READ", name) if name == topics.inbox() => &redrive_cut,
            ("READ", _) => &redrive,
            (_, name) if name == topics.inbox() => &execute,
            _ => &discard,
        };
        without(right, || user.thalweg(command).denied(&right.name));
    }
    assert_eq!(of_letters.len(), 6);
    assert_eq!(namespace.read(topics.inbox()).len(), 3, "nothing was sent");
    user.thalweg(&redrive_cut).expect(0);
    user.thalweg(&execute).expect(0);
    assert_eq!(namespace.read(topics.inbox()).len(), 4);
    user.thalweg(&["dead-letters", "discard", "--all", "--execute"]).expect(0);
}

/// An operator accepts an inbox that was replaced.
#[test]
fn an_operator_needs_each_of_its_rights_to_adopt() {
    let namespace = namespace("acl-adopt");
    let user = User::with_rights_of("operator", &namespace.config.namespace);
    let mut router = User::with_rights_of("router", &namespace.config.namespace).router(&namespace);
    namespace.send(&[("e", json!({"event_type": "workflow.started", "workflow_id": "linear"}))]);
    namespace.await_ended(1);
    namespace.await_drained();
    router.process.signal(Signal::TERM);
    assert!(router.process.wait_exit(DEADLINE).success());
    commit(&namespace, &[(namespace.partition("e"), 1000)]);
    let adopt = ["topics", "--adopt", "--execute"];
    let contexts = namespace.topics.contexts();
    let mut rights = user.rights_to("READ", "GROUP");
    rights.extend(user.rights_to("WRITE", "TRANSACTIONAL_ID"));
    rights.extend(user.rights_to("WRITE", "TOPIC").into_iter().filter(|right| right.name == contexts));
    assert_eq!(rights.len(), 3);
    for right in &rights {
        without(right, || user.thalweg(&adopt).denied(&resource(right)));
    }
    let ran = user.thalweg(&adopt).expect(0);
    assert!(ran.stdout.contains("behind the inbox's end"), "{ran:#?}");
    assert!(user.thalweg(&["topics", "--adopt"]).expect(0).stdout.contains("there is nothing to adopt"));
}

/// A setting of the brokers that is compared with one of the topics, and differs on the secured broker.
const BROKERS_SETTING: &str = "offsets.retention.minutes";

/// An operator creates and checks topics.
#[test]
fn an_operator_needs_each_of_its_rights() {
    let namespace = crate::support::namespace("acl-operator");
    let user = User::with_rights_of("operator", &namespace);
    let create = |namespace: &str| {
        let mut ran = user.thalweg(&["topics", "--replication", "1", "--namespace", namespace, "-o", "json"]);
        ran.stdout.retain(|c| c != '\n');
        ran
    };
    let rights = user.rights.iter().filter(|right| !["READ", "WRITE"].contains(&right.operation.as_str()));
    for (number, right) in rights.enumerate() {
        // Another namespace under the same prefix, whose topics lack.
        let ran = without(right, || create(&format!("{namespace}.{number}")));
        match (right.operation.as_str(), right.kind.as_str()) {
            ("CREATE" | "DESCRIBE", _) => ran.denied(&namespace),
            // Nothing is in the way of creating; what can't be compared is told.
            (_, "TOPIC") => assert!(ran.stdout.contains("unreadable"), "without {right}: {ran:#?}"),
            _ => assert!(!ran.expect(0).stdout.contains(BROKERS_SETTING), "without {right}"),
        }
    }
    let ran = create(&namespace).expect(0);
    assert!(ran.stdout.contains(BROKERS_SETTING) && !ran.stdout.contains("unreadable"), "{ran:#?}");
}
