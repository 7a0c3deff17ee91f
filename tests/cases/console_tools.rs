//! Kafka's own console tools, as the README shows them.

use std::path::Path;

use crate::namespace::Namespace;
use crate::router_process::RouterProcess;
use crate::support::{ConsoleConsumer, ConsoleProducer, broker};

/// The lines of the README between `<!-- name -->` and the next blank line that follows an indented block.
pub fn readme_block(name: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("<!-- {name} -->")).unwrap_or_else(|| panic!("README has no {name}"));
    let block = rest.lines().skip_while(|line| line.is_empty()).take_while(|line| line.starts_with("    "));
    block.map(|line| line.trim().trim_end_matches('\\').trim().to_owned()).collect()
}

#[test]
fn a_claim_is_started_with_the_console_producer_and_followed_with_the_console_consumer() {
    let producer = readme_block("console producer").join(" ");
    let (tool, claim) = producer.split_once("<<< '").unwrap();
    assert!(tool.contains("kafka-console-producer.sh") && tool.contains("--topic thalweg.inbox"), "{tool}");
    let claim = claim.strip_suffix('\'').unwrap();
    let consumer = readme_block("console consumer").join(" ");
    assert!(consumer.contains("--topic thalweg.system-events --from-beginning"), "{consumer}");

    let namespace = Namespace::with("console", |_| {});
    let _router = RouterProcess::start(&namespace, "a");
    ConsoleProducer::new(broker(), namespace.topics.inbox()).send(&[claim]);
    namespace.await_ended(1);

    let system_events = namespace.topics.channel(thalweg_core::Channel::SystemEvents);
    let mut follow = ConsoleConsumer::new(broker(), system_events).max_messages(2).read_committed();
    for property in consumer.split("--formatter-property ").skip(1) {
        let (name, value) = property.split_whitespace().next().unwrap().split_once('=').unwrap();
        follow = follow.formatter_property(name, value);
    }
    let mut lines = follow.read();
    lines.sort();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("event_type:workflow.completed"), "{lines:?}");
    assert!(lines[1].starts_with("event_type:workflow.started"), "{lines:?}");
    namespace.verify();
}
