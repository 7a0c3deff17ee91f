//! What a router with these credentials may do.

use std::collections::BTreeMap;

use thalweg_runtime::Config;
use thalweg_runtime::inspection::{Allowance, Answer, InspectionError, Look, Operation, Resource, Settings};

use super::check::{Area, Check};
use super::examination::Examination;

const AREA: Area = Area::Permissions;
/// The brokers' setting of what checks rights; empty where nothing does.
const AUTHORIZER: &str = "authorizer.class.name";

/// The findings.
pub fn checks(examination: &Examination) -> Result<Vec<Check>, InspectionError> {
    let acl = Acl::new(&examination.config);
    let mut checks = forbidden(examination, &acl);
    checks.extend(unreadable_settings(examination, &acl));
    if is_open(&examination.broker_settings) {
        checks.push(Check::ok(AREA, "authorizer", "brokers", "none: everyone may do everything"));
        return Ok(checks);
    }
    let (topics, inspector) = (&examination.topics, &examination.inspector);
    let exists = |topic: &&str| examination.existing().any(|(name, _)| name == *topic);
    let read = [topics.inbox(), topics.contexts(), topics.registry()].into_iter().filter(exists);
    let read: Vec<Allowance> = read.map(|topic| inspector.may_read(topic)).collect::<Result<_, _>>()?;
    checks.extend(acl.of_topics(&read));
    let known = examination.topic_settings.iter();
    let known = known.filter_map(|(topic, settings)| Some((topic.clone(), settings.as_ref()?.clone())));
    checks.extend(acl.of_topics(&inspector.may_write(&known.collect())?));
    checks.extend(examination.group.iter().map(|allowance| acl.check(allowance)));
    Ok(checks)
}

fn is_open(brokers: &BTreeMap<i32, Option<Settings>>) -> bool {
    let is_open = |settings: &Option<Settings>| {
        settings.as_ref().is_some_and(|settings| settings.get(AUTHORIZER).is_some_and(String::is_empty))
    };
    !brokers.is_empty() && brokers.values().all(is_open)
}

/// Topics that may not even be seen, with what a router does to them.
fn forbidden(examination: &Examination, acl: &Acl) -> Vec<Check> {
    let topics = &examination.topics;
    let hidden =
        examination.looks.iter().filter(|(_, look)| **look == Look::Forbidden).map(|(topic, _)| topic.as_str());
    let (read, written): (Vec<&str>, Vec<&str>) =
        hidden.partition(|topic| [topics.inbox(), topics.contexts(), topics.registry()].contains(topic));
    let mut checks = acl.denied_topics("see", &["Read", "Write"], &read);
    checks.extend(acl.denied_topics("see", &["Write"], &written));
    checks
}

fn unreadable_settings(examination: &Examination, acl: &Acl) -> Vec<Check> {
    let check = |subject: &str, pattern: &str| {
        let check = Check::unknown(AREA, "settings", subject, "its settings can't be read");
        check.advice(format!("for this command alone: {}", acl.add(&["DescribeConfigs"], pattern)))
    };
    let brokers = examination.broker_settings.iter().filter(|(_, settings)| settings.is_none());
    let topics = examination.topic_settings.iter().filter(|(_, settings)| settings.is_none());
    let topics: Vec<&str> = topics.map(|(topic, _)| topic.as_str()).collect();
    let pattern = topic_pattern(topics.iter().copied());
    let brokers = brokers.map(|(id, _)| check(&format!("broker {id}"), "--cluster"));
    brokers.chain(topics.iter().map(|topic| check(topic, &pattern))).collect()
}

fn topic_pattern<'a>(topics: impl IntoIterator<Item = &'a str>) -> String {
    topics.into_iter().map(|topic| format!("--topic {topic}")).collect::<Vec<_>>().join(" ")
}

/// Makes the command that adds what lacks.
pub struct Acl {
    brokers: String,
    principal: String,
}

impl Acl {
    /// For the user of this configuration.
    pub fn new(config: &Config) -> Acl {
        let client = config.client();
        let protocol = client.get("security.protocol").unwrap_or_default().to_lowercase();
        let principal = match client.get("sasl.username") {
            Some(user) if protocol.starts_with("sasl") => format!("User:{user}"),
            // The certificate, token or ticket tells it, and the brokers' rules for names.
            _ if protocol.starts_with("sasl") || protocol == "ssl" => "User:PRINCIPAL".to_owned(),
            _ => "User:ANONYMOUS".to_owned(),
        };
        Acl { brokers: config.brokers.clone(), principal }
    }

    /// The finding for what was asked.
    pub fn check(&self, allowance: &Allowance) -> Check {
        let (check, operation) = match allowance.operation {
            Operation::Read => ("read", "Read"),
            Operation::Write => ("write", "Write"),
        };
        let (subject, pattern) = match &allowance.resource {
            Resource::Topic(topic) => (topic.clone(), format!("--topic {topic}")),
            Resource::Group(group) => (format!("group {group}"), format!("--group {group}")),
            Resource::TransactionalIds(prefix) => (
                format!("transactional ids {prefix}*"),
                format!("--transactional-id {prefix} --resource-pattern-type prefixed"),
            ),
        };
        match &allowance.answer {
            Answer::Allowed => Check::ok(AREA, check, subject, "allowed"),
            Answer::Denied => self.denied(check, &subject, &[operation], &pattern),
            Answer::Unknown(why) => Check::unknown(AREA, check, subject, why)
                .advice(format!("see that it is allowed: {}", self.list(&pattern))),
        }
    }

    /// The findings for topics: what lacks at several of them is added by one command.
    fn of_topics(&self, allowances: &[Allowance]) -> Vec<Check> {
        let (denied, other): (Vec<&Allowance>, Vec<&Allowance>) =
            allowances.iter().partition(|allowance| allowance.answer == Answer::Denied);
        let mut checks: Vec<Check> = other.into_iter().map(|allowance| self.check(allowance)).collect();
        for (operation, check, name) in [(Operation::Read, "read", "Read"), (Operation::Write, "write", "Write")] {
            let topics = denied.iter().filter(|allowance| allowance.operation == operation);
            let topics: Vec<&str> = topics.filter_map(|allowance| allowance.resource.topic()).collect();
            checks.extend(self.denied_topics(check, &[name], &topics));
        }
        checks
    }

    fn denied_topics(&self, check: &str, operations: &[&str], topics: &[&str]) -> Vec<Check> {
        let pattern = topic_pattern(topics.iter().copied());
        topics.iter().map(|topic| self.denied(check, topic, operations, &pattern)).collect()
    }

    fn denied(&self, check: &str, subject: &str, operations: &[&str], pattern: &str) -> Check {
        Check::problem(AREA, check, subject, "denied").expected("allowed").advice(self.add(operations, pattern))
    }

    fn add(&self, operations: &[&str], pattern: &str) -> String {
        let operations: String = operations.iter().map(|operation| format!(" --operation {operation}")).collect();
        format!(
            "kafka-acls.sh --bootstrap-server {} --add --allow-principal {}{operations} {pattern}",
            self.brokers, self.principal
        )
    }

    fn list(&self, pattern: &str) -> String {
        format!("kafka-acls.sh --bootstrap-server {} --list {pattern}", self.brokers)
    }
}
