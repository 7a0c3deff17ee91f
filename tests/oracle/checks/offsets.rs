//! The committed offsets agree with what was written, and nothing is left unread.

use super::View;
use crate::oracle::anomaly::{Findings, Kind};
use crate::oracle::input::{Input, Outcome};

pub(super) fn check(view: &View, findings: &mut Findings) {
    for partition in 0..view.observed.names.partitions {
        check_partition(view, partition, findings);
    }
}

/// Effects behind the offset, or an offset beyond its effects: the latter is an input lost, which
/// [`super::inputs`] reports.
fn check_partition(view: &View, partition: i32, findings: &mut Findings) {
    let subject = format!("{}/{partition}", view.observed.names.inbox);
    let committed = view.observed.committed.get(&partition).copied();
    let end = view.observed.inbox_ends.get(&partition).copied().unwrap_or(0);
    if committed.is_some_and(|next| next > end) {
        findings.add(Kind::OffsetAhead, &subject, format!("the next offset is {committed:?}, the end {end}"));
    }
    // Markers and aborted records are never delivered: only a record that is counts as unread.
    let unread: Vec<&Input> = view
        .inputs
        .values()
        .filter(|input| input.record.position.partition == partition)
        .filter(|input| committed.is_none_or(|next| input.record.position.offset >= next))
        .collect();
    if !unread.is_empty() {
        findings.add(Kind::Lag, &subject, format!("{} records from offset {committed:?} on", unread.len()));
    }
    for input in unread {
        // A forward is sent before the transaction that commits its source.
        for outcome in input.outcomes.iter().filter(|outcome| !matches!(outcome, Outcome::Forwarded(_))) {
            let detail = format!("{}, and the next offset is {committed:?}", outcome.name());
            findings.add(Kind::EffectsAhead, &input.record.position, detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::oracle::made::assert_found;
    use crate::oracle::{Kind, Position, StillOpen, made};

    #[test]
    fn an_offset_behind_its_effects() {
        let mut observed = made::observed();
        let newest = observed.events.iter().filter_map(|record| record.input.clone()).max().unwrap();
        observed.committed.insert(newest.partition, newest.offset);
        assert_found(&observed, &[Kind::Lag, Kind::EffectsAhead]);
    }

    #[test]
    fn a_partition_never_committed() {
        let mut observed = made::observed();
        observed.committed.clear();
        assert_found(&observed, &[Kind::Lag, Kind::EffectsAhead]);
    }

    #[test]
    fn an_offset_beyond_the_end() {
        let mut observed = made::observed();
        *observed.committed.get_mut(&0).unwrap() = observed.inbox_ends[&0] + 1;
        assert_found(&observed, &[Kind::OffsetAhead]);
    }

    #[test]
    fn a_record_that_came_after_the_last_commit() {
        let mut observed = made::observed();
        let (_, last) = observed.inbox.last_key_value().unwrap();
        let mut late = last.clone();
        late.position = Position { offset: last.position.offset + 1, ..last.position.clone() };
        late.headers.clear();
        observed.inbox.insert(late.position.clone(), late);
        assert_found(&observed, &[Kind::Lag]);
        assert_eq!(made::kinds(observed.check(StillOpen::Any)), [Kind::Lag]);
    }

    #[test]
    fn markers_at_the_end_are_no_lag() {
        let mut observed = made::observed();
        for end in observed.inbox_ends.values_mut() {
            *end += 2;
        }
        assert_eq!(made::kinds(observed.check(StillOpen::Any)), []);
    }
}
