//! Ends the process when an inline task never returns: nothing else can take its lane back.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tracing::error;

use crate::health::{Health, InlineRun};

/// Looks within the time that an inline task may be stuck.
const LOOKS: u32 = 20;
/// Between two looks at least.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The exit code of a process that was ended.
const EXIT_STUCK: i32 = 1;

/// The watch over the inline tasks of a process. It ends when this is dropped.
#[derive(Debug)]
pub struct Watchdog {
    _stop: Sender<()>,
}

impl Watchdog {
    /// Starts a thread that ends the process, with exit code 1 and an error in the log that names
    /// the task, when an inline task runs longer than `inline.stuck.ms`.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(health: Arc<Health>) -> io::Result<Watchdog> {
        let (stop, stopped) = mpsc::channel();
        let watch = move || {
            let mut watch = Watch::new(health.inline_stuck());
            while stopped.recv_timeout(watch.pause) == Err(RecvTimeoutError::Timeout) {
                if let Some(run) = watch.look(&health.inline_runs(), Instant::now()) {
                    error!(task = &*run.task, lane = run.lane, "an inline task never returned, the process ends");
                    process::exit(EXIT_STUCK);
                }
            }
        };
        thread::Builder::new().name("watchdog".to_owned()).spawn(watch)?;
        Ok(Watchdog { _stop: stop })
    }
}

/// How long each inline task was seen at work.
///
/// It adds up the pauses between its looks, each at most twice its length: a process that was
/// suspended, or its machine, did not give its tasks the time that passed.
struct Watch {
    limit: Duration,
    pause: Duration,
    looked: Option<Instant>,
    seen: Vec<(InlineRun, Duration)>,
}

impl Watch {
    fn new(limit: Duration) -> Watch {
        Watch { limit, pause: (limit / LOOKS).max(PAUSE_MIN), looked: None, seen: Vec::new() }
    }

    /// Takes in what is at work now, and returns a task whose time is over.
    fn look(&mut self, runs: &[InlineRun], now: Instant) -> Option<InlineRun> {
        let passed = self.looked.map_or(Duration::ZERO, |looked| now.duration_since(looked));
        let passed = passed.min(2 * self.pause);
        self.looked = Some(now);
        let watched = |run: &InlineRun| {
            let before = self.seen.iter().find(|(seen, _)| seen == run);
            before.map_or(Duration::ZERO, |(_, watched)| *watched + passed)
        };
        self.seen = runs.iter().map(|run| (run.clone(), watched(run))).collect();
        self.seen.iter().find(|(_, watched)| *watched >= self.limit).map(|(run, _)| run.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use super::*;
    use crate::config::source::LOG_VARIABLE;

    const LIMIT: Duration = Duration::from_secs(10);

    fn run(task: &str, since: Instant) -> InlineRun {
        InlineRun { lane: 0, task: task.into(), since }
    }

    /// Looks every `pause` at the runs that `at_work` gives; returns the time when one was over.
    fn over_after(pause: Duration, looks: u32, at_work: impl Fn(u32) -> Option<InlineRun>) -> Option<Duration> {
        let begin = Instant::now();
        let mut watch = Watch::new(LIMIT);
        (0..looks).find_map(|n| {
            let runs: Vec<InlineRun> = at_work(n).into_iter().collect();
            watch.look(&runs, begin + n * pause).map(|_| n * pause)
        })
    }

    #[test]
    fn a_task_that_never_returns_is_over_at_the_limit() {
        let since = Instant::now();
        let over = over_after(Duration::from_millis(500), 100, |_| Some(run("risk", since)));
        assert_eq!(over, Some(LIMIT));
    }

    #[test]
    fn many_short_runs_of_one_task_are_fine() {
        let begin = Instant::now();
        let each = |n| Some(run("risk", begin + Duration::from_millis(n)));
        assert_eq!(over_after(Duration::from_millis(500), 100, |n| each(n.into())), None);
        assert_eq!(over_after(Duration::from_millis(500), 100, |_| None), None);
    }

    #[test]
    fn time_in_suspension_does_not_count() {
        let since = Instant::now();
        let over = over_after(Duration::from_secs(3600), 9, |_| Some(run("risk", since)));
        assert_eq!(over, None);
    }

    #[test]
    #[ignore = "it ends its process: run by the_process_ends_and_the_log_names_the_task"]
    fn stuck() {
        crate::init_processor_log().unwrap();
        let (health, lanes) = Health::new(1, Duration::from_millis(50));
        let _watchdog = Watchdog::start(health).unwrap();
        let _at_work = lanes[0].inline_task("risk".into(), Instant::now());
        thread::sleep(Duration::from_secs(60));
    }

    #[test]
    fn the_process_ends_and_the_log_names_the_task() {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "watchdog::tests::stuck", "--ignored", "--nocapture"]).env_remove(LOG_VARIABLE);
        let ended = child.output().unwrap();
        let log = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(EXIT_STUCK), "{log}");
        assert!(log.contains("\"task\":\"risk\""), "{log}");
    }

    #[test]
    fn it_ends_with_its_owner() {
        let (health, _lanes) = Health::new(1, LIMIT);
        let watchdog = Watchdog::start(Arc::clone(&health)).unwrap();
        drop(watchdog);
        for _ in 0..1000 {
            if Arc::strong_count(&health) == 1 {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the watchdog goes on");
    }
}
