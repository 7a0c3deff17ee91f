//! What comes to the inbox in each turn. A role is played by one execution on each partition, and only one build takes
//! it further in the second and third turns: what the older build wrote then was recorded before the present one ran.

use std::ops::AddAssign;

use serde_json::{Value, json};
use thalweg_core::{WorkflowStatus, partition_of};

/// Of every topic.
pub const PARTITIONS: i32 = 2;

/// Every event says when it occurred: records that are loaded are as young as the test.
const OCCURRED: &str = "2026-01-02T03:04:05Z";

/// The execution that plays `role` on `partition`.
pub fn execution(role: &str, partition: i32) -> String {
    let ids = (0..).map(|n| format!("{role}-{n}"));
    ids.into_iter().find(|id| partition_of(id.as_bytes(), PARTITIONS) == partition).expect("some number hashes there")
}

/// What is due to become of the inputs of a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    pub duplicates: usize,
    pub rejected: usize,
    pub dead_lettered: usize,
    pub forwarded: usize,
}

impl AddAssign for Due {
    fn add_assign(&mut self, other: Due) {
        self.duplicates += other.duplicates;
        self.rejected += other.rejected;
        self.dead_lettered += other.dead_lettered;
        self.forwarded += other.forwarded;
    }
}

/// Inputs in the order in which they are written.
#[derive(Default)]
pub struct Stretch {
    /// Key and value; without a key they go to partition 0.
    pub records: Vec<(Option<String>, Vec<u8>)>,
    pub due: Due,
}

impl Stretch {
    /// Each of `script` for each partition.
    fn of(script: impl Fn(&mut Stretch, &dyn Fn(&str) -> String)) -> Stretch {
        let mut stretch = Stretch::default();
        for partition in 0..PARTITIONS {
            script(&mut stretch, &|role| execution(role, partition));
        }
        stretch
    }

    fn event(&mut self, id: &str, name: &str, event_type: &str, payload: Value) {
        let event = json!({"event_id": format!("{id}/{name}"), "event_type": event_type, "payload": payload,
            "occurred_at": OCCURRED});
        self.records.push((Some(id.to_owned()), event.to_string().into_bytes()));
    }

    fn start(&mut self, id: &str, workflow: &str, payload: Value) {
        self.records.push((Some(id.to_owned()), start(id, workflow, payload).to_string().into_bytes()));
    }

    fn up(&mut self, id: &str, number: u32) {
        self.event(id, &format!("up-{number}"), "count.up", Value::Null);
    }

    fn stop(&mut self, id: &str) {
        self.event(id, "stop", "count.stop", Value::Null);
    }

    fn approve(&mut self, id: &str) {
        self.event(id, "approved", "approved", json!({"by": id}));
    }

    fn answer(&mut self, id: &str) {
        self.event(id, "answered", "answered", json!({"answer": id}));
    }

    fn chain_start(&mut self, id: &str) {
        self.start(id, "chain", json!({"links": 6, "link_ms": 30}));
    }

    fn chain(&mut self, id: &str) {
        self.chain_start(id);
        // They come while the chain is cut, and wait behind its next link.
        for number in 0..4 {
            self.event(id, &format!("poke-{number}"), "poke", Value::Null);
        }
    }

    fn duplicate(&mut self, again: impl FnOnce(&mut Stretch)) {
        again(self);
        self.due.duplicates += 1;
    }

    fn rejected(&mut self, late: impl FnOnce(&mut Stretch)) {
        late(self);
        self.due.rejected += 1;
    }

    /// A start on partition 0 for an execution of another one.
    fn misplaced(&mut self, role: &str) {
        let id = execution(role, PARTITIONS - 1);
        self.records.push((None, start(&id, "linear", json!({})).to_string().into_bytes()));
        self.due.forwarded += 1;
    }

    fn poison(&mut self, id: &str) {
        self.records.push((Some(id.to_owned()), b"no event".to_vec()));
        self.due.dead_lettered += 1;
    }
}

fn start(id: &str, workflow: &str, payload: Value) -> Value {
    json!({"event_id": format!("{id}/start"), "event_type": "workflow.started", "workflow_id": workflow,
        "execution_id": id, "payload": payload, "occurred_at": OCCURRED})
}

/// The first turn, the older build's.
pub fn first() -> Stretch {
    let mut stretch = Stretch::of(|stretch, id| {
        stretch.start(&id("done"), "linear", json!({"n": 1}));
        stretch.start(&id("failed"), "misbehaving", json!({}));
        for role in ["counter.second", "counter.third", "counter.both"] {
            stretch.start(&id(role), "counter", json!({}));
            stretch.up(&id(role), 1);
            stretch.duplicate(|again| again.up(&id(role), 1));
        }
        for role in ["waits.second", "waits.third", "waits.fourth"] {
            stretch.start(&id(role), "checks", json!({}));
        }
        for role in ["nested.second", "nested.third", "nested.fourth"] {
            stretch.start(&id(role), "nested", json!({}));
        }
        stretch.event(&id("nobody"), "up", "count.up", Value::Null);
        stretch.due.dead_lettered += 1;
    });
    stretch.misplaced("misplaced.first");
    // Its ids derive from its position.
    let keyless = json!({"event_type": "workflow.started", "workflow_id": "linear", "occurred_at": OCCURRED});
    stretch.records.push((None, keyless.to_string().into_bytes()));
    stretch
}

