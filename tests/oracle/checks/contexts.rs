//! Every context is the fold of its events.

use serde::Serialize;
use serde_json::Value;

use thalweg_core::WorkflowStatus;
use thalweg_core::context::{Branch, Context, ContextKey, RecordKey, Scope};
use thalweg_core::effect::{PendingRef, Records};

use crate::oracle::anomaly::{Findings, Kind};
use crate::oracle::history::History;
use crate::oracle::observed::{Observed, Stored};
use super::View;

/// What the events do not tell: the inbox does, and [`super::windows`] asks it.
const TOLD_ELSEWHERE: [&str; 4] = ["applied_offset", "input_ids", "processed", "pending"];
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

/// An execution without events has no context, or one in which its start waits its turn.
fn check_shell(execution: &str, root: Option<&Context>, findings: &mut Findings) {
    if let Some(root) = root
        && (root.status != WorkflowStatus::Pending || root.sequence != 0 || root.pending.is_empty())
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
    check_inner_records(observed, execution, &folded, findings);
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
    for ((scope, name), branch) in &folded.branches {
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
