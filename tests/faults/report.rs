//! What a run came to: each fault's rounds, the kills at each fail point, and the line that `cargo test` ends with.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use super::GROUPS;
use super::round::{Ended, Verdict};

/// Prints it; success means that no round failed. A fault counts as one test.
pub fn print(ended: &[Ended], filtered: usize, took: Duration) -> ExitCode {
    let (mut passed, mut failed, mut ignored) = (0, 0, 0);
    println!();
    for fault in GROUPS.iter().flat_map(|group| group.iter()) {
        let rounds: Vec<&Ended> = ended.iter().filter(|round| round.fault.name == fault.name).collect();
        if rounds.is_empty() {
            continue;
        }
        let failures = rounds.iter().filter(|round| matches!(round.verdict, Verdict::Failed(_))).count();
        let sound = rounds.iter().any(|round| matches!(round.verdict, Verdict::Sound(_)));
        let skipped = rounds.iter().find_map(|round| match &round.verdict {
            Verdict::Skipped(why) => Some(why),
            Verdict::Void(why) if !sound => Some(why),
            Verdict::Void(_) | Verdict::Sound(_) | Verdict::Failed(_) => None,
        });
        let what = match (failures, skipped) {
            (1.., _) => {
                failed += 1;
                format!("FAILED in {failures} of {}", rounds_told(&rounds))
            }
            (0, Some(why)) => {
                ignored += 1;
                format!("ignored, {why}")
            }
            (0, None) => {
                passed += 1;
                format!("ok, {}{}", rounds_told(&rounds), kills_told(&rounds))
            }
        };
        println!("test {} ... {what}", fault.name);
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; {filtered} filtered \
         out; finished in {:.2}s\n",
        took.as_secs_f64()
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn rounds_told(rounds: &[&Ended]) -> String {
    let inputs: usize = rounds.iter().map(|round| inputs(round)).sum();
    let plural = if rounds.len() == 1 { "round" } else { "rounds" };
    let void = match rounds.iter().filter(|round| matches!(round.verdict, Verdict::Void(_))).count() {
        0 => String::new(),
        void => format!(", {void} of them void"),
    };
    format!("{} {plural}{void}, {inputs} inputs", rounds.len())
}

fn inputs(round: &Ended) -> usize {
    match &round.verdict {
        Verdict::Sound(summary) => summary.inputs,
        Verdict::Failed(_) | Verdict::Void(_) | Verdict::Skipped(_) => 0,
    }
}

/// How often a router was killed, at each place.
fn kills_told(rounds: &[&Ended]) -> String {
    let mut kills: BTreeMap<String, usize> = BTreeMap::new();
    for point in rounds.iter().flat_map(|round| &round.kills) {
        *kills.entry(format!("{point:?}")).or_default() += 1;
    }
    let told: Vec<String> = kills.iter().map(|(point, count)| format!("{count} at {point}")).collect();
    if told.is_empty() { String::new() } else { format!("; kills: {}", told.join(", ")) }
}