/// The end of the first turn: the router is killed when some of it is done.
pub fn first_cut() -> Stretch {
    Stretch::of(|stretch, id| stretch.chain(&id("chain.first")))
}

/// What the older build leaves unhandled for the present one.
pub fn unhandled() -> Stretch {
    Stretch::of(|stretch, id| {
        stretch.duplicate(|again| again.up(&id("counter.second"), 1));
        stretch.up(&id("counter.second"), 2);
        stretch.start(&id("unhandled"), "linear", json!({}));
        stretch.poison(&id("poison"));
    })
}

/// The second turn, the present build's.
pub fn second() -> Stretch {
    Stretch::of(|stretch, id| {
        let counter = id("counter.second");
        stretch.duplicate(|again| again.up(&counter, 2));
        stretch.duplicate(|again| again.up(&counter, 1));
        stretch.up(&counter, 3);
        stretch.stop(&counter);
        stretch.up(&id("counter.both"), 2);
        stretch.approve(&id("waits.second"));
        stretch.answer(&id("nested.second"));
        stretch.start(&id("new.second"), "linear", json!({}));
        stretch.start(&id("waits.new"), "checks", json!({}));
        stretch.start(&id("nested.new"), "nested", json!({}));
        stretch.duplicate(|again| again.start(&id("done"), "linear", json!({"n": 1})));
        stretch.duplicate(|again| again.chain_start(&id("chain.first")));
        stretch.rejected(|late| late.up(&id("failed"), 1));
    })
}

/// The third turn, the older build's.
pub fn third() -> Stretch {
    let mut stretch = Stretch::of(|stretch, id| {
        stretch.duplicate(|again| again.up(&id("counter.third"), 1));
        stretch.up(&id("counter.third"), 2);
        stretch.start(&id("counter.late"), "counter", json!({}));
        stretch.up(&id("counter.late"), 1);
        stretch.approve(&id("waits.third"));
        stretch.answer(&id("nested.third"));
        stretch.start(&id("nested.late"), "nested", json!({}));
        stretch.start(&id("new.third"), "linear", json!({}));
        stretch.poison(&id("poison"));
    });
    stretch.misplaced("misplaced.third");
    stretch
}

/// The end of the third turn: the router is killed when some of it is done.
pub fn third_cut() -> Stretch {
    Stretch::of(|stretch, id| stretch.chain(&id("chain.third")))
}

/// The fourth turn, the present build's: everything ends, and what was taken in any turn comes again.
pub fn fourth() -> Stretch {
    let mut stretch = Stretch::of(|stretch, id| {
        // Taken by the older build, in the first and the third turn.
        stretch.duplicate(|again| again.up(&id("counter.third"), 1));
        stretch.duplicate(|again| again.up(&id("counter.third"), 2));
        stretch.duplicate(|again| again.up(&id("counter.late"), 1));
        stretch.duplicate(|again| again.start(&id("waits.third"), "checks", json!({})));
        stretch.duplicate(|again| again.chain_start(&id("chain.third")));
        stretch.rejected(|late| late.approve(&id("waits.third")));
        // Taken by the older build, and by the present one in the second turn.
        stretch.duplicate(|again| again.up(&id("counter.both"), 1));
        stretch.duplicate(|again| again.up(&id("counter.both"), 2));
        stretch.duplicate(|again| again.start(&id("new.second"), "linear", json!({})));
        for role in ["counter.third", "counter.late", "counter.both"] {
            stretch.up(&id(role), 3);
            stretch.stop(&id(role));
        }
        for role in ["waits.fourth", "waits.new"] {
            stretch.approve(&id(role));
        }
        for role in ["nested.fourth", "nested.late", "nested.new"] {
            stretch.answer(&id(role));
        }
    });
    stretch.misplaced("misplaced.fourth");
    stretch
}

/// How every role ends: its status, and the payload of its last event where it succeeded.
pub fn endings(partition: i32) -> Vec<(String, WorkflowStatus, Value)> {
    let success = |role: &str, result: &dyn Fn(&str) -> Value| {
        let id = execution(role, partition);
        let result = result(&id);
        (id, WorkflowStatus::Success, result)
    };
    let mut endings = vec![(execution("failed", partition), WorkflowStatus::Failed, Value::Null)];
    for (role, count) in [("counter.second", 3), ("counter.third", 3), ("counter.late", 2), ("counter.both", 3)] {
        endings.push(success(role, &|_| json!(count)));
    }
    for role in ["waits.second", "waits.third", "waits.fourth", "waits.new"] {
        endings.push(success(role, &|id| json!({"by": id})));
    }
    for role in ["nested.second", "nested.third", "nested.fourth", "nested.late", "nested.new"] {
        endings.push(success(role, &|id| json!({"quick": true, "answer": id})));
    }
    for role in ["chain.first", "chain.third"] {
        endings.push(success(role, &|_| json!({"done": 6})));
    }
    endings.push(success("done", &|_| json!({"n": 1, "second": {"ran": true}})));
    for role in ["unhandled", "new.second", "new.third"] {
        endings.push(success(role, &|_| json!({"second": {"ran": true}})));
    }
    endings
}

/// Executions that have ended when the turn is over: first, second, third, fourth.
pub const ENDED: [usize; 4] = {
    let each = PARTITIONS as usize;
    // One was misplaced, one is keyless.
    let first = 2 * each + 2;
    let second = first + 6 * each;
    let third = second + 3 * each + 1;
    [first, second, third, third + 9 * each + 1]
};
