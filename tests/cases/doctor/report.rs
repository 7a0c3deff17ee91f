//! What the doctor said, for programs.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::Value;

use crate::command_line::Thalweg;
use crate::namespace::{DEADLINE, Namespace};
use crate::support::eventually_observed;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Ok,
    Warning,
    Problem,
}

/// The findings of one run.
pub struct Report {
    pub checks: Vec<Value>,
}

impl Report {
    /// Runs it; it must end with this code.
    #[track_caller]
    pub fn of(thalweg: &Thalweg, code: i32) -> Report {
        let ran = thalweg.run(&["doctor", "-o", "json"]).expect(code);
        Report { checks: ran.document().as_array().unwrap().clone() }
    }

    /// Runs it until it ends with this code and has a check of this name: the brokers take in new rights in time.
    #[track_caller]
    pub fn eventually(thalweg: &Thalweg, code: i32, check: &str) -> Report {
        eventually_observed(DEADLINE, check, || {
            let ran = thalweg.run(&["doctor", "-o", "json"]);
            let checks = ran.document().as_array().unwrap().clone();
            let is_there = ran.code == code && checks.iter().any(|c| c["check"] == check);
            if is_there { Ok(Report { checks }) } else { Err(format!("{ran:#?}")) }
        })
    }

    /// There is such a finding: a check of this name about something whose name contains `subject`, of this level,
    /// which says that. Of two words the first is a part of the subject.
    #[track_caller]
    pub fn assert(&self, check: &str, subject: &str, level: Level, found: &str) -> &Value {
        let (subject, check) = check.split_once(' ').unwrap_or((subject, check));
        let level = format!("{level:?}").to_lowercase();
        let named: Vec<&Value> = self.checks.iter().filter(|c| c["check"] == check).collect();
        let is_meant = |c: &&Value| {
            let contains = |field: &str, part: &str| c[field].as_str().unwrap().contains(part);
            contains("subject", subject) && c["level"] == level.as_str() && contains("found", found)
        };
        match named.iter().copied().find(is_meant) {
            Some(finding) => {
                let needs_advice = finding["level"] != "ok";
                assert_eq!(finding["advice"].is_string(), needs_advice, "{finding:#}");
                finding
            }
            None => panic!("no {level} {check} of {subject} that says {found:?} among {named:#?}"),
        }
    }

    /// What is to be done, each once.
    pub fn advice(&self) -> BTreeSet<String> {
        self.checks.iter().filter_map(|check| check["advice"].as_str().map(str::to_owned)).collect()
    }

    /// Every area was looked at, none is broken.
    #[track_caller]
    pub fn assert_all_areas(&self) {
        let areas: BTreeSet<&str> = self.checks.iter().map(|check| check["area"].as_str().unwrap()).collect();
        let all = ["brokers", "clocks", "connection", "group", "permissions", "registry", "topics", "transactions"];
        assert_eq!(areas, all.into());
        assert!(self.checks.iter().all(|check| check["level"] != "problem"), "{:#?}", self.checks);
    }
}

/// The ends of all partitions of a namespace, and of what its group has committed.
pub fn ends(namespace: &Namespace) -> BTreeMap<(String, i32), i64> {
    let topics = &namespace.topics;
    let consumer: BaseConsumer = namespace.client().set("group.id", topics.group()).create().unwrap();
    let mut names = vec![topics.inbox(), topics.contexts(), topics.dead_letters(), topics.registry()];
    names.extend(topics.channel_topics());
    let mut ends = BTreeMap::new();
    for name in names {
        let metadata = consumer.fetch_metadata(Some(name), DEADLINE).unwrap();
        for partition in metadata.topics()[0].partitions() {
            let (_, end) = eventually_observed(DEADLINE, "a leader that tells the end", || {
                consumer.fetch_watermarks(name, partition.id(), DEADLINE)
            });
            ends.insert((name.to_owned(), partition.id()), end);
        }
    }
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_range(topics.inbox(), 0, namespace.config.partitions - 1);
    let committed = eventually_observed(DEADLINE, "a coordinator that tells the offsets", || {
        let committed = consumer.committed_offsets(list.clone(), DEADLINE)?;
        committed.elements().iter().try_for_each(|element| element.error())?;
        Ok::<_, rdkafka::error::KafkaError>(committed)
    });
    for element in committed.elements() {
        ends.insert((topics.group().to_owned(), element.partition()), element.offset().to_raw().unwrap());
    }
    ends
}
