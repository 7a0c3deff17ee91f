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

#[cfg(test)]
mod tests {
    use thalweg_core::effect::{Effect, TimerRef};
    use thalweg_core::timer::{FIRED, Purpose, Timer, TimerEvent};

    use crate::oracle::made;
    use crate::oracle::{Kind, Observed, StillOpen};

    /// One event sets a timer, due so long after it, and another fires it.
    fn with_timer(due_after: i64) -> Observed {
        let mut observed = made::observed();
        let set = made::event_index(&observed, "w-chain", "chain.link");
        let event = &mut observed.events[set].event;
        let timer = Timer::new("timer".to_owned(), Purpose::Event, event.recorded_at.unwrap() + due_after);
        event.effects.push(Effect::TimerSet(Box::new(timer)).record());
        let event = &mut observed.events[set + 1].event;
        event.effects.push(Effect::TimerFired(TimerRef { timer_id: "timer".to_owned() }).record());
        event.event_type = FIRED.to_owned();
        observed
    }

    fn differences(observed: &Observed) -> Vec<String> {
        let anomalies = observed.check(StillOpen::Any).err().unwrap_or_default();
        let of_timers = anomalies.into_iter().filter(|anomaly| anomaly.kind == Kind::TimerDiffers);
        of_timers.map(|anomaly| anomaly.detail).collect()
    }

    #[test]
    fn a_timer_that_fires_before_its_time() {
        assert_eq!(differences(&with_timer(0)), [""; 0]);
        let early = differences(&with_timer(1_000_000_000));
        assert!(early.len() == 1 && early[0].contains("was due at"), "{early:?}");
    }

    #[test]
    fn a_timer_that_is_told_by_another_event() {
        let mut observed = with_timer(0);
        let fired = made::event_index(&observed, "w-chain", FIRED);
        observed.events[fired].event.event_type = "chain.link".to_owned();
        assert_eq!(differences(&observed).len(), 1);
    }

    #[test]
    fn an_event_that_no_timer_keeps() {
        let mut observed = made::observed();
        let kept = TimerEvent { timer_id: "timer".to_owned(), event: Vec::new() };
        made::root(&mut observed, "w-waiting").timer_events.push(kept);
        assert_eq!(differences(&observed).len(), 1);
    }
}
