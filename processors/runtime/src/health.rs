//! What the lanes of a process say about themselves, for `/livez`, `/readyz` and the watchdog.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The state of a process and its lanes.
#[derive(Debug)]
pub struct Health {
    lanes: Vec<Arc<Lane>>,
    inline_stuck: Duration,
}

#[derive(Debug)]
struct Lane {
    number: usize,
    joined: AtomicBool,
    partitions: Mutex<BTreeMap<i32, Partition>>,
    running: Mutex<Option<Running>>,
    failed: Mutex<Option<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Partition {
    Restoring,
    Waiting(String),
    Served,
    Stopped(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Running {
    task: Arc<str>,
    since: Instant,
}

/// An inline task at work, as the watchdog sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InlineRun {
    pub lane: usize,
    pub task: Arc<str>,
    pub since: Instant,
}

/// One lane's side of [`Health`]. Its clones speak for the same lane.
#[derive(Clone, Debug)]
pub struct LaneHealth(Arc<Lane>);

impl Health {
    /// The health of a process with this many lanes, and each lane's side of it.
    ///
    /// `inline_stuck` is how long an inline task may run before the process has to end.
    pub fn new(lanes: usize, inline_stuck: Duration) -> (Arc<Health>, Vec<LaneHealth>) {
        let lane = |number| {
            Arc::new(Lane {
                number,
                joined: AtomicBool::new(false),
                partitions: Mutex::default(),
                running: Mutex::default(),
                failed: Mutex::default(),
            })
        };
        let lanes: Vec<Arc<Lane>> = (0..lanes).map(lane).collect();
        let sides = lanes.iter().cloned().map(LaneHealth).collect();
        (Arc::new(Health { lanes, inline_stuck }), sides)
    }

    /// Why this process should be ended and started again: one reason a line, none if it is fine.
    ///
    /// An inline task counts from half of `inline_stuck` on, so that it is seen here before the
    /// watchdog acts.
    pub fn alive(&self) -> Vec<String> {
        let mut reasons: Vec<String> = self.lanes.iter().filter_map(|lane| lane.failure()).collect();
        for run in self.inline_runs() {
            let ran = run.since.elapsed();
            if ran >= self.inline_stuck / 2 {
                let (lane, task, seconds) = (run.lane, run.task, ran.as_secs_f64());
                reasons.push(format!("lane {lane}: the inline task {task} runs for {seconds:.1} s"));
            }
        }
        reasons
    }

    /// Why this process does not yet, or no longer, serve all that it was assigned: one reason a
    /// line, none if it does.
    pub fn ready(&self) -> Vec<String> {
        let mut reasons = self.alive();
        for lane in &self.lanes {
            let number = lane.number;
            if !lane.joined.load(Ordering::Acquire) {
                reasons.push(format!("lane {number}: has not joined its group"));
            }
            for (partition, state) in locked(&lane.partitions).iter() {
                match state {
                    Partition::Served => {}
                    Partition::Restoring => reasons.push(format!("lane {number}: restores partition {partition}")),
                    Partition::Waiting(reason) => {
                        reasons.push(format!("lane {number}: restores partition {partition}: {reason}"));
                    }
                    Partition::Stopped(reason) => {
                        reasons.push(format!("lane {number}: partition {partition} stopped: {reason}"));
                    }
                }
            }
        }
        reasons
    }

    /// How long an inline task may run before the process has to end.
    pub(crate) fn inline_stuck(&self) -> Duration {
        self.inline_stuck
    }

    /// The inline tasks at work, one a lane at most.
    pub(crate) fn inline_runs(&self) -> Vec<InlineRun> {
        let run = |lane: &Arc<Lane>| {
            let running = locked(&lane.running).clone()?;
            Some(InlineRun { lane: lane.number, task: running.task, since: running.since })
        };
        self.lanes.iter().filter_map(run).collect()
    }
}

impl LaneHealth {
    /// The lane's number, from 0.
    pub fn number(&self) -> usize {
        self.0.number
    }

    /// The lane is a member of its group: its first assignment came, were it empty.
    pub fn joined(&self) {
        self.0.joined.store(true, Ordering::Release);
    }

    /// These partitions were assigned, and have to be restored.
    pub fn assigned(&self, partitions: &[i32]) {
        locked(&self.0.partitions).extend(partitions.iter().map(|&partition| (partition, Partition::Restoring)));
    }

    /// The restore of this partition can't go on; `reason` is for people, in a line.
    pub fn waits(&self, partition: i32, reason: impl Into<String>) {
        self.set(partition, Partition::Waiting(reason.into()));
    }

    /// This partition is restored and served.
    pub fn restored(&self, partition: i32) {
        self.set(partition, Partition::Served);
    }

    /// This partition is not served any more, though assigned; `reason` is for people, in a line.
    pub fn stopped(&self, partition: i32, reason: impl Into<String>) {
        self.set(partition, Partition::Stopped(reason.into()));
    }

    /// These partitions were taken away.
    pub fn revoked(&self, partitions: &[i32]) {
        locked(&self.0.partitions).retain(|partition, _| !partitions.contains(partition));
    }

    /// The lane can't go on; `error` is for people, in a line.
    pub fn failed(&self, error: impl Into<String>) {
        *locked(&self.0.failed) = Some(error.into());
    }

    /// An inline task has begun; it ends when the result is dropped, also by a panic.
    #[must_use = "the task ends when this is dropped"]
    pub fn inline_task(&self, task: Arc<str>, since: Instant) -> InlineTask<'_> {
        *locked(&self.0.running) = Some(Running { task, since });
        InlineTask(self)
    }

    /// Changes a partition that is still assigned: a restore may end after its revoke.
    fn set(&self, partition: i32, state: Partition) {
        if let Some(current) = locked(&self.0.partitions).get_mut(&partition) {
            *current = state;
        }
    }
}

/// An inline task at work on a lane.
#[derive(Debug)]
pub struct InlineTask<'a>(&'a LaneHealth);

