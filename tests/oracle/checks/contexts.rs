//! Every context is the fold of its events.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use thalweg_core::WorkflowStatus;
use thalweg_core::context::{Branch, Context, ContextKey, RecordKey, Scope};
use thalweg_core::effect::PendingRef;
use thalweg_core::records::Records;

use super::View;
use crate::oracle::anomaly::{Findings, Kind};
use crate::oracle::history::History;
use crate::oracle::observed::{Observed, Stored};

/// What the events do not tell: the inbox does, and [`super::windows`] asks it.
const TOLD_ELSEWHERE: [&str; 6] = ["applied_offset", "input_ids", "processed", "pending", "timer_events", "early"];
/// Characters of a value that are shown.
const SHOWN: usize = 300;

pub(super) fn check(view: &View, findings: &mut Findings) {
    for (execution, history) in &view.histories {
        let root = view.observed.root(execution);
        if history.entries.is_empty() {
            check_shell(execution, root, findings);
        } else if history.is_gapless() {
            check_fold(view.observed, execution, history, findings);
        }
    }
    for (key, record) in &view.observed.contexts {
        check_key(key, &record.stored, findings);
    }
}

/// An execution without events has no context, or one in which its start waits its turn, or others wait for its start.
fn check_shell(execution: &str, root: Option<&Context>, findings: &mut Findings) {
    if let Some(root) = root
        && (root.status != WorkflowStatus::Pending
            || root.sequence != 0
            || (root.pending.is_empty() && root.early.is_empty()))
    {
        findings.add(Kind::ContextMissing, execution, format!("a context ({}) without events", root.status));
    }
}

fn check_fold(observed: &Observed, execution: &str, history: &History, findings: &mut Findings) {
    let root_key = RecordKey::Root(execution.to_owned());
    let Some(root) = observed.root(execution) else {
        if !(history.ended() && observed.forgotten.contains(&root_key)) {
            findings.add(Kind::ContextMissing, execution, "it has events and no context");
        }
        return;
    };
    let mut folded = Records::default();
    for entry in &history.entries {
        if let Err(error) = folded.fold_event(&entry.record.event) {
            findings.add(Kind::Unreadable, &entry.record.position, error.to_string());
        }
    }
    let mut differs = |detail: String| findings.add(Kind::ContextDiffers, execution, detail);
    match &folded.context {
        Some(context) => {
            for difference in differences(context, root) {
                differs(difference);
            }
        }
        None => differs("its events make no context".to_owned()),
    }
    let pending: Vec<PendingRef> = root
        .pending
        .iter()
        .filter(|pending| pending.input.is_none())
        .map(|pending| PendingRef { event_id: pending.event_id.clone(), depth: pending.depth })
        .collect();
    if folded.pending != pending {
        differs(format!("pending: folded {:?}, stored {pending:?}", folded.pending));
    }
    leave_out(observed, root, history, &mut folded);
    check_inner_records(observed, execution, &folded, findings);
}

/// An execution that has succeeded may have left no record, not one, of a scope to which no event refers.
fn leave_out(observed: &Observed, root: &Context, history: &History, folded: &mut Records) {
    if root.status != WorkflowStatus::Success {
        return;
    }
    let stored: BTreeSet<&str> = observed
        .contexts
        .keys()
        .filter_map(|key| match key {
            RecordKey::Inner(inner) if inner.execution_id == root.execution_id => Some(inner.scope.as_str()),
            RecordKey::Inner(_) | RecordKey::Root(_) => None,
        })
        .collect();
    let payloads = history.entries.iter().map(|entry| entry.record.event.payload_value());
    let referred: BTreeSet<String> =
        payloads.filter_map(|payload| Some(payload.get("results_in")?.get("scope")?.as_str()?.to_owned())).collect();
    let is_left = |scope: &str| stored.contains(scope) || referred.contains(scope);
    folded.scopes.retain(|scope, _| is_left(scope));
    folded.branches.retain_scopes(is_left);
}

