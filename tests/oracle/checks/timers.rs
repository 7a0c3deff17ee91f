//! Timers fire not before their time, each told by one event. That they fire once, `effects` holds.

use std::collections::BTreeMap;

use thalweg_core::effect::Effect;
use thalweg_core::timer::{FIRED, Timer, TimerEvent};

use super::View;
use crate::oracle::anomaly::{Findings, Kind};
use crate::oracle::history::History;

pub(super) fn check(view: &View, findings: &mut Findings) {
    for (execution, history) in &view.histories {
        check_history(execution, history, findings);
        if let Some(root) = view.observed.root(execution) {
            check_kept(execution, &root.timers, &root.timer_events, findings);
        }
    }
}

fn check_history(execution: &str, history: &History, findings: &mut Findings) {
    let mut differs = |detail: String| findings.add(Kind::TimerDiffers, execution, detail);
    let mut timers: BTreeMap<&str, &Timer> = BTreeMap::new();
    for entry in &history.entries {
        let event = &entry.record.event;
        let fires = entry.effects.iter().any(|effect| matches!(effect, Effect::TimerFired(_)));
        if fires != (event.event_type == FIRED) {
            differs(format!("event {} ({}) and its effects do not agree on a timer", event.sequence, event.event_type));
        }
        for effect in &entry.effects {
            match effect {
                Effect::TimerSet(timer) => drop(timers.insert(&timer.timer_id, timer)),
                Effect::TimerFired(fired) => {
                    let due = timers.get(fired.timer_id.as_str()).map(|timer| timer.due_at);
                    if event.recorded_at < due {
                        let at = event.recorded_at;
                        differs(format!("timer {} was due at {due:?} and fired at {at:?}", fired.timer_id));
                    }
                }
                _ => {}
            }
        }
    }
}

/// What is kept is kept by a pending timer, and every timer has what it says that it keeps.
fn check_kept(execution: &str, timers: &[Timer], kept: &[TimerEvent], findings: &mut Findings) {
    let mut keeping: Vec<&str> =
        timers.iter().filter(|timer| timer.event_id.is_some()).map(|timer| timer.timer_id.as_str()).collect();
    let mut stored: Vec<&str> = kept.iter().map(|kept| kept.timer_id.as_str()).collect();
    keeping.sort_unstable();
    stored.sort_unstable();
    if keeping != stored {
        findings.add(Kind::TimerDiffers, execution, format!("timers {keeping:?} keep an event, stored are {stored:?}"));
    }
}
