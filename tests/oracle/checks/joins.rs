//! Each scope joins once, when its branches are done, and one event tells it.

use std::collections::BTreeMap;

use thalweg_core::context::Scope;
use thalweg_core::effect::Effect;
use thalweg_core::timer::SCOPE_TIMED_OUT;
use thalweg_core::{BranchCounts, BranchStatus, Event, JoinPolicy, ScopeStatus};

use super::View;
use crate::oracle::anomaly::{Findings, Kind};
use crate::oracle::history::{ENGINE, History};
use crate::oracle::observed::Observed;

/// How many scopes of the history are done.
pub(super) fn count(history: &History) -> usize {
    let effects = history.entries.iter().flat_map(|entry| &entry.effects);
    effects.filter(|effect| matches!(effect, Effect::ScopeClosed(_))).count()
}

pub(super) fn check(view: &View, findings: &mut Findings) {
    for (execution, history) in &view.histories {
        for (id, scope) in scopes(history, pending_events(view.observed, execution, findings)) {
            scope.check(execution, &id, findings);
        }
    }
}

/// What a history tells of one scope.
#[derive(Default)]
struct Told {
    opened: Option<Scope>,
    succeeded: i32,
    failed: i32,
    closed: Vec<ScopeStatus>,
    /// It was given up with the branch that it is part of: nobody is told.
    canceled: usize,
    /// It was decided otherwise than its branches did, or a branch ended after that.
    early: bool,
    /// Types of the events that tell its completion.
    completions: Vec<String>,
}

impl Told {
    fn check(&self, execution: &str, id: &str, findings: &mut Findings) {
        let mut found = |kind, detail: String| findings.add(kind, execution, format!("scope {id} {detail}"));
        let told = self.closed.len() - self.canceled;
        if self.closed.len() > 1 || self.completions.len() > 1 {
            found(
                Kind::JoinedTwice,
                format!("was closed {} times, told {} times", self.closed.len(), self.completions.len()),
            );
        } else if told != self.completions.len() {
            found(
                Kind::JoinUntold,
                format!("was closed {} times, told {} times", self.closed.len(), self.completions.len()),
            );
        }
        if self.early {
            found(
                Kind::JoinedEarly,
                format!("joined with {} succeeded and {} failed at its end", self.succeeded, self.failed),
            );
        }
        if let (Some(scope), [status], [completion]) = (&self.opened, &self.closed[..], &self.completions[..]) {
            let failed = *status == ScopeStatus::Failed;
            let expected = if failed { &scope.failed_event } else { &scope.completed_event };
            if completion != expected {
                found(Kind::JoinUntold, format!("came to {status} and told {completion}, {} failed", self.failed));
            }
        }
    }
}

fn scopes(history: &History, pending: Vec<Event>) -> BTreeMap<String, Told> {
    let mut scopes: BTreeMap<String, Told> = BTreeMap::new();
    for entry in &history.entries {
        for effect in &entry.effects {
            match effect {
                Effect::ScopeOpened(scope) => {
                    scopes.entry(scope.scope.clone()).or_default().opened = Some((**scope).clone());
                }
                Effect::BranchDone(done) => {
                    let told = scopes.entry(done.scope.clone()).or_default();
                    told.early |= !told.closed.is_empty();
                    match done.status {
                        BranchStatus::Failed => told.failed += 1,
                        BranchStatus::Success | BranchStatus::Open => told.succeeded += 1,
                    }
                }
                Effect::ScopeClosed(closed) => {
                    let told = scopes.entry(closed.scope.clone()).or_default();
                    let verdict = told.opened.as_ref().map(|scope| {
                        let (succeeded, failed) = (told.succeeded, told.failed);
                        scope.policy.verdict(BranchCounts { total: scope.total, succeeded, failed })
                    });
                    // Its time decides what its branches have not; best_effort joins then.
                    let by_time = entry.record.event.event_type == SCOPE_TIMED_OUT
                        && verdict == Some(ScopeStatus::Open)
                        && told.opened.as_ref().map(|scope| scope.policy == JoinPolicy::BestEffort)
                            == Some(closed.status == ScopeStatus::Joined);
                    told.early |= !closed.canceled && !by_time && verdict != Some(closed.status);
                    told.canceled += usize::from(closed.canceled);
                    told.closed.push(closed.status);
                }
                _ => {}
            }
        }
    }
    let published = history.entries.iter().filter(|entry| entry.record.input.is_none()).map(|e| &e.record.event);
    for event in published.chain(&pending) {
        if let Some(scope) = completion_of(event) {
            scopes.entry(scope).or_default().completions.push(event.event_type.clone());
        }
    }
    scopes
}

/// The scope whose completion the event tells.
fn completion_of(event: &Event) -> Option<String> {
    if event.source.as_deref() != Some(ENGINE) {
        return None;
    }
    let payload = event.payload_value();
    payload.get("counts")?;
    Some(payload.get("scope")?.as_str()?.to_owned())
}

/// What the execution has emitted and not handled: it may tell a completion that is to be published yet.
fn pending_events(observed: &Observed, execution: &str, findings: &mut Findings) -> Vec<Event> {
    let pending = observed.root(execution).map_or(&[][..], |root| &root.pending);
    let mut events = Vec::new();
    for pending in pending.iter().filter(|pending| pending.input.is_none()) {
        match observed.schemas.read_event(&pending.event) {
            // What has a number is published, and waits for a redrive.
            Ok(event) if event.sequence > 0 => {}
            Ok(event) => events.push(event),
            Err(error) => {
                findings.add(Kind::Unreadable, execution, format!("pending event {}: {error}", pending.event_id));
            }
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use crate::oracle::made::assert_found;
    use crate::oracle::{Kind, made};

    #[test]
    fn a_join_told_twice() {
        let mut observed = made::observed();
        let place = made::event_index(&observed, "w-car", "checks.done");
        let mut again = observed.events[place].clone();
        again.event.event_id = "again".to_owned();
        observed.events.push(again);
        assert_found(&observed, &[Kind::JoinedTwice]);
    }

    #[test]
    fn a_join_never_told() {
        let mut observed = made::observed();
        let place = made::event_index(&observed, "w-car", "checks.done");
        observed.events.remove(place);
        assert_found(&observed, &[Kind::JoinUntold]);
    }

    #[test]
    fn a_join_before_the_last_branch() {
        let mut observed = made::observed();
        made::event_with_effect(&mut observed, "branch_done").effects.retain(|effect| effect.kind != "branch_done");
        assert_found(&observed, &[Kind::JoinedEarly]);
    }

    #[test]
    fn a_join_that_tells_success_of_a_failure() {
        let mut observed = made::observed();
        for record in observed.events.iter_mut().filter(|record| record.event.execution_id == "w-branch-fails") {
            for effect in record.event.effects.iter_mut().filter(|effect| effect.kind == "scope_closed") {
                let text = effect.json.as_str().replace("FAILED", "JOINED");
                effect.json = thalweg_core::Json::parse(text).unwrap();
            }
        }
        assert_found(&observed, &[Kind::JoinedEarly, Kind::JoinUntold, Kind::ContextDiffers]);
    }
}