impl Drop for InlineTask<'_> {
    fn drop(&mut self) {
        *locked(&self.0.0.running) = None;
    }
}

impl Lane {
    fn failure(&self) -> Option<String> {
        locked(&self.failed).as_ref().map(|error| format!("lane {}: {error}", self.number))
    }
}

/// A thread that panicked while it held one of these locks left nothing half-done behind it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn ready_when_every_lane_joined_and_all_assigned_is_restored() {
        let (health, lanes) = Health::new(2, Duration::from_secs(30));
        assert_eq!(health.ready(), ["lane 0: has not joined its group", "lane 1: has not joined its group"]);
        lanes[0].joined();
        lanes[0].assigned(&[3, 5]);
        lanes[1].joined();
        lanes[1].assigned(&[]);
        lanes[0].restored(3);
        assert_eq!(health.ready(), ["lane 0: restores partition 5"]);
        assert_eq!(health.alive(), [""; 0]);
        lanes[0].restored(5);
        assert_eq!(health.ready(), [""; 0]);

        lanes[0].assigned(&[7]);
        lanes[0].revoked(&[5, 7]);
        lanes[0].restored(7);
        assert_eq!(health.ready(), [""; 0]);
    }

    #[test]
    fn a_stopped_partition_is_not_ready_but_alive() {
        let (health, lanes) = Health::new(1, Duration::from_secs(30));
        lanes[0].joined();
        lanes[0].assigned(&[1]);
        lanes[0].stopped(1, "WORKFLOW_UNKNOWN: claim");
        assert_eq!(health.ready(), ["lane 0: partition 1 stopped: WORKFLOW_UNKNOWN: claim"]);
        assert_eq!(health.alive(), [""; 0]);
    }

    #[test]
    fn a_restore_that_waits_says_for_what() {
        let (health, lanes) = Health::new(1, Duration::from_secs(30));
        lanes[0].joined();
        lanes[0].assigned(&[1]);
        lanes[0].waits(1, "a transaction is open");
        assert_eq!(health.ready(), ["lane 0: restores partition 1: a transaction is open"]);
        assert_eq!(health.alive(), [""; 0]);
        lanes[0].restored(1);
        assert_eq!(health.ready(), [""; 0]);
    }

    #[test]
    fn a_failed_lane_is_neither_alive_nor_ready() {
        let (health, lanes) = Health::new(1, Duration::from_secs(30));
        lanes[0].joined();
        lanes[0].failed("INBOX_REPLACED");
        assert_eq!(health.alive(), ["lane 0: INBOX_REPLACED"]);
        assert_eq!(health.ready(), ["lane 0: INBOX_REPLACED"]);
    }

    #[test]
    fn a_long_inline_task_is_named() {
        let (health, lanes) = Health::new(1, Duration::ZERO);
        let at_work = lanes[0].inline_task("risk".into(), Instant::now());
        let reasons = health.alive();
        assert!(reasons[0].starts_with("lane 0: the inline task risk runs for "), "{reasons:?}");
        drop(at_work);
        assert_eq!(health.alive(), [""; 0]);
    }

    #[test]
    fn a_task_that_panics_is_over() {
        let (health, lanes) = Health::new(1, Duration::ZERO);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _at_work = lanes[0].inline_task("risk".into(), Instant::now());
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(health.inline_runs(), []);
    }
}
