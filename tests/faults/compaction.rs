//! The contexts are compacted as hard as Kafka can, while routers die and restore from them.

use std::collections::BTreeSet;

use super::cluster::Cluster;
use super::fleet::Fleet;
use super::round::{Round, Skipped};
use super::topics;
use super::work::Work;
use crate::namespace::{DEADLINE, Namespace};
use crate::oracle::Summary;
use crate::support::eventually_observed;

const BATCH: usize = 10;
const WAVE: usize = 60;
/// A segment is as small and as short-lived as the broker lets it be, and is compacted when anything in it is old.
const SETTINGS: [(&str, &str); 7] = [
    ("cleanup.policy", "compact"),
    ("segment.ms", "200"),
    ("segment.bytes", "1048576"),
    ("min.cleanable.dirty.ratio", "0.001"),
    ("min.compaction.lag.ms", "0"),
    ("max.compaction.lag.ms", "200"),
    ("delete.retention.ms", "0"),
];

pub fn run(round: &mut Round) -> Result<Summary, Skipped> {
    let restores = round.amount(2, 6);
    let mut rng = round.rng.fork();
    round.tell(format!("{restores} restores"));
    let cluster = Cluster::of(round)?;
    let namespace = cluster.namespace("compaction");
    topics::set(&namespace, namespace.topics.contexts(), &SETTINGS);
    let mut fleet = Fleet::new(&namespace, BATCH);
    let mut work = Work::new(&namespace);
    let mut written = BTreeSet::new();
    for number in 0..restores {
        let name = format!("r{number}");
        work.begin(WAVE);
        fleet.start(&name);
        if rng.bool() {
            work.end();
        }
        // Killed with work at hand, or when there is none.
        if rng.bool() {
            fleet.await_consumed();
        } else {
            fleet.router(&name).await_restored(2);
        }
        fleet.kill(&name);
        written.extend(contexts(&namespace));
    }
    work.end();
    fleet.start("last");
    let gone = eventually_observed(DEADLINE, "contexts that are compacted away", || {
        // A segment is closed by the record that comes after it.
        work.begin(1);
        fleet.await_consumed();
        let left = contexts(&namespace);
        let gone = written.difference(&left).count();
        // Those that were killed early may have left none.
        written.extend(left);
        if gone == 0 { Err(format!("{} records, none of them gone", written.len())) } else { Ok(gone) }
    });
    round.tell(format!("of {} context records that were seen {gone} are compacted away", written.len()));
    fleet.kill("last");
    work.end();
    fleet.start("restored");
    Ok(fleet.finish(&work, &mut round.load))
}

/// Where the records of the contexts are.
fn contexts(namespace: &Namespace) -> BTreeSet<(i32, i64)> {
    let records = namespace.read(namespace.topics.contexts());
    records.iter().map(|record| (record.partition, record.offset)).collect()
}
