//! When the executions of a partition have their next timers due.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use thalweg_core::Micros;

/// Executions with timers, by the time at which the next one is due. What fires leaves it when its transaction is
/// committed and the execution tells what it has then: so an abort has nothing to undo here.
#[derive(Default)]
pub struct TimerQueue {
    by_time: BTreeSet<(Micros, Arc<str>)>,
    /// When the next timer of an execution is due, and how many it has.
    by_execution: HashMap<Arc<str>, (Micros, usize)>,
    count: usize,
}

impl TimerQueue {
    /// Takes in what an execution has: when its next timer is due, and how many there are.
    pub fn set(&mut self, execution_id: &str, timers: Option<(Micros, usize)>) {
        if timers.is_none() && self.by_execution.is_empty() {
            return;
        }
        if let Some((id, (due, count))) = self.by_execution.remove_entry(execution_id) {
            self.count -= count;
            self.by_time.remove(&(due, id));
        }
        if let Some((due, count)) = timers {
            let id: Arc<str> = execution_id.into();
            self.count += count;
            self.by_time.insert((due, Arc::clone(&id)));
            self.by_execution.insert(id, (due, count));
        }
    }

    /// Timers that are pending.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The executions whose next timer is due, the earliest first.
    pub fn due(&self, now: Micros) -> impl Iterator<Item = &str> {
        self.by_time.iter().take_while(move |(due, _)| *due <= now).map(|(_, id)| &**id)
    }

    /// How long until the next is due, in whole milliseconds, rounded up: a wait of that length never ends too early.
    pub fn until_next(&self, now: Micros) -> Option<Duration> {
        let (due, _) = self.by_time.first()?;
        let micros = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
        Some(Duration::from_millis(micros.div_ceil(1000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_what_is_taken_back_does_not_come() {
        let mut queue = TimerQueue::default();
        for (id, due, count) in [("c", 30, 1), ("a", 10, 2), ("b", 20, 1)] {
            queue.set(id, Some((due, count)));
        }
        assert_eq!((queue.count(), queue.until_next(9)), (4, Some(Duration::from_millis(1))));
        assert_eq!(queue.due(9).next(), None, "never early");
        assert!(queue.due(20).eq(["a", "b"]));
        assert!(queue.due(20).eq(["a", "b"]), "it stays until it is committed");
        queue.set("a", Some((40, 1)));
        queue.set("b", None);
        assert!(queue.due(50).eq(["c", "a"]));
        assert_eq!((queue.count(), queue.until_next(31)), (2, Some(Duration::ZERO)));
        for id in ["a", "c", "d"] {
            queue.set(id, None);
        }
        assert_eq!((queue.count(), queue.until_next(0)), (0, None));
    }

    /// As many as one lane must hold: they come in order, a batch at a time.
    #[test]
    fn a_hundred_thousand_come_in_order() {
        const TIMERS: i64 = 100_000;
        let mut queue = TimerQueue::default();
        let due = |number: i64| number * 7919 % TIMERS;
        for number in 0..TIMERS {
            queue.set(&format!("execution-{number}"), Some((due(number), 1)));
        }
        assert_eq!(queue.count(), TIMERS as usize);
        let (mut seen, mut last) = (0, -1);
        while queue.due(TIMERS).next().is_some() {
            let batch: Vec<String> = queue.due(TIMERS).take(256).map(str::to_owned).collect();
            for id in batch {
                let at = due(id.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or(-1));
                assert!(at > last, "{at} after {last}");
                (seen, last) = (seen + 1, at);
                queue.set(&id, None);
            }
        }
        assert_eq!((seen, queue.count()), (TIMERS, 0));
    }
}
