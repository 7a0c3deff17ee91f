//! Clocks: the broker's and the writers' against this machine's.

use thalweg_runtime::inspection::{InspectionError, RecordAhead, Skew, TOLERANCE_MS};
use thalweg_runtime::wall_clock;

use super::check::{Area, Check, Level};
use super::examination::Examination;
use crate::output::span;

const AREA: Area = Area::Clocks;
/// A difference that shows in time-outs and in what is kept.
const GRAVE_MS: i64 = 60_000;
const MILLISECOND: f64 = 1e3;

/// The findings.
pub fn checks(examination: &Examination) -> Result<Vec<Check>, InspectionError> {
    let mut checks = vec![];
    let registry = examination.topics.registry();
    if let Some(Some(settings)) = examination.topic_settings.get(registry) {
        let skew = examination.inspector.broker_clock(settings, || wall_clock() / 1000)?;
        checks.push(broker(registry, skew));
    }
    let partitions: Vec<(&str, i32)> =
        examination.spans.keys().map(|(topic, partition)| (topic.as_str(), *partition)).collect();
    let ahead = examination.inspector.records_ahead(&partitions)?;
    if ahead.is_empty() {
        checks.push(Check::ok(AREA, "records", &examination.config.namespace, "none is from the future"));
    }
    checks.extend(ahead.iter().map(from_the_future));
    Ok(checks)
}

fn broker(registry: &str, skew: Skew) -> Check {
    let subject = format!("the broker that leads {registry}");
    let (least, most) = match skew {
        Skew::Unknown(why) => {
            return Check::unknown(AREA, "broker", subject, why).advice(format!(
                "kafka-configs.sh --alter --entity-type topics --entity-name {registry} --add-config \
                 cleanup.policy=compact,message.timestamp.type=CreateTime,message.timestamp.after.max.ms=3600000"
            ));
        }
        Skew::Between(least, most) => (least, most),
    };
    let tolerated = span(TOLERANCE_MS as f64 * MILLISECOND);
    if -TOLERANCE_MS <= least && most <= TOLERANCE_MS {
        return Check::ok(AREA, "broker", subject, format!("within {tolerated} of this machine's clock"));
    }
    let (by, which) = if least > 0 { (least, "ahead of") } else { (-most, "behind") };
    let level = if by >= GRAVE_MS { Level::Problem } else { Level::Warning };
    let found = format!("{} {which} this machine's clock", span(by as f64 * MILLISECOND));
    Check::new(AREA, level, "broker", subject, found).expected(format!("within {tolerated}")).advice(
        "keep the time by NTP (chronyd, systemd-timesyncd) on the broker and on this machine: what is kept for how \
         long, and what times events have, goes by it",
    )
}

fn from_the_future(record: &RecordAhead) -> Check {
    let RecordAhead { topic, partition, offset, ahead_ms } = record;
    let level = if *ahead_ms >= GRAVE_MS { Level::Problem } else { Level::Warning };
    let found = format!("{} ahead of this machine's clock", span(*ahead_ms as f64 * MILLISECOND));
    Check::new(AREA, level, "records", format!("{topic}/{partition}/{offset}"), found).expected("in the past").advice(
        "its writer's clock is wrong, or this machine's: keep the time by NTP on both (in the inbox clients write, \
         elsewhere routers)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_wrong_it_is() {
        let level = |least, most| broker("thalweg.registry", Skew::Between(least, most)).level;
        assert_eq!(level(-TOLERANCE_MS, TOLERANCE_MS), Level::Ok);
        assert_eq!(level(5000, 5200), Level::Warning);
        assert_eq!(level(-5200, -5000), Level::Warning);
        assert_eq!(level(-3_700_000, -3_600_000), Level::Problem);
        let check = broker("thalweg.registry", Skew::Between(-3_700_000, -3_600_000));
        assert_eq!(check.found, "1 h 0 min behind this machine's clock");
        assert_eq!(broker("thalweg.registry", Skew::Unknown("why")).level, Level::Warning);
    }
}