/// The scopes and branches, each way.
fn check_inner_records(observed: &Observed, execution: &str, folded: &Records, findings: &mut Findings) {
    let mut differs = |detail: String| findings.add(Kind::ContextDiffers, execution, detail);
    let key = |scope: &str, branch: Option<&str>| ContextKey {
        execution_id: execution.to_owned(),
        scope: scope.to_owned(),
        branch: branch.map(str::to_owned),
    };
    let mut expected = 0;
    let mut compare = |key: ContextKey, found: &dyn Fn(&Stored) -> Vec<String>| {
        expected += 1;
        match observed.contexts.get(&RecordKey::Inner(key.clone())) {
            Some(record) => found(&record.stored).into_iter().for_each(|detail| differs(format!("{key:?}: {detail}"))),
            None => differs(format!("{key:?} has no record")),
        }
    };
    for (id, scope) in &folded.scopes {
        compare(key(id, None), &|stored| match stored {
            Stored::Scope(stored) => differences::<Scope>(scope, stored),
            Stored::Root(_) | Stored::Branch(_) => vec!["is no scope".to_owned()],
        });
    }
    for (scope, name, branch) in folded.branches.iter() {
        compare(key(scope, Some(name)), &|stored| match stored {
            Stored::Branch(stored) => differences::<Branch>(branch, stored),
            Stored::Root(_) | Stored::Scope(_) => vec!["is no branch".to_owned()],
        });
    }
    let stored = observed
        .contexts
        .keys()
        .filter(|stored| matches!(stored, RecordKey::Inner(inner) if inner.execution_id == execution))
        .count();
    if stored > expected {
        differs(format!("{stored} records of scopes and branches are stored, the events account for {expected}"));
    }
}

/// The fields in which a stored record is not as it was folded.
fn differences<T: Serialize>(folded: &T, stored: &T) -> Vec<String> {
    let (Ok(Value::Object(folded)), Ok(Value::Object(stored))) =
        (serde_json::to_value(folded), serde_json::to_value(stored))
    else {
        return vec!["is no record".to_owned()];
    };
    let told = |name: &&String| !TOLD_ELSEWHERE.contains(&name.as_str());
    folded
        .keys()
        .filter(told)
        .filter(|name| folded.get(*name) != stored.get(*name))
        .map(|name| format!("{name}: folded {}, stored {}", shown(folded.get(name)), shown(stored.get(name))))
        .collect()
}

fn shown(value: Option<&Value>) -> String {
    value.map(Value::to_string).unwrap_or_default().chars().take(SHOWN).collect()
}

/// The record names what its key names.
fn check_key(key: &RecordKey, stored: &Stored, findings: &mut Findings) {
    let named = match stored {
        Stored::Root(root) => RecordKey::Root(root.execution_id.clone()),
        Stored::Scope(scope) => RecordKey::Inner(ContextKey {
            execution_id: scope.execution_id.clone(),
            scope: scope.scope.clone(),
            branch: None,
        }),
        Stored::Branch(branch) => RecordKey::Inner(ContextKey {
            execution_id: branch.execution_id.clone(),
            scope: branch.scope.clone(),
            branch: Some(branch.branch.clone()),
        }),
    };
    if named != *key {
        findings.add(Kind::Misplaced, super::execution_of(key), format!("under {key:?} lies {named:?}"));
    }
}

#[cfg(test)]
mod tests {
    use crate::oracle::made::{self, assert_found};
    use crate::oracle::{Kind, Observed, Stored};
    use serde_json::json;
    use thalweg_core::context::RecordKey;
    use thalweg_core::{TaskStatus, WorkflowStatus};

    type Spoil = fn(&mut made::Context);

    fn inner(observed: &Observed, branch: bool) -> RecordKey {
        let is_it = |key: &&RecordKey| matches!(key, RecordKey::Inner(inner) if inner.branch.is_some() == branch);
        observed.contexts.keys().find(is_it).unwrap().clone()
    }

