//! What an execution comes to depends on its own inputs alone, each counted once.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::cases;
use crate::memory_router::MemoryRouter;
use crate::random_workflow::{tasks, workflows};
use crate::script::{Cuts, Script, Settled, limits, perform, play, script};

/// What is mixed in at one point.
#[derive(Clone, Debug)]
struct Disturbance {
    /// Whose turn it is.
    turn: prop::sample::Index,
    /// An input that was sent before is sent again, at its own offset or at a later one.
    again: Option<(prop::sample::Index, bool)>,
    /// The transaction ends.
    commit: bool,
}

fn disturbance() -> impl Strategy<Value = Disturbance> {
    let again = prop::option::of((any::<prop::sample::Index>(), any::<bool>()));
    (any::<prop::sample::Index>(), again, prop::bool::weighted(0.3)).prop_map(|(turn, again, commit)| Disturbance {
        turn,
        again,
        commit,
    })
}

/// One execution within the crowd.
struct Member {
    id: String,
    left: std::vec::IntoIter<Settled>,
    cuts: Cuts,
    /// Its inputs so far, with their offsets.
    sent: Vec<(i64, Settled)>,
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn duplicates_and_other_executions_change_nothing(
        tasks in tasks(),
        scripts in prop::collection::vec(script(), 1..4),
        disturbances in prop::collection::vec(disturbance(), 1..40),
        limits in limits(),
    ) {
        let workflows = workflows(&tasks);
        let mut alone = BTreeMap::new();
        let mut members = Vec::new();
        for (number, script) in scripts.iter().enumerate() {
            let id = format!("e{number}");
            let mut router = MemoryRouter::new(&workflows, limits);
            let played = play(&mut router, &id, script, &mut |_| ());
            alone.insert(id.clone(), router.log(&id).clone());
            members.push(member(id, played, script));
        }

        let mut crowd = MemoryRouter::new(&workflows, limits);
        let mut next_offset = 0;
        let mut disturbances = disturbances.iter().cycle();
        loop {
            let mut unfinished: Vec<&mut Member> = members.iter_mut().filter(|member| member.left.len() > 0).collect();
            let (false, Some(disturbance)) = (unfinished.is_empty(), disturbances.next()) else { break };
            let turn = disturbance.turn.index(unfinished.len());
            let member = &mut *unfinished[turn];
            advance(&mut crowd, member, &mut next_offset);
            send_again(&mut crowd, member, disturbance, &mut next_offset);
            if disturbance.commit {
                crowd.commit();
            }
        }
        crowd.commit();

        for (id, alone) in &alone {
            let log = crowd.log(id);
            prop_assert_eq!(log.types(), alone.types());
            prop_assert_eq!(&log.published, &alone.published);
            crowd.assert_folded(id);
        }
    }
}

fn member(id: String, played: Vec<Settled>, script: &Script) -> Member {
    // Where its transactions end is up to the crowd.
    let left: Vec<Settled> = played.into_iter().filter(|settled| !matches!(settled, Settled::Commit)).collect();
    Member { id, left: left.into_iter(), cuts: Cuts::of(script), sent: Vec::new() }
}

/// The next thing of this execution happens.
fn advance(crowd: &mut MemoryRouter, member: &mut Member, next_offset: &mut i64) {
    let Some(settled) = member.left.next() else { return };
    perform(crowd, &member.id, &settled, *next_offset, &mut member.cuts);
    if let Settled::Input(_) = settled {
        member.sent.push((*next_offset, settled));
        *next_offset += 1;
    }
}

/// An input that this execution has had is sent again; nothing may come of it.
fn send_again(crowd: &mut MemoryRouter, member: &mut Member, disturbance: &Disturbance, next_offset: &mut i64) {
    let Some((which, same_offset)) = &disturbance.again else { return };
    if member.sent.is_empty() {
        return;
    }
    let (offset, settled) = which.get(&member.sent).clone();
    let offset = if *same_offset {
        offset
    } else {
        *next_offset += 1;
        *next_offset - 1
    };
    let before = crowd.log(&member.id).published.len();
    // The clock is not asked for a duplicate: there is nothing to cut.
    perform(crowd, &member.id, &settled, offset, &mut Cuts::never());
    assert_eq!(crowd.log(&member.id).published.len(), before, "a duplicate was published");
}
