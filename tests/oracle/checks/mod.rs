//! The promises: one file each, a function over what was observed.

mod contexts;
mod dead_letters;
mod effects;
mod endings;
mod events;
mod inputs;
mod joins;
mod offsets;
mod timers;
mod windows;

use thalweg_core::context::RecordKey;

use super::anomaly::{Anomaly, Findings, Kind};
use super::history::{Histories, histories};
use super::input::{Inputs, Outcome, Taken, inputs, taken};
use super::observed::Observed;
use super::summary::Summary;

/// Which executions may be open when all is at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StillOpen {
    /// None: every one must have ended.
    None,
    /// Those that wait for an event from outside.
    Waiting,
    /// Any: those that wait, have stalled, or have pending work.
    Any,
}

/// What was observed, in the order in which the promises look at it.
pub struct View<'a> {
    pub observed: &'a Observed,
    pub histories: Histories<'a>,
    pub inputs: &'a Inputs<'a>,
    pub taken: Taken<'a>,
}

/// Whose record is it?
pub fn execution_of(key: &RecordKey) -> &str {
    match key {
        RecordKey::Root(execution_id) => execution_id,
        RecordKey::Inner(key) => &key.execution_id,
    }
}

impl Observed {
    /// Was every promise kept?
    ///
    /// # Errors
    /// Every promise that was not.
    pub fn check(&self, still_open: StillOpen) -> Result<Summary, Vec<Anomaly>> {
        let mut findings = Findings::default();
        for (position, why) in &self.unreadable {
            findings.add(Kind::Unreadable, position, why.clone());
        }
        let histories = histories(self, &mut findings);
        let inputs = inputs(self, &mut findings);
        let taken = taken(self, &inputs);
        let view = View { observed: self, histories, inputs: &inputs, taken };
        events::check(&view, &mut findings);
        effects::check(&view, &mut findings);
        endings::check(&view, still_open, &mut findings);
        joins::check(&view, &mut findings);
        contexts::check(&view, &mut findings);
        windows::check(&view, &mut findings);
        inputs::check(&view, &mut findings);
        dead_letters::check(&view, &mut findings);
        offsets::check(&view, &mut findings);
        timers::check(&view, &mut findings);
        let anomalies = findings.into_sorted();
        if anomalies.is_empty() { Ok(summary(&view)) } else { Err(anomalies) }
    }
}

fn summary(view: &View) -> Summary {
    let mut summary =
        Summary { inputs: view.inputs.len(), dead_letters: view.observed.dead_letters.len(), ..Summary::default() };
    for input in view.inputs.values() {
        match input.outcomes.first() {
            Some(Outcome::Applied(_)) => summary.applied += 1,
            Some(Outcome::Rejected(_)) => summary.rejected += 1,
            Some(Outcome::DeadLettered(_)) => summary.dead_lettered += 1,
            Some(Outcome::Forwarded(_)) => summary.forwarded += 1,
            Some(Outcome::Pending(_)) => summary.pending += 1,
            None => summary.duplicates += 1,
        }
    }
    for (execution, history) in &view.histories {
        summary.events += history.entries.len();
        summary.joins += joins::count(history);
        if let Some(root) = view.observed.root(execution) {
            *summary.executions.entry(root.status).or_default() += 1;
        }
    }
    summary
}

#[cfg(test)]
mod tests {
    use thalweg_core::WorkflowStatus;

    use super::StillOpen;
    use crate::oracle::made;

    #[test]
    fn nothing_is_wrong_with_a_sound_run() {
        let summary = made::observed().check(StillOpen::Any).unwrap();
        assert_eq!(summary.inputs, made::INPUTS);
        assert!(summary.in_status(WorkflowStatus::Success) > 0);
        assert!(summary.in_status(WorkflowStatus::Failed) > 0);
        assert!(summary.in_status(WorkflowStatus::Waiting) > 0);
        assert_eq!(summary.rejected, 3, "two after the end, one taken in before it");
        for count in [
            summary.applied,
            summary.duplicates,
            summary.rejected,
            summary.dead_lettered,
            summary.forwarded,
            summary.pending,
            summary.joins,
        ] {
            assert!(count > 0, "the run has one of each: {summary}");
        }
    }
}
