//! The routers' group: who is in it, what belongs to nobody, what waits.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_core::ErrorCode;
use thalweg_runtime::inspection::{Answer, Group, InspectionError, Span};

use super::check::{Area, Check};
use super::examination::{Examination, ranges};
use crate::output::count;

const AREA: Area = Area::Group;
const STABLE: &str = "Stable";

/// The findings.
pub fn checks(examination: &Examination) -> Result<Vec<Check>, InspectionError> {
    let name = examination.topics.group();
    match examination.group.as_ref().map(|allowance| &allowance.answer) {
        Some(Answer::Allowed) => {}
        Some(Answer::Denied) => {
            return Ok(vec![Check::unknown(AREA, "members", name, "not allowed").advice("see PERMISSIONS")]);
        }
        Some(Answer::Unknown(why)) => return Ok(vec![without_coordinator(name, why)]),
        None => return Ok(vec![Check::unknown(AREA, "members", name, "there is no inbox").advice("see TOPICS")]),
    }
    let group = match examination.inspector.group() {
        // Nor does the in-process cluster keep the offsets that transactions commit.
        Err(error) if error.is_unsupported() => return Ok(vec![without_groups(name)]),
        group => group?,
    };
    let partitions = examination.inbox_partitions();
    let members = Members::of(examination.topics.inbox(), group);
    let mut checks = members.checks(name, &partitions);
    let committed = examination.inspector.committed(&partitions)?;
    checks.extend(positions(examination, &members, &partitions, &committed)?);
    Ok(checks)
}

fn without_coordinator(name: &str, why: &str) -> Check {
    Check::problem(AREA, "coordinator", name, why).expected("an answer of the group's coordinator").advice(
        "no router can join: see that __consumer_offsets has leaders, and offsets.topic.replication.factor above",
    )
}

fn without_groups(name: &str) -> Check {
    let why = "these brokers list no groups, as the in-process broker of `thalweg dev`";
    Check::unknown(AREA, "members", name, why).advice("whether routers run, and what waits: their /readyz and /metrics")
}

/// The group, and who owns which partition of the inbox.
struct Members {
    group: Option<Group>,
    owned: BTreeSet<i32>,
    /// Topics that are not the inbox.
    foreign: BTreeSet<String>,
}

impl Members {
    fn of(inbox: &str, group: Option<Group>) -> Members {
        let assigned =
            group.iter().flat_map(|group| &group.members).flat_map(|member| member.partitions.iter().flatten());
        let (ours, foreign): (Vec<_>, Vec<_>) = assigned.partition(|(topic, _)| topic == inbox);
        let owned = ours.into_iter().map(|(_, partition)| *partition).collect();
        let foreign = foreign.into_iter().map(|(topic, _)| topic.clone()).collect();
        Members { owned, foreign, group: group.filter(|group| !group.members.is_empty()) }
    }

    /// Does the group have members, which agree on who owns what?
    fn is_stable(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.state == STABLE)
    }

    fn checks(&self, name: &str, partitions: &[i32]) -> Vec<Check> {
        let Some(group) = &self.group else {
            let advice = "start one: what comes into the inbox waits until then";
            return vec![
                Check::warning(AREA, "members", name, "no router runs").expected("at least one lane").advice(advice),
            ];
        };
        let lanes =
            if group.members.len() == 1 { "1 lane".to_owned() } else { format!("{} lanes", group.members.len()) };
        let hosts: BTreeSet<&str> = group.members.iter().map(|member| member.host.as_str()).collect();
        let found = format!("{lanes} at {}", Vec::from_iter(hosts).join(", "));
        let mut checks = vec![Check::ok(AREA, "members", name, found)];
        if self.is_stable() {
            checks.push(Check::ok(AREA, "state", name, STABLE));
            checks.push(self.assignment(name, partitions));
        } else {
            let check = Check::warning(AREA, "state", name, &group.state).expected(STABLE);
            checks.push(check.advice("partitions change hands just now; if that lasts, see the routers' logs"));
        }
        let clients: BTreeSet<&str> = group.members.iter().map(|member| member.client_id.as_str()).collect();
        let found = Vec::from_iter(&clients).into_iter().copied().collect::<Vec<_>>().join(", ");
        let advice = "are these all routers of this namespace, with the same configuration? The group is theirs alone";
        checks.push(match clients.len() {
            1 => Check::ok(AREA, "clients", name, found),
            _ => Check::warning(AREA, "clients", name, found).expected("one client.id").advice(advice),
        });
        if !self.foreign.is_empty() {
            let found = format!(
                "reads {} too",
                Vec::from_iter(&self.foreign).into_iter().cloned().collect::<Vec<_>>().join(", ")
            );
            let advice = "a program that is no router has joined the group and takes partitions from them: give it \
                          another group.id";
            checks.push(Check::problem(AREA, "strangers", name, found).expected("the inbox alone").advice(advice));
        }
        checks
    }

    fn assignment(&self, name: &str, partitions: &[i32]) -> Check {
        let nobodys: Vec<i32> =
            partitions.iter().copied().filter(|partition| !self.owned.contains(partition)).collect();
        if nobodys.is_empty() {
            return Check::ok(AREA, "assignment", name, format!("all {} partitions have an owner", partitions.len()));
        }
        let found = format!("partition {} of the inbox is nobody's", ranges(&nobodys));
        Check::problem(AREA, "assignment", name, found).expected("every partition has an owner").advice(
            "restart the routers; a member that reads something else, or partitions added to the inbox, do this",
        )
    }
}

