//! How long a batch waits for records that are on their way.

use std::time::Duration;

/// Longest such wait, where the interval of commits is not shorter.
const GATHER_MAX: Duration = Duration::from_millis(8);

/// What the last transaction tells of the next batch.
///
/// Clients that wait for their executions send again once a transaction is committed, all within a moment. A batch of the
/// first of them alone would leave the others to a transaction of their own, and each costs the brokers its markers in
/// every partition that it touches. So a batch waits for as many records as the last one had, up to half the time that
/// one took to commit: whoever sends one at a time waits for nothing, and nobody for long.
#[derive(Debug)]
pub struct Gathering {
    longest: Duration,
    expected: usize,
    patience: Duration,
}

impl Gathering {
    /// Nothing is known yet; no wait is longer than the interval of commits.
    pub fn new(commit_interval: Duration) -> Gathering {
        Gathering { longest: GATHER_MAX.min(commit_interval), expected: 0, patience: Duration::ZERO }
    }

    /// A transaction with so many records ended, which took so long; one of due work alone tells nothing.
    pub fn ended(&mut self, records: usize, took: Duration) {
        if records > 0 {
            (self.expected, self.patience) = (records, (took / 2).min(self.longest));
        }
    }

    /// How much longer a batch of so many records waits for another, where the first wait began so long ago.
    pub fn left(&self, records: usize, waited: Duration) -> Duration {
        if records == 0 || records >= self.expected {
            return Duration::ZERO;
        }
        self.patience.saturating_sub(waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_batch_waits_for_as_many_records_as_the_last_one_had() {
        let mut gathering = Gathering::new(Duration::from_secs(1));
        assert_eq!(gathering.left(1, millis(0)), millis(0), "nothing is known yet");
        gathering.ended(3, millis(10));
        assert_eq!([1, 2, 3, 4].map(|records| gathering.left(records, millis(0))), [5, 5, 0, 0].map(millis));
        assert_eq!(gathering.left(0, millis(0)), millis(0), "there is no batch");
        gathering.ended(0, millis(10));
        assert_eq!(gathering.left(1, millis(0)), millis(5), "a timer fired meanwhile");
        gathering.ended(1, millis(10));
        assert_eq!(gathering.left(1, millis(0)), millis(0), "one at a time");
    }

    #[test]
    fn it_waits_up_to_half_the_time_of_the_last_commit_and_never_long() {
        let mut gathering = Gathering::new(Duration::from_secs(1));
        gathering.ended(3, millis(10));
        assert_eq!([0, 4, 5, 6].map(|waited| gathering.left(1, millis(waited))), [5, 1, 0, 0].map(millis));
        gathering.ended(3, Duration::from_secs(60));
        assert_eq!(gathering.left(1, millis(1)), GATHER_MAX - millis(1));
        let mut often = Gathering::new(millis(2));
        often.ended(3, millis(10));
        assert_eq!(often.left(1, millis(0)), millis(2), "the interval of commits is shorter");
    }
}
