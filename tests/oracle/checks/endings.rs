//! Every execution ends once, and then nothing follows.

use thalweg_core::WorkflowStatus;

use super::{StillOpen, View};
use crate::oracle::anomaly::{Findings, Kind};
use crate::oracle::history::{ENDS, History};

pub(super) fn check(view: &View, still_open: StillOpen, findings: &mut Findings) {
    for (execution, history) in &view.histories {
        check_end(execution, history, findings);
        if !history.ended() && !may_be_open(view, execution, still_open) {
            let status = view.observed.root(execution).map_or("unknown", |root| root.status.as_str());
            findings.add(Kind::NotEnded, execution, format!("its status is {status}, no event tells its end"));
        }
    }
}

fn check_end(execution: &str, history: &History, findings: &mut Findings) {
    for entry in &history.entries {
        let event = &entry.record.event;
        if entry.ends() != ENDS.contains(&event.event_type.as_str()) {
            findings.add(
                Kind::EffectWithoutCause,
                execution,
                format!("event {} ({}) and its effects do not agree on the end", event.sequence, event.event_type),
            );
        }
    }
    // Only a redrive may follow.
    let mut entries = history.entries.iter().zip(history.entries.iter().skip(1));
    if let Some((_, after)) = entries.find(|(entry, after)| entry.ends() && !after.redrives()) {
        let event = &after.record.event;
        findings.add(
            Kind::EndedTwice,
            execution,
            format!("event {} ({}) follows its end", event.sequence, event.event_type),
        );
    }
}

/// An execution of which nothing is left but rejections is none of ours.
fn may_be_open(view: &View, execution: &str, still_open: StillOpen) -> bool {
    let root = view.observed.root(execution);
    // Nor is one that nobody has started.
    let exists = root.is_some_and(|root| !root.is_unstarted())
        || view.histories.get(execution).is_some_and(|history| !history.entries.is_empty());
    match still_open {
        StillOpen::None => !exists,
        StillOpen::Waiting => {
            !exists || root.is_some_and(|root| root.status == WorkflowStatus::Waiting && root.pending.is_empty())
        }
        StillOpen::Any => true,
    }
}

#[cfg(test)]
mod tests {
    use crate::oracle::made::assert_found;
    use crate::oracle::{Anomaly, Kind, StillOpen, made};

    #[test]
    fn open_executions_must_be_allowed() {
        let observed = made::observed();
        let kinds = |still_open| made::kinds(observed.check(still_open));
        assert_eq!(kinds(StillOpen::Any), []);
        assert_eq!(kinds(StillOpen::Waiting), [Kind::NotEnded], "one has pending work");
        assert_eq!(kinds(StillOpen::None), [Kind::NotEnded]);
        let unended = observed.check(StillOpen::None).unwrap_err();
        assert_eq!(unended.len(), made::STILL_OPEN.len(), "{unended:?}");
    }

    #[test]
    fn an_accepted_start_that_reaches_no_end() {
        let mut observed = made::observed();
        let end = made::event_index(&observed, "w-car", "workflow.completed");
        observed.events.remove(end);
        let anomalies = observed.check(StillOpen::Waiting).unwrap_err();
        let unended = |anomaly: &Anomaly| anomaly.kind == Kind::NotEnded && anomaly.subject == "w-car";
        assert!(anomalies.iter().any(unended), "{anomalies:?}");
    }

    #[test]
    fn something_after_the_end() {
        let mut observed = made::observed();
        let end = made::event_index(&observed, "w-car", "workflow.completed");
        let mut after = observed.events[end].clone();
        after.event.event_id = "after".to_owned();
        after.event.event_type = "risk.assessed".to_owned();
        after.event.effects.clear();
        after.event.sequence += 1;
        after.position.offset += 1000;
        observed.events.push(after);
        assert_found(&observed, &[Kind::EndedTwice]);
    }

    #[test]
    fn an_end_that_does_not_close() {
        let mut observed = made::observed();
        let end = made::event_index(&observed, "w-car", "workflow.completed");
        observed.events[end].event.effects.clear();
        assert_found(&observed, &[Kind::EffectWithoutCause, Kind::ContextDiffers]);
    }
}