/// How far the group has come in each partition.
fn positions(
    examination: &Examination,
    members: &Members,
    partitions: &[i32],
    committed: &BTreeMap<i32, i64>,
) -> Result<Vec<Check>, InspectionError> {
    let inbox = examination.topics.inbox();
    let mut checks = Vec::new();
    for partition in partitions.iter().copied() {
        let Some(span) = examination.span(inbox, partition) else { continue };
        let place = format!("{inbox}/{partition}");
        let position = committed.get(&partition).copied();
        let lost = match position {
            Some(position) => lost(&place, position, span),
            None if has_contexts(examination, partition)? => Some(never_committed(&place, examination.topics.group())),
            None => None,
        };
        if let Some(lost) = lost {
            checks.push(lost);
            continue;
        }
        let before = examination.committed.get(&partition).copied();
        let lag = Lag {
            waiting: u64::try_from(span.stable_end - position.unwrap_or(span.begin)).unwrap_or_default(),
            has_owner: members.owned.contains(&partition),
            has_moved: before != position,
            has_router: members.group.is_some(),
        };
        checks.push(lag.check(&place));
    }
    Ok(checks)
}

/// Is there a record in this partition of the contexts?
fn has_contexts(examination: &Examination, partition: i32) -> Result<bool, InspectionError> {
    let contexts = examination.topics.contexts();
    let Some(span) = examination.span(contexts, partition) else { return Ok(false) };
    Ok(span.begin < span.stable_end && examination.inspector.has_record(contexts, partition, span.begin)?)
}

fn never_committed(place: &str, group: &str) -> Check {
    Check::problem(AREA, "offset", place, "no committed offset, but contexts").code(ErrorCode::InboxReplaced).advice(
        format!(
            "the inbox was replaced, or the group's offsets were deleted or have expired, so no router knows where to \
             go on: `thalweg topics --adopt` says what it would do about it; or set them yourself \
             (kafka-consumer-groups.sh --group {group} --topic {} --reset-offsets)",
            place.replace('/', ":")
        ),
    )
}

/// A committed offset that is not in the inbox.
fn lost(place: &str, position: i64, span: Span) -> Option<Check> {
    let (found, expected) = if position < span.begin {
        (format!("{position} is committed, before the first record"), format!("{} or more", span.begin))
    } else if position > span.end {
        (format!("{position} is committed, behind the end"), format!("{} or less", span.end))
    } else {
        return None;
    };
    Some(Check::problem(AREA, "offset", place, found).expected(expected).code(ErrorCode::InboxReplaced).advice(
        "the inbox was replaced, or its records were deleted before they were taken: bring it back, or accept it: \
         `thalweg topics --adopt` says what it would do",
    ))
}

/// What waits in a partition.
struct Lag {
    waiting: u64,
    has_owner: bool,
    has_moved: bool,
    has_router: bool,
}

impl Lag {
    fn check(&self, place: &str) -> Check {
        let found = format!("{} wait", count(self.waiting));
        if self.waiting == 0 {
            return Check::ok(AREA, "lag", place, "0");
        }
        if !self.has_router {
            return Check::problem(AREA, "lag", place, format!("{found}, and no router runs"))
                .expected("0")
                .advice("start one");
        }
        if !self.has_owner {
            let advice = "see the assignment above";
            return Check::problem(AREA, "lag", place, format!("{found}, and nobody takes them"))
                .expected("0")
                .advice(advice);
        }
        if self.has_moved {
            return Check::ok(AREA, "lag", place, format!("{found}, and some were taken meanwhile"));
        }
        Check::warning(AREA, "lag", place, format!("{found}, and none was taken meanwhile")).expected("0").advice(
            "if it stays so: /readyz of the router that owns the partition, and its log, tell why it stands still",
        )
    }
}
