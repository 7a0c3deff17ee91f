//! The topics of the namespace: their settings, their leaders and replicas.

use thalweg_runtime::inspection::{InspectionError, Look, PartitionLayout};
use thalweg_runtime::{Finding, Severity};

use super::check::{Area, Check, Level};
use super::examination::{Examination, ranges};

const AREA: Area = Area::Topics;
/// How many replicas must have a record before it is acknowledged.
const MIN_IN_SYNC: &str = "min.insync.replicas";

/// The findings.
pub fn checks(examination: &Examination) -> Result<Vec<Check>, InspectionError> {
    let findings = examination.inspector.topic_findings()?;
    let is_ours =
        |finding: &&Finding| examination.looks.get(&finding.topic).is_some_and(|look| *look != Look::Forbidden);
    // What can't be read is told among the permissions.
    let differing = findings.iter().filter(is_ours).filter(|finding| finding.setting != "settings");
    let mut checks: Vec<Check> = differing.map(|finding| differs(AREA, finding)).collect();
    checks.extend(as_wanted(examination, &findings));
    for (topic, partitions) in examination.existing() {
        checks.extend(leaders(topic, partitions));
        let least = examination.topic_setting(topic, MIN_IN_SYNC).and_then(|value| value.parse().ok());
        checks.extend(replicas(topic, partitions, least.unwrap_or(1)));
        checks.extend(times(examination, topic));
    }
    Ok(checks)
}

/// A finding of `thalweg topics`.
pub fn differs(area: Area, finding: &Finding) -> Check {
    let level = match finding.severity {
        Severity::Fault => Level::Problem,
        Severity::Notice => Level::Warning,
    };
    let name = if finding.setting == "topic" { "exists" } else { &finding.setting };
    let check = Check::new(area, level, name, &finding.topic, &finding.found);
    let check = check.expected(&finding.wanted).advice(&finding.advice);
    Check { code: finding.code, ..check }
}

/// What `thalweg topics` looks at and finds as it should be.
fn as_wanted(examination: &Examination, findings: &[Finding]) -> Vec<Check> {
    let has_finding = |topic: &str, setting: &str| {
        findings.iter().any(|finding| finding.topic == topic && finding.setting == setting)
    };
    let mut checks = Vec::new();
    for (topic, partitions) in examination.existing() {
        if !has_finding(topic, "partitions") {
            checks.push(Check::ok(AREA, "partitions", topic, partitions.len().to_string()));
        }
        let wanted = examination.wanted.iter().find(|wanted| wanted.name == topic);
        for setting in wanted.into_iter().flat_map(|wanted| &wanted.settings) {
            match examination.topic_setting(topic, setting.name) {
                Some(value) if !has_finding(topic, setting.name) => {
                    checks.push(Check::ok(AREA, setting.name, topic, value));
                }
                _ => {}
            }
        }
    }
    checks
}

fn leaders(topic: &str, partitions: &[PartitionLayout]) -> Option<Check> {
    let without = numbers(partitions, |partition| partition.leader.is_none());
    if without.is_empty() {
        return Some(Check::ok(AREA, "leaders", topic, "every partition has one"));
    }
    let found = format!("none for partition {}", ranges(&without));
    let check = Check::problem(AREA, "leaders", topic, found).expected("every partition has one");
    Some(check.advice("start the brokers that hold it: nothing can be read or written there"))
}

