//! Clocks: the time that is recorded, and the time that passes even while the machine sleeps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_gettime};
use thalweg_core::Micros;

/// A point on the clock that goes on while the process, or the whole machine, is suspended.
#[derive(Clone, Copy, Debug)]
pub struct BootClock(Timespec);

impl BootClock {
    /// Now.
    pub fn now() -> BootClock {
        BootClock(clock_gettime(ClockId::Boottime))
    }

    /// Time since then.
    pub fn elapsed(self) -> Duration {
        let now = clock_gettime(ClockId::Boottime);
        let nanos = i128::from(now.tv_sec - self.0.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec - self.0.tv_nsec);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

/// The wall clock, in microseconds since the epoch.
pub fn wall_clock() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
