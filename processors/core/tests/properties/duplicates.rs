//! What an execution comes to depends on its own inputs alone, each counted once.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use thalweg_core::inbound::STARTED;
use thalweg_core::limits::INPUT_IDS_MAX;
use thalweg_core::{
    Dialect, Event, Limits, Outcome, Pattern, Task, TaskContext, TaskError, Workflow, Workflows, async_trait,
};

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

#[test]
fn an_input_whose_id_has_left_the_window_is_known_by_its_offset() {
    let workflows = Workflows::new().with(Workflow::new("w", "1"));
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    let noted = |number: i64| json!({"event_type": "noted", "execution_id": "e", "event_id": number.to_string()});
    router.send("e", 0, &json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "w", "event_id": "0"}));
    let newest = INPUT_IDS_MAX as i64 + 10;
    for number in 1..=newest {
        router.send("e", number, &noted(number));
    }
    router.commit();
    let published = router.log("e").published.len();
    for number in 1..=newest {
        router.send("e", number, &noted(number));
    }
    // At a later offset a re-sent id is known while it is in the window, and a re-sent start for ever.
    router.send("e", newest + 1, &noted(newest));
    router.send("e", newest + 2, &json!({"event_type": STARTED, "execution_id": "e", "event_id": "0"}));
    assert_eq!(router.log("e").published.len(), published);
    assert_eq!(router.log("e").duplicates as i64, newest + 2);
    router.send("e", newest + 3, &noted(1));
    assert_eq!(router.log("e").published.len(), published + 1, "deduplication by id is promised within the window");
}

#[test]
fn a_closed_execution_drops_its_start_and_rejects_everything_else() {
    let workflows = Workflows::new().with(Workflow::new("w", "1").task(Completing([Pattern::new(STARTED)])));
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    let start = json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "w", "event_id": "0"});
    for offset in 0..3 {
        router.send("e", offset, &start);
        router.commit();
    }
    let others = [
        json!({"event_type": STARTED, "execution_id": "e", "workflow_id": "w"}),
        json!({"event_type": "noted", "execution_id": "e"}),
    ];
    for (offset, event) in (3..).zip(&others) {
        router.send("e", offset, event);
        router.commit();
    }
    let log = router.log("e");
    assert_eq!(log.types(), [STARTED, "workflow.completed"]);
    assert_eq!((log.duplicates, log.rejected.len(), log.dead_letters.len()), (2, 2, 0));
    assert!(log.rejected.iter().all(|rejected| rejected.payload_value()["status"] == "SUCCESS"));
}

/// Completes every execution at its start.
struct Completing([Pattern; 1]);

#[async_trait]
impl Task for Completing {
    fn task_id(&self) -> &str {
        "completing"
    }

    fn handles_events(&self) -> &[Pattern] {
        &self.0
    }

    async fn handle_event(&self, _: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
        Ok(Outcome::new().complete(json!({})))
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

/// An id of a CloudEvent is its source's own, unless it is a UUID.
#[test]
fn cloudevents_of_two_sources_may_have_the_same_id() {
    let workflows = Workflows::new().with(Workflow::new("w", "1"));
    let mut router = MemoryRouter::new(&workflows, Limits::default());
    router.send("e", 0, &json!({"event_type": "workflow.started", "execution_id": "e", "workflow_id": "w"}));
    let uuid = "018f2a6e-0000-7000-8000-00000000c0de";
    for (offset, (source, id)) in [("/a", "1"), ("/b", "1"), ("/a", "1"), ("/a", uuid), ("/b", uuid)].iter().enumerate()
    {
        let event = json!({"specversion": "1.0", "type": "x", "source": source, "id": id, "executionid": "e"});
        router.send("e", offset as i64 + 1, &event);
    }
    let long = json!({"specversion": "1.0", "type": "x", "source": "s".repeat(200), "id": "i".repeat(200), "executionid": "e"});
    router.send("e", 6, &long);
    router.send("e", 7, &long);
    router.commit();
    let last = router.log("e").published.last().unwrap();
    assert_eq!((last.event_id.len(), router.log("e").duplicates), (36, 3), "what is too long for an id is hashed");
    let came: serde_json::Value = serde_json::from_str(&Dialect::Cloudevents.write(last)).unwrap();
    assert_eq!((&came["id"], &came["source"]), (&long["id"], &long["source"]));
    let hashed = last.event_id.clone();
    let ids: Vec<&str> =
        router.log("e").published.iter().filter(|e| e.event_type == "x").map(|e| e.event_id.as_str()).collect();
    assert_eq!((ids, router.log("e").duplicates), (vec!["/a#1", "/b#1", uuid, hashed.as_str()], 3));
}
