//! Waiting for a condition instead of for a time.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at a condition: short beside what tests wait for, long beside a look's cost.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `condition` gives a value; panics with `what` when `deadline` has passed without.
#[track_caller]
pub fn eventually<T>(deadline: Duration, what: &str, condition: impl FnMut() -> Option<T>) -> T {
    match within(deadline, condition) {
        Some(value) => value,
        None => panic!("not within {deadline:?}: {what}"),
    }
}

/// Like [`eventually`], for a condition that says what it sees while it does not hold: the panic
/// ends with the state seen last.
#[track_caller]
pub fn eventually_observed<T, S: Display>(
    deadline: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<T, S>,
) -> T {
    let mut last_seen = None;
    let value = within(deadline, || match condition() {
        Ok(value) => Some(value),
        Err(state) => {
            last_seen = Some(state);
            None
        }
    });
    match (value, last_seen) {
        (Some(value), _) => value,
        (None, Some(state)) => panic!("not within {deadline:?}: {what}; last seen: {state}"),
        (None, None) => unreachable!("the condition is looked at once at least"),
    }
}

/// Waits until `condition` gives a value, and at most until `deadline`. The last look comes after
/// the deadline, so that a slow look cannot turn a condition that holds into a failure.
pub(super) fn within<T>(deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        let last = Instant::now() >= end;
        let value = condition();
        if value.is_some() || last {
            return value;
        }
        thread::park_timeout(PAUSE);
    }
}
