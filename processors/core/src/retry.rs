//! When a task that failed is tried again.

use std::time::Duration;

use crate::error_code::ErrorCode;
use crate::identity;
use crate::task::TaskFailure;

/// The event type that tells that a failed task will be tried again.
pub const SCHEDULED: &str = "task.retry.scheduled";
/// The event type that tells that a failed task is tried again; what the attempt did is recorded with it.
pub const STARTED: &str = "task.retry.started";
/// The event type that tells that a task which was tried several times is not tried again.
pub const PERMANENTLY_FAILED: &str = "task.permanently_failed";

/// How often, and after which delays, a task is tried that fails.
///
/// After the n-th failed attempt the delay is `initial * factor^(n - 1)`, at most `cap`; of it a share of up to `jitter`
/// is taken off, which derives from ids: the same attempt always has the same delay.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; 1 is none but it.
    pub max_attempts: u32,
    /// The delay after the first failure.
    pub initial: Duration,
    /// What each delay is multiplied by for the next.
    pub factor: f64,
    /// The longest delay.
    pub cap: Duration,
    /// The share of a delay that may be taken off, from 0 to 1.
    pub jitter: f64,
    /// Codes that are final: the task's own, or the engine's.
    pub non_retryable: Vec<String>,
    /// How long one attempt may take; an inline task has `inline.deadline.ms` besides, the shorter of both holds.
    pub attempt_timeout: Option<Duration>,
    /// From the first attempt on: a retry that would be due later is none.
    pub total_timeout: Option<Duration>,
}

/// The policy of a task that names none: it is tried once.
pub static NEVER: RetryPolicy = RetryPolicy::attempts(1);

impl RetryPolicy {
    /// So many attempts: a second after the first failure, twice as long each time, at most five minutes, no jitter.
    pub const fn attempts(max_attempts: u32) -> RetryPolicy {
        RetryPolicy {
            max_attempts,
            initial: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(300),
            jitter: 0.0,
            non_retryable: Vec::new(),
            attempt_timeout: None,
            total_timeout: None,
        }
    }

    /// The first delay, the factor, and the longest delay.
    pub const fn backoff(mut self, initial: Duration, factor: f64, cap: Duration) -> RetryPolicy {
        (self.initial, self.factor, self.cap) = (initial, factor, cap);
        self
    }

    /// Takes off up to this share of each delay.
    pub const fn jitter(mut self, share: f64) -> RetryPolicy {
        self.jitter = share;
        self
    }

    /// A failure with this code is final.
    pub fn not_on(mut self, code: &str) -> RetryPolicy {
        self.non_retryable.push(code.to_owned());
        self
    }

    /// How long one attempt may take.
    pub const fn attempt_timeout(mut self, timeout: Duration) -> RetryPolicy {
        self.attempt_timeout = Some(timeout);
        self
    }

    /// How long after the first attempt a retry may be due.
    pub const fn total_timeout(mut self, timeout: Duration) -> RetryPolicy {
        self.total_timeout = Some(timeout);
        self
    }

    /// Can another attempt end otherwise? What a task returned too much of it would return again.
    pub(crate) fn is_retryable(&self, failure: &TaskFailure) -> bool {
        let codes = [Some(failure.code.as_str()), failure.task_code.as_deref()];
        !matches!(failure.code, ErrorCode::ResultTooLarge | ErrorCode::LimitExceeded)
            && !self.non_retryable.iter().any(|code| codes.contains(&Some(code.as_str())))
    }

    /// Milliseconds after the failure of this attempt, counted from 1; `timer_id` decides on the jitter.
    pub fn delay_ms(&self, attempt: i32, timer_id: &str) -> u64 {
        let cap = self.cap.as_secs_f64();
        let grown = self.initial.as_secs_f64() * self.factor.powi(attempt - 1);
        // NaN, where a policy makes no sense, is the cap, too.
        let delay = if grown < cap { grown.max(0.0) } else { cap };
        let jitter = if self.jitter > 0.0 { self.jitter.min(1.0) * identity::share_of(timer_id) } else { 0.0 };
        (delay * (1.0 - jitter) * 1000.0).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_cap() {
        let policy = RetryPolicy::attempts(9).backoff(Duration::from_millis(100), 3.0, Duration::from_secs(1));
        let delays: Vec<u64> = (1..=5).map(|attempt| policy.delay_ms(attempt, "t")).collect();
        assert_eq!(delays, [100, 300, 900, 1000, 1000]);
        assert_eq!(policy.delay_ms(i32::MAX, "t"), 1000);
        let senseless = RetryPolicy::attempts(2).backoff(Duration::from_secs(1), f64::NAN, Duration::from_secs(2));
        assert_eq!((senseless.delay_ms(2, "t"), NEVER.max_attempts), (2000, 1));
    }

    #[test]
    fn jitter_derives_from_the_id_and_stays_within_its_share() {
        let policy = RetryPolicy::attempts(2).jitter(0.25);
        let delays: Vec<u64> = (0..200).map(|n| policy.delay_ms(1, &n.to_string())).collect();
        assert!(delays.iter().all(|delay| (750..=1000).contains(delay)), "{delays:?}");
        assert!(delays.iter().min() < Some(&800) && delays.iter().max() > Some(&950), "{delays:?}");
        assert_eq!(policy.delay_ms(1, "7"), delays[7]);
    }

    #[test]
    fn codes_of_task_and_engine_may_be_final() {
        let policy = RetryPolicy::attempts(3).not_on("BAD_INPUT").not_on("TASK_PANICKED");
        let failure = |code, task_code: Option<&str>| TaskFailure {
            code,
            task_code: task_code.map(str::to_owned),
            message: String::new(),
        };
        assert!(policy.is_retryable(&failure(ErrorCode::TaskFailed, Some("BUSY"))));
        assert!(policy.is_retryable(&failure(ErrorCode::TaskTimedOut, None)));
        for (code, task_code) in [
            (ErrorCode::TaskFailed, Some("BAD_INPUT")),
            (ErrorCode::TaskPanicked, None),
            (ErrorCode::ResultTooLarge, None),
            (ErrorCode::LimitExceeded, None),
        ] {
            assert!(!policy.is_retryable(&failure(code, task_code)), "{code}");
        }
    }
}
