//! Whether transactions can begin, and whether one hangs.

use thalweg_core::Micros;
use thalweg_runtime::inspection::{Answer, InspectionError, OpenTransaction};
use thalweg_runtime::wall_clock;

use super::check::{Area, Check};
use super::examination::Examination;
use super::permissions::Acl;
use crate::output::span;

const AREA: Area = Area::Transactions;
/// The brokers look for transactions that ran out of time every 10 s (transaction.abort.timed.out.transaction.
/// cleanup.interval.ms), and take their time to end them.
const CLEANUP: Micros = 20_000_000;

/// The findings.
pub fn checks(examination: &Examination) -> Result<Vec<Check>, InspectionError> {
    let mut checks = vec![beginning(examination)?];
    let mut open = 0;
    for ((topic, partition), span) in &examination.spans {
        if let Some(transaction) = examination.inspector.open_transaction(topic, *partition, *span)? {
            open += 1;
            let limit =
                i64::try_from(examination.config.transaction_timeout_ms).unwrap_or(i64::MAX / 2000) * 1000 + CLEANUP;
            let place = format!("{topic}/{partition}");
            checks.push(judge(&place, transaction, wall_clock(), limit, &examination.config.brokers));
        }
    }
    if open == 0 {
        let found = format!("none in {} partitions", examination.spans.len());
        checks.push(Check::ok(AREA, "open", &examination.config.namespace, found));
    }
    Ok(checks)
}

/// Can a router begin one?
fn beginning(examination: &Examination) -> Result<Check, InspectionError> {
    let allowance = examination.inspector.may_transact()?;
    let acl = Acl::new(&examination.config);
    let subject = format!("transactional ids {}.*", examination.config.namespace);
    Ok(match &allowance.answer {
        Answer::Allowed => Check::ok(AREA, "begin", subject, "a producer is initialised"),
        Answer::Denied => acl.check(&allowance),
        Answer::Unknown(why) => Check::problem(AREA, "begin", subject, format!("a producer is not initialised: {why}"))
            .expected("it is")
            .advice(
                "see the settings of the brokers above: transaction.max.timeout.ms, and replication factor and \
                 min.isr of transaction.state.log",
            ),
    })
}

fn judge(place: &str, open: OpenTransaction, now: Micros, limit: Micros, brokers: &str) -> Check {
    let Some(began) = open.began.map(|milliseconds| milliseconds.saturating_mul(1000)) else {
        return Check::unknown(AREA, "open", place, "the record that it begins with can't be read");
    };
    let since = span((now - began) as f64);
    let found = format!("a transaction is open at offset {} since {since}", open.offset);
    if now - began <= limit {
        return Check::ok(AREA, "open", place, found);
    }
    let (topic, partition) = place.rsplit_once('/').unwrap_or((place, "0"));
    Check::problem(AREA, "open", place, found).expected(format!("at most {}", span(limit as f64))).advice(format!(
        "nobody can read behind it: kafka-transactions.sh --bootstrap-server {brokers} find-hanging --topic {topic} \
         --partition {partition}, then abort what it names"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::check::Level;
    use super::*;

    #[test]
    fn a_transaction_hangs_when_the_brokers_should_have_ended_it() {
        let level = |began| judge("t/3", OpenTransaction { offset: 7, began }, 60_000_000, 30_000_000, "b:1").level;
        assert_eq!(level(Some(59_000)), Level::Ok);
        assert_eq!(level(Some(30_000)), Level::Ok);
        assert_eq!(level(Some(29_999)), Level::Problem);
        assert_eq!(level(None), Level::Warning);
    }
}
