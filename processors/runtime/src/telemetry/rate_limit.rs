//! Log lines that would come again and again: one an interval, with the count of those held back.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Lets one line an interval through for each key.
///
/// It remembers every key, so they come from a closed set.
#[derive(Debug)]
pub(crate) struct RateLimit<K> {
    interval: Duration,
    lines: HashMap<K, Line>,
}

#[derive(Debug)]
struct Line {
    written: Instant,
    held_back: u64,
}

impl<K: Eq + Hash> RateLimit<K> {
    /// Nothing was written yet.
    pub fn new(interval: Duration) -> RateLimit<K> {
        RateLimit { interval, lines: HashMap::new() }
    }

    /// Where a line is due: how many of its kind were held back since the last one. Else it is held back itself.
    pub fn due(&mut self, key: K, now: Instant) -> Option<u64> {
        let Some(line) = self.lines.get_mut(&key) else {
            self.lines.insert(key, Line { written: now, held_back: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(line.written) < self.interval {
            line.held_back += 1;
            return None;
        }
        line.written = now;
        Some(std::mem::take(&mut line.held_back))
    }

    /// The next line of this key is due at once. Whether there was one.
    pub fn forget(&mut self, key: &K) -> bool {
        self.lines.remove(key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_an_interval_and_a_count() {
        let start = Instant::now();
        let mut limit = RateLimit::new(Duration::from_secs(10));
        let lines: Vec<u64> =
            (0..25_000).filter_map(|ms| limit.due("down", start + Duration::from_millis(ms))).collect();
        assert_eq!(lines, [0, 9_999, 9_999]);
    }

    #[test]
    fn each_key_has_its_own_interval() {
        let start = Instant::now();
        let mut limit = RateLimit::new(Duration::from_secs(10));
        assert_eq!(limit.due("a", start), Some(0));
        assert_eq!(limit.due("b", start), Some(0));
        assert_eq!(limit.due("a", start), None);
        assert!(limit.forget(&"a"));
        assert!(!limit.forget(&"a"));
        assert_eq!(limit.due("a", start), Some(0));
        assert_eq!(limit.due("b", start), None);
    }
}
