//! What happens to one execution, made at random: its start, its inputs, where its steps are cut, where its
//! transactions end.

use proptest::prelude::*;
use serde_json::{Value, json};
use thalweg_core::Limits;
use thalweg_core::inbound::STARTED;

use crate::memory_router::{Log, MemoryRouter};
use crate::random_workflow::{CORRELATIONS, TYPES, WORKFLOW, json_value};

/// Where an input says that it belongs.
#[derive(Clone, Debug)]
enum Address {
    Root,
    /// One of the branches that the log has told of.
    Branch(prop::sample::Index),
    /// Caused by one of the events in the log.
    Parent(prop::sample::Index),
    Nowhere,
}

/// One input.
#[derive(Clone, Debug)]
pub struct Sent {
    event_type: &'static str,
    fuel: u64,
    correlation: Option<&'static str>,
    address: Address,
}

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Happening {
    Input(Sent),
    GoOn,
    Commit,
    /// So many milliseconds pass, and what is due is handled.
    Pass(u64),
}

/// All that happens to one execution.
#[derive(Clone, Debug)]
pub struct Script {
    data: Value,
    fuel: u64,
    pub happenings: Vec<Happening>,
    /// Where the clock cuts a step, asked before each event; afterwards it never does.
    pub cuts: Vec<bool>,
}

/// One thing that happens, worked out against a log: the events are bytes.
#[derive(Clone, Debug)]
pub enum Settled {
    Input(String),
    GoOn,
    Commit,
    Pass(u64),
}

fn sent() -> impl Strategy<Value = Sent> {
    let event_type = prop_oneof![
        8 => prop::sample::select(&TYPES[..]),
        1 => Just("unheard.of"),
        1 => Just(STARTED),
    ];
    let address = prop_oneof![
        3 => Just(Address::Root),
        4 => any::<prop::sample::Index>().prop_map(Address::Branch),
        2 => any::<prop::sample::Index>().prop_map(Address::Parent),
        1 => Just(Address::Nowhere),
    ];
    (event_type, 0..12u64, prop::option::of(prop::sample::select(&CORRELATIONS[..])), address)
        .prop_map(|(event_type, fuel, correlation, address)| Sent { event_type, fuel, correlation, address })
}

pub fn script() -> impl Strategy<Value = Script> {
    script_of(prop_oneof![
        4 => sent().prop_map(Happening::Input),
        2 => Just(Happening::GoOn),
        2 => Just(Happening::Commit),
    ])
}

/// One in which time passes.
pub fn timed_script() -> impl Strategy<Value = Script> {
    script_of(prop_oneof![
        4 => sent().prop_map(Happening::Input),
        2 => Just(Happening::GoOn),
        2 => Just(Happening::Commit),
        2 => (0..80u64).prop_map(Happening::Pass),
    ])
}

fn script_of(happening: impl Strategy<Value = Happening>) -> impl Strategy<Value = Script> {
    let data = prop::collection::btree_map("[a-c]", json_value(), 0..3);
    let happenings = prop::collection::vec(happening, 0..14);
    let cuts = prop_oneof![Just(Vec::new()), prop::collection::vec(any::<bool>(), 0..60)];
    (data, 0..300u64, happenings, cuts).prop_map(|(data, fuel, happenings, cuts)| Script {
        data: Value::Object(data.into_iter().collect()),
        fuel,
        happenings,
        cuts,
    })
}

/// Limits with small steps and chains.
pub fn limits() -> impl Strategy<Value = Limits> {
    let events = prop_oneof![1..8u32, Just(256)];
    let depth = prop_oneof![1 => 1..10u32, 3 => Just(1000)];
    (events, depth).prop_map(|(step_max_events, chain_max_depth)| Limits {
        step_max_events,
        chain_max_depth,
        ..Limits::default()
    })
}