    #[test]
    fn a_root_record_that_is_not_the_fold() {
        let spoils: [(&str, Spoil); 9] = [
            ("w-car", |root| root.data["fraud"] = json!(true)),
            ("w-car", |root| root.status = WorkflowStatus::Failed),
            ("w-car", |root| root.sequence += 1),
            ("w-car", |root| root.completed_at = None),
            ("w-car", |root| root.tasks[0].status = TaskStatus::TimedOut),
            ("w-waiting", |root| root.waits.clear()),
            ("w-waiting", |root| root.correlation_id = "another".to_owned()),
            ("w-waiting", |root| root.updated_at += 1),
            ("w-waiting", |root| root.stalled = true),
        ];
        for (execution, spoil) in spoils {
            let mut observed = made::observed();
            spoil(made::root(&mut observed, execution));
            assert_found(&observed, &[Kind::ContextDiffers]);
        }
    }

    #[test]
    fn pending_emissions_that_the_events_do_not_tell() {
        let spoils: [Spoil; 3] = [
            |root| root.pending.retain(|pending| pending.input.is_some()),
            |root| root.pending[0].depth += 1,
            |root| root.pending.push(root.pending[0].clone()),
        ];
        for spoil in spoils {
            let mut observed = made::observed();
            let root = made::root(&mut observed, "w-pending");
            assert!(root.pending[0].input.is_none());
            spoil(root);
            assert_found(&observed, &[Kind::ContextDiffers]);
        }
    }

    #[test]
    fn a_scope_or_branch_that_is_not_the_fold() {
        let mut observed = made::observed();
        for branch in [false, true] {
            let key = inner(&observed, branch);
            match &mut observed.contexts.get_mut(&key).unwrap().stored {
                Stored::Scope(scope) => scope.succeeded += 1,
                Stored::Branch(branch) => branch.open_scopes += 1,
                Stored::Root(_) => unreachable!("an inner record"),
            }
            assert_found(&observed, &[Kind::ContextDiffers]);
            observed = made::observed();
            observed.contexts.remove(&key);
            assert_found(&observed, &[Kind::ContextDiffers]);
            observed = made::observed();
        }
    }

    #[test]
    fn a_branch_that_no_event_opened() {
        let mut observed = made::observed();
        let key = inner(&observed, true);
        let mut record = observed.contexts[&key].clone();
        let (RecordKey::Inner(mut key), Stored::Branch(branch)) = (key, &mut record.stored) else {
            unreachable!("a branch")
        };
        branch.branch = "dreamt".to_owned();
        key.branch = Some("dreamt".to_owned());
        observed.contexts.insert(RecordKey::Inner(key), record);
        assert_found(&observed, &[Kind::ContextDiffers]);
    }

    #[test]
    fn a_record_under_the_key_of_another() {
        let mut observed = made::observed();
        let other = observed.contexts[&RecordKey::Root("w-chain".to_owned())].stored.clone();
        observed.contexts.get_mut(&RecordKey::Root("w-closes".to_owned())).unwrap().stored = other;
        assert_found(&observed, &[Kind::Misplaced, Kind::ContextDiffers]);
    }

    #[test]
    fn a_history_without_a_context() {
        let mut observed = made::observed();
        let key = RecordKey::Root("w-car".to_owned());
        observed.contexts.remove(&key);
        assert_found(&observed, &[Kind::ContextMissing]);
        let mut observed = made::observed();
        observed.events.retain(|record| record.event.execution_id != "w-car");
        assert_found(&observed, &[Kind::ContextMissing]);
    }

    #[test]
    fn a_tombstone_is_for_what_has_ended() {
        for (execution, kinds) in [("w-task-fails", &[][..]), ("w-waiting", &[Kind::ContextMissing])] {
            let mut observed = made::observed();
            let key = RecordKey::Root(execution.to_owned());
            observed.contexts.remove(&key);
            observed.forgotten.insert(key);
            assert_eq!(made::kinds(observed.check(crate::oracle::StillOpen::Any)), kinds, "{execution}");
        }
    }
}
