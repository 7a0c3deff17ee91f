//! How long a batch waits for records that are on their way.

use std::time::Duration;

/// Longest such wait.
const GATHER_MAX: Duration = Duration::from_millis(8);

/// What the last transaction tells of the next batch.
///
/// Clients that wait for their executions send again once a transaction is committed, all within a moment. A batch of the
/// first of them alone would leave the others to a transaction of their own, and each costs the brokers its markers in
/// every partition that it touches. So a batch waits for as many records as the last one had, up to half the time that
/// one took to commit: whoever sends one at a time waits for nothing, and nobody for long.
#[derive(Debug, Default)]
pub struct Gathering {
    expected: usize,
    patience: Duration,
}

impl Gathering {
    /// A batch of so many records was committed, which took so long.
    pub fn committed(&mut self, records: usize, took: Duration) {
        *self = Gathering { expected: records, patience: (took / 2).min(GATHER_MAX) };
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
        let mut gathering = Gathering::default();
        assert_eq!(gathering.left(1, millis(0)), millis(0), "nothing is known yet");
        gathering.committed(3, millis(10));
        assert_eq!([1, 2, 3, 4].map(|records| gathering.left(records, millis(0))), [5, 5, 0, 0].map(millis));
        assert_eq!(gathering.left(0, millis(0)), millis(0), "there is no batch");
        gathering.committed(1, millis(10));
        assert_eq!(gathering.left(1, millis(0)), millis(0), "one at a time");
    }

    #[test]
    fn it_waits_up_to_half_the_time_of_the_last_commit_and_never_long() {
        let mut gathering = Gathering::default();
        gathering.committed(3, millis(10));
        assert_eq!([0, 4, 5, 6].map(|waited| gathering.left(1, millis(waited))), [5, 1, 0, 0].map(millis));
        gathering.committed(3, Duration::from_secs(60));
        assert_eq!(gathering.left(1, millis(1)), GATHER_MAX - millis(1));
    }
}