fn replicas(topic: &str, partitions: &[PartitionLayout], least: usize) -> Vec<Check> {
    let mut checks = Vec::new();
    let copies = partitions.iter().map(|partition| partition.replicas).min().unwrap_or_default();
    let short = numbers(partitions, |partition| partition.in_sync < least.min(partition.replicas));
    let behind = numbers(partitions, |partition| partition.in_sync < partition.replicas);
    if copies < least {
        let advice = format!(
            "newer brokers take the number of replicas instead, so that one of them down stops writes; older ones \
             refuse them all: kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config \
             {MIN_IN_SYNC}={copies}"
        );
        let found = format!("{least}, of {copies} {}", replica(copies));
        checks
            .push(Check::warning(AREA, MIN_IN_SYNC, topic, found).expected(format!("at most {copies}")).advice(advice));
    } else if copies > 1 && least == copies {
        let found = format!("{least}, of {copies} replicas");
        let advice = "one broker down stops all writes: have a replica more than must be in sync";
        checks.push(Check::warning(AREA, MIN_IN_SYNC, topic, found).expected("less").advice(advice));
    } else if copies > 1 && least == 1 {
        let advice = format!(
            "what was acknowledged may be on one broker only, and be lost with it: kafka-configs.sh --alter \
             --entity-type topics --entity-name {topic} --add-config {MIN_IN_SYNC}=2"
        );
        let found = format!("1, of {copies} replicas");
        checks.push(Check::warning(AREA, MIN_IN_SYNC, topic, found).expected("2").advice(advice));
    } else {
        checks.push(Check::ok(AREA, MIN_IN_SYNC, topic, format!("{least}, of {copies} {}", replica(copies))));
    }
    if !short.is_empty() {
        let found = format!("partition {} has less than {least} in sync", ranges(&short));
        let advice = "writes are refused until the brokers that hold them are back";
        checks.push(Check::problem(AREA, "replicas", topic, found).advice(advice));
    } else if !behind.is_empty() {
        let found = format!("not all of partition {} are in sync", ranges(&behind));
        let advice = "a broker is down or slow; with another one writes may stop";
        checks.push(Check::warning(AREA, "replicas", topic, found).advice(advice));
    } else if copies == 1 {
        let advice =
            "with its broker the data is gone: have 3 replicas where it matters (thalweg topics --replication 3)";
        checks.push(Check::warning(AREA, "replicas", topic, "1").expected("3").advice(advice));
    } else {
        checks.push(Check::ok(AREA, "replicas", topic, format!("{copies}, in sync")));
    }
    checks
}

fn replica(count: usize) -> &'static str {
    if count == 1 { "replica" } else { "replicas" }
}

fn numbers(partitions: &[PartitionLayout], is_one: impl Fn(&PartitionLayout) -> bool) -> Vec<i32> {
    partitions.iter().filter(|partition| is_one(partition)).map(|partition| partition.partition).collect()
}

/// Whose clock the times of records are from.
fn times(examination: &Examination, topic: &str) -> Option<Check> {
    const TYPE: &str = "message.timestamp.type";
    let kind = examination.topic_setting(topic, TYPE)?;
    if kind == "CreateTime" {
        return Some(Check::ok(AREA, TYPE, topic, kind));
    }
    let advice = format!(
        "the time of a record is when it came in, and what its writer says is lost: kafka-configs.sh --alter \
         --entity-type topics --entity-name {topic} --add-config {TYPE}=CreateTime"
    );
    Some(Check::warning(AREA, TYPE, topic, kind).expected("CreateTime").advice(advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(leader: Option<i32>, replicas: usize, in_sync: usize) -> PartitionLayout {
        PartitionLayout { partition: 4, leader, replicas, in_sync }
    }

    #[test]
    fn a_partition_without_a_leader_is_a_problem() {
        assert_eq!(leaders("t", &[partition(Some(1), 3, 3)]).unwrap().level, Level::Ok);
        let check = leaders("t", &[partition(None, 3, 0)]).unwrap();
        assert_eq!((check.level, check.found.as_str()), (Level::Problem, "none for partition 4"));
    }

    #[test]
    fn replicas_are_judged_by_what_one_broker_down_does() {
        let judged = |layout, least| -> Vec<_> {
            let checks = replicas("t", &[layout], least);
            checks.into_iter().map(|check| (check.check, check.level)).collect()
        };
        let both = |least, replicas| [(MIN_IN_SYNC.to_owned(), least), ("replicas".to_owned(), replicas)];
        assert_eq!(judged(partition(Some(1), 3, 3), 2), both(Level::Ok, Level::Ok));
        assert_eq!(judged(partition(Some(1), 1, 1), 1), both(Level::Ok, Level::Warning));
        assert_eq!(judged(partition(Some(1), 1, 1), 2), both(Level::Warning, Level::Warning));
        assert_eq!(judged(partition(Some(1), 3, 2), 2), both(Level::Ok, Level::Warning));
        assert_eq!(judged(partition(Some(1), 3, 1), 2), both(Level::Ok, Level::Problem));
        assert_eq!(judged(partition(Some(1), 3, 3), 3), both(Level::Warning, Level::Ok));
        assert_eq!(judged(partition(Some(1), 3, 3), 1), both(Level::Warning, Level::Ok));
    }
}
