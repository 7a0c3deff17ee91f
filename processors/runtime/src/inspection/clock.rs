//! Clocks: a broker's against this machine's, and records from the future.
//!
//! Kafka tells nobody the time. But it refuses a record that is later than its own clock by more than
//! `message.timestamp.after.max.ms` (one hour unless set, since Kafka 4.0), so which records it refuses tells its
//! clock. Such a record is sent together with others that are refused in any case, which take their whole batch with
//! them: nothing is written.

use std::time::Duration;

use futures_util::future::join_all;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::allowance::sender;
use super::listener::Listener;
use super::{InspectionError, Inspector, Settings};
use crate::clock::wall_clock;

/// A difference that is no finding: round trips, and clocks that are kept by NTP.
pub const TOLERANCE_MS: i64 = 2000;
/// The largest difference that is measured.
const FARTHEST_MS: i64 = 48 * 60 * 60 * 1000;
/// A difference is measured to this part of it.
const PRECISION: i64 = 20;
/// More than a request takes: records that are queued together are one batch.
const BATCH_WAIT_MS: &str = "2000";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Records whose time is read; a clock that is wrong shows in each.
const AHEAD_MAX: usize = 16;

/// How far a broker's clock is ahead of this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// By so many milliseconds, at least and at most.
    Between(i64, i64),
    /// It can't be told.
    Unknown(&'static str),
}

/// A record whose time is later than this machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordAhead {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// By how much, in milliseconds.
    pub ahead_ms: i64,
}

/// The times that a topic lets in.
pub(super) struct Stamps {
    /// How far in the future the time of a record may be, by the broker's clock.
    pub after_max_ms: Option<i64>,
}

impl Stamps {
    /// `None` where the brokers stamp the records.
    pub fn of(settings: &Settings) -> Option<Stamps> {
        let is_writers = settings.get("message.timestamp.type").is_some_and(|kind| kind == "CreateTime");
        let after_max_ms = settings.get("message.timestamp.after.max.ms").and_then(|value| value.parse().ok());
        is_writers.then_some(Stamps { after_max_ms })
    }
}

impl Inspector {
    /// The clock of the broker that leads the registry, whose settings these are, against `now`, in milliseconds
    /// since the epoch.
    ///
    /// # Errors
    /// Where there is no client to ask with.
    pub fn broker_clock(&self, registry: &Settings, now: impl Fn() -> i64) -> Result<Skew, InspectionError> {
        let Some(Stamps { after_max_ms: Some(after_max_ms) }) = Stamps::of(registry) else {
            return Ok(Skew::Unknown("the registry takes records of any time"));
        };
        if after_max_ms > i64::MAX / 4 {
            return Ok(Skew::Unknown("the registry takes records of any time"));
        }
        if registry.get("cleanup.policy").is_none_or(|policy| policy != "compact") {
            return Ok(Skew::Unknown("the registry is not compacted, it would take the record"));
        }
        let mut client = sender(&self.config.client());
        client.set("batch.num.messages", "3").set("linger.ms", BATCH_WAIT_MS);
        let producer: FutureProducer<Listener> = client.create_with_context(Listener::default())?;
        // Whether the broker's clock is ahead by less than this.
        let is_below = |ahead_ms: i64| {
            let pair = refused_for_its_time(&producer, self.topics.registry(), now() + after_max_ms + ahead_ms);
            self.runtime.block_on(pair)
        };
        Ok(search(is_below).unwrap_or(Skew::Unknown("the broker gave no answer that tells it")))
    }

    /// Records that are ahead of this machine's clock: whoever wrote them has a wrong clock, or this machine has.
    ///
    /// # Errors
    /// Where the brokers don't answer.
    pub fn records_ahead(&self, partitions: &[(&str, i32)]) -> Result<Vec<RecordAhead>, InspectionError> {
        let now = wall_clock() / 1000;
        let mut ahead = Vec::new();
        for ((topic, partition), offset) in self.since(partitions, now + TOLERANCE_MS)?.into_iter().take(AHEAD_MAX) {
            if let Some(time) = self.time_at(&topic, partition, offset)? {
                ahead.push(RecordAhead { topic, partition, offset, ahead_ms: time - now });
            }
        }
        Ok(ahead)
    }
}

/// Finds a difference by asking whether it is below a value. `None` where an answer lacks.
fn search(mut is_below: impl FnMut(i64) -> Option<bool>) -> Option<Skew> {
    let (mut least, mut most) = match (is_below(-TOLERANCE_MS)?, is_below(TOLERANCE_MS)?) {
        (false, true) => return Some(Skew::Between(-TOLERANCE_MS, TOLERANCE_MS)),
        (true, _) => (-FARTHEST_MS, -TOLERANCE_MS),
        (false, false) => (TOLERANCE_MS, FARTHEST_MS),
    };
    while most - least > least.abs().min(most.abs()) / PRECISION {
        let middle = least + (most - least) / 2;
        if is_below(middle)? {
            most = middle;
        } else {
            least = middle;
        }
    }
    Some(Skew::Between(least, most))
}

/// Sends a record of this time in one batch with records without a key, which a compacted topic takes from nobody: none
/// of them is written. Was the first one refused for its time?
async fn refused_for_its_time(producer: &FutureProducer<Listener>, topic: &str, time: i64) -> Option<bool> {
    let text = "thalweg doctor";
    let without_key = || -> FutureRecord<'_, str, str> { FutureRecord::to(topic).partition(0).payload(text) };
    // Two of them: librdkafka tells which records were at fault where there are several (tried).
    let queued = [without_key(), without_key(), without_key().key(text).timestamp(time)];
    let queued: Vec<_> = queued.into_iter().map(|record| producer.send_result(record).ok()).collect::<Option<_>>()?;
    let mut answers = tokio::time::timeout(TIMEOUT, join_all(queued)).await.ok()?;
    match answers.pop()?.ok()?.err()?.0.rdkafka_error_code()? {
        RDKafkaErrorCode::InvalidRecord => Some(true),
        RDKafkaErrorCode::InvalidDifferentRecord => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_found_to_a_twentieth() {
        let found = |skew: i64| match search(|ahead| Some(skew < ahead)) {
            Some(Skew::Between(least, most)) => (least, most),
            other => panic!("{other:?}"),
        };
        for skew in [-1999, 0, 1999] {
            assert_eq!(found(skew), (-TOLERANCE_MS, TOLERANCE_MS));
        }
        for skew in [-3_600_000, -90_000, -2001, 2000, 5000, 90_000, 3_600_000] {
            let (least, most) = found(skew);
            assert!(least <= skew && skew <= most && most - least <= skew.abs() / 15, "{skew}: {least} {most}");
        }
        assert_eq!(search(|_| None), None);
    }
}
