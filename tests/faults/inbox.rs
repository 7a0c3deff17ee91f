//! An inbox with duplicates, disorder and poison: each record ends in exactly one of the five.

use super::cluster;
use super::fleet::Fleet;
use super::round::{Round, Skipped};
use super::work::{Sent, Work, beginning, ending};
use crate::load;
use crate::namespace::one_topic;
use crate::oracle::Summary;
use crate::poison;

const BATCH: usize = 40;
/// Of a hundred records so many come once more, somewhere later.
const DUPLICATES: usize = 30;
/// Of a hundred executions the answer of so many comes before the start.
const DISORDER: usize = 20;
/// Of a hundred records so many are no event that anyone can handle.
const POISON: usize = 10;

pub fn run(round: &mut Round) -> Result<Summary, Skipped> {
    let namespace = cluster::namespace(round, "inbox", one_topic);
    let mut fleet = Fleet::new(&namespace, BATCH);
    let mut work = Work::new(&namespace);
    let executions = round.amount(60, 400);
    let mut records = Vec::new();
    let mut early = 0;
    for number in 0..executions {
        let (first, then) = (beginning(number), ending(number));
        let disordered = !then.is_empty() && round.rng.usize(..100) < DISORDER;
        early += usize::from(disordered);
        records.extend(if disordered { [then, first].concat() } else { [first, then].concat() });
    }
    let poisoned = records.len() * POISON / 100;
    let table = poison::table();
    for number in 0..poisoned {
        let (_, value, _) = &table[round.rng.usize(..table.len())];
        // Under a key of its own, or under that of an execution in the midst of its work.
        let key = if round.rng.bool() { format!("poison-{number}") } else { load::id(round.rng.usize(..executions)) };
        let at = round.rng.usize(..=records.len());
        records.insert(at, (Some(key), value.clone()));
    }
    let duplicates = records.len() * DUPLICATES / 100;
    for _ in 0..duplicates {
        let original = round.rng.usize(..records.len());
        let at = round.rng.usize(original + 1..=records.len());
        records.insert(at, records[original].clone());
    }
    round.tell(format!("{duplicates} duplicates, {early} answers before their starts, {poisoned} poisoned records"));
    let middle = round.rng.usize(..records.len());
    work.adopt(executions);
    fleet.start("a");
    work.send(&records[..middle]);
    if round.rng.bool() {
        round.tell("a router killed midway");
        fleet.kill("a");
        fleet.start("b");
    } else {
        fleet.start("b");
    }
    work.send(&records[middle..]);
    // The answer that came too early was a dead letter: it is given again. Where it was none, this one is too late.
    let again: Vec<Sent> = (0..executions).flat_map(ending).map(|record| under_another_id(&record)).collect();
    work.send(&again);
    Ok(fleet.finish(&work, &mut round.load))
}

fn under_another_id((key, value): &Sent) -> Sent {
    let mut event: serde_json::Value = serde_json::from_slice(value).unwrap();
    event["event_id"] = format!("{}-again", event["event_id"].as_str().unwrap()).into();
    (key.clone(), event.to_string().into_bytes())
}