impl Script {
    /// The start of execution `id`.
    pub fn start(&self, id: &str) -> String {
        let mut payload = self.data.clone();
        payload["fuel"] = json!(self.fuel);
        json!({
            "event_id": format!("{id}-start"), "event_type": STARTED, "execution_id": id, "workflow_id": WORKFLOW,
            "payload": payload,
        })
        .to_string()
    }
}

impl Sent {
    /// The event, as number `number` of execution `id`, addressed by what its log tells so far.
    pub fn event(&self, id: &str, number: usize, log: &Log) -> String {
        let mut event = json!({
            "event_id": format!("{id}-{number}"), "event_type": self.event_type, "execution_id": id,
            "workflow_id": WORKFLOW, "payload": {"fuel": self.fuel},
        });
        if let Some(correlation) = self.correlation {
            event["correlation_id"] = json!(correlation);
        }
        let branches: Vec<_> =
            log.published.iter().filter_map(|event| Some((event.scope.clone()?, event.branch.clone()?))).collect();
        match &self.address {
            Address::Branch(index) if !branches.is_empty() => {
                let (scope, branch) = index.get(&branches);
                event["scope"] = json!(scope);
                event["branch"] = json!(branch);
            }
            Address::Parent(index) if !log.published.is_empty() => {
                event["parent_event_id"] = json!(index.get(&log.published).event_id);
            }
            Address::Nowhere => {
                event["scope"] = json!("nowhere");
                event["branch"] = json!("none");
            }
            Address::Root | Address::Branch(_) | Address::Parent(_) => {}
        }
        event.to_string()
    }
}

/// The clock of one execution: says before each event whether the step is cut there.
#[derive(Clone, Debug)]
pub struct Cuts(std::vec::IntoIter<bool>);

impl Cuts {
    pub fn of(script: &Script) -> Cuts {
        Cuts(script.cuts.clone().into_iter())
    }

    /// Never cuts.
    pub fn never() -> Cuts {
        Cuts(Vec::new().into_iter())
    }

    pub fn cut(&mut self) -> bool {
        self.0.next().unwrap_or(false)
    }
}

/// Does one thing; an input lies at `offset`. A step without an input goes on only where something is pending.
pub fn perform(router: &mut MemoryRouter, id: &str, settled: &Settled, offset: i64, cuts: &mut Cuts) {
    match settled {
        Settled::Input(event) => {
            let inbound = router.read(offset, event.as_bytes()).unwrap();
            router.step(id, Some(inbound), &mut || cuts.cut());
        }
        Settled::GoOn if router.has_queued(id) => router.step(id, None, &mut || cuts.cut()),
        Settled::GoOn => {}
        Settled::Commit => router.commit(),
        Settled::Pass(ms) => {
            router.now += *ms as i64 * 1000;
            router.step(id, None, &mut || cuts.cut());
        }
    }
}

/// Plays a script for execution `id` alone, and then until nothing is pending. `check` is called after everything that
/// happens. Returns what happened in a form that can be played again.
pub fn play(
    router: &mut MemoryRouter,
    id: &str,
    script: &Script,
    check: &mut dyn FnMut(&MemoryRouter),
) -> Vec<Settled> {
    let mut cuts = Cuts::of(script);
    let mut played = vec![Settled::Input(script.start(id))];
    perform(router, id, &played[0], 0, &mut cuts);
    check(router);
    for (number, happening) in script.happenings.iter().enumerate() {
        let settled = match happening {
            Happening::Input(sent) => Settled::Input(sent.event(id, number, router.log(id))),
            Happening::GoOn => Settled::GoOn,
            Happening::Commit => Settled::Commit,
            Happening::Pass(ms) => Settled::Pass(*ms),
        };
        perform(router, id, &settled, number as i64 + 1, &mut cuts);
        check(router);
        played.push(settled);
    }
    while router.has_queued(id) {
        for settled in [Settled::GoOn, Settled::Commit] {
            perform(router, id, &settled, -1, &mut cuts);
            check(router);
            played.push(settled);
        }
    }
    router.commit();
    check(router);
    played
}
