//! What happens once was recorded once, and nothing ends that has not begun.

use std::collections::BTreeSet;

use thalweg_core::effect::Effect;

use super::View;
use crate::oracle::anomaly::{Findings, Kind};
use crate::oracle::history::{Entry, History};

pub(super) fn check(view: &View, findings: &mut Findings) {
    for (execution, history) in &view.histories {
        check_history(execution, history, findings);
    }
}

/// The id of the execution as a whole.
const EXECUTION: &str = "the execution";

/// What an effect says of something that has an id: it begins or it ends.
enum Says {
    Begins(String),
    Ends(String),
}

fn check_history(execution: &str, history: &History, findings: &mut Findings) {
    let (mut begun, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for (entry, effect) in history.entries.iter().flat_map(|entry| entry.effects.iter().map(move |e| (entry, e))) {
        if let Effect::Redriven(_) = effect {
            // What a failure had ended may end once more.
            ended.remove(EXECUTION);
        }
        for says in says(effect) {
            let (kind, id) = match says {
                Says::Begins(id) if !begun.insert(id.clone()) => (Kind::EffectTwice, id),
                Says::Ends(id) if !begun.contains(&id) => (Kind::EffectWithoutCause, id),
                Says::Ends(id) if !ended.insert(id.clone()) => (Kind::EffectTwice, id),
                Says::Begins(_) | Says::Ends(_) => continue,
            };
            let sequence = entry.record.event.sequence;
            findings.add(kind, execution, format!("{id}, once more or out of the blue in event {sequence}"));
        }
    }
    check_first(execution, history, findings);
}

fn says(effect: &Effect) -> Vec<Says> {
    let one = |says: Says| vec![says];
    match effect {
        Effect::Created(_) => one(Says::Begins(EXECUTION.to_owned())),
        Effect::Closed(_) => one(Says::Ends(EXECUTION.to_owned())),
        Effect::WaitAdded(wait) => one(Says::Begins(format!("wait {}", wait.wait_id))),
        Effect::WaitTaken(taken) => one(Says::Ends(format!("wait {}", taken.wait_id))),
        Effect::ScopeOpened(scope) => one(Says::Begins(format!("scope {}", scope.scope))),
        Effect::ScopeClosed(closed) => one(Says::Ends(format!("scope {}", closed.scope))),
        Effect::BranchOpened(opened) => one(Says::Begins(format!("branch {} of {}", opened.branch, opened.scope))),
        Effect::BranchDone(done) => one(Says::Ends(format!("branch {} of {}", done.branch, done.scope))),
        Effect::PendingAdded(added) => {
            added.iter().map(|p| Says::Begins(format!("pending {} at depth {}", p.event_id, p.depth))).collect()
        }
        Effect::PendingTaken(taken) => one(Says::Ends(format!("pending {} at depth {}", taken.event_id, taken.depth))),
        Effect::TimerSet(timer) => one(Says::Begins(format!("timer {}", timer.timer_id))),
        Effect::TimerFired(gone) | Effect::TimerCancelled(gone) => one(Says::Ends(format!("timer {}", gone.timer_id))),
        Effect::Patch(_)
        | Effect::Status(_)
        | Effect::Task(_)
        | Effect::BranchHandled(_)
        | Effect::BranchesBegun(_)
        | Effect::Used(_)
        | Effect::LimitReached(_)
        | Effect::Late {}
        | Effect::Stalled {}
        | Effect::Redriven(_)
        | Effect::ChildStarted(_)
        | Effect::ChildEnded(_)
        | Effect::EndHeld(_)
        | Effect::ToolCalled(_)
        | Effect::ToolReturned(_)
        | Effect::Orphan {}
        | Effect::Continued(_)
        | Effect::Tracked(_) => Vec::new(),
    }
}

/// The execution begins with its first event, and with no other.
fn check_first(execution: &str, history: &History, findings: &mut Findings) {
    let creates = |entry: &Entry| entry.effects.iter().any(|effect| matches!(effect, Effect::Created(_)));
    if let Some(first) = history.entries.first()
        && !creates(first)
    {
        let event = &first.record.event;
        findings.add(
            Kind::EffectWithoutCause,
            execution,
            format!("its first event, {} ({}), does not begin it", event.sequence, event.event_type),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::oracle::made::assert_found;
    use crate::oracle::{Kind, made};

    #[test]
    fn an_effect_recorded_twice() {
        for kind in ["wait_added", "scope_opened", "branch_opened", "branch_done", "scope_closed", "closed"] {
            let mut observed = made::observed();
            let event = made::event_with_effect(&mut observed, kind);
            let again = event.effects.iter().find(|effect| effect.kind == kind).unwrap().clone();
            event.effects.push(again);
            assert_found(&observed, &[Kind::EffectTwice]);
        }
    }

    #[test]
    fn an_effect_without_its_cause() {
        for (cause, effect) in [("wait_added", "wait_taken"), ("pending_added", "pending_taken")] {
            let mut observed = made::observed();
            made::event_with_effect(&mut observed, effect);
            for record in &mut observed.events {
                record.event.effects.retain(|effect| effect.kind != cause);
            }
            assert_found(&observed, &[Kind::EffectWithoutCause]);
        }
    }

    #[test]
    fn a_history_without_its_beginning() {
        let mut observed = made::observed();
        let event = made::event_with_effect(&mut observed, "created");
        event.effects.retain(|effect| effect.kind != "created");
        assert_found(&observed, &[Kind::EffectWithoutCause, Kind::ContextDiffers]);
    }

    #[test]
    fn an_effect_of_unknown_kind() {
        let mut observed = made::observed();
        made::event_with_effect(&mut observed, "created").effects[0].kind = "dreamt".into();
        assert_found(&observed, &[Kind::Unreadable]);
    }
}
