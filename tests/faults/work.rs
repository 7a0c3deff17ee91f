//! Executions that go on while something is hurt: begun in waves, ended later.

use serde_json::{Value, json};

use crate::load;
use crate::namespace::Namespace;

/// Links of a chain: several steps' worth, so that it is pending between transactions.
const LINKS: usize = 24;
/// The most events that a step handles in a round.
pub const STEP_MAX_EVENTS: &str = "8";

/// Executions of every workflow that behaves, what was sent for them, and what is still to be sent.
pub struct Work<'a> {
    namespace: &'a Namespace,
    begun: usize,
    ended: usize,
    records: usize,
}

/// A record for the inbox; without a key it goes to partition 0, wherever its execution belongs.
pub type Sent = (Option<String>, Vec<u8>);

impl<'a> Work<'a> {
    /// Nothing yet.
    pub fn new(namespace: &'a Namespace) -> Work<'a> {
        Work { namespace, begun: 0, ended: 0, records: 0 }
    }

    /// Starts so many executions more.
    pub fn begin(&mut self, count: usize) {
        let records: Vec<Sent> = (self.begun..self.begun + count).flat_map(beginning).collect();
        self.begun += count;
        self.send(&records);
    }

    /// Sends what lets every execution end that was begun.
    pub fn end(&mut self) {
        let records: Vec<Sent> = (self.ended..self.begun).flat_map(ending).collect();
        self.ended = self.begun;
        self.send(&records);
    }

    /// Counts so many executions as begun and ended, whose records are sent by the caller.
    pub fn adopt(&mut self, count: usize) {
        self.begun += count;
        self.ended = self.begun;
    }

    /// Sends other records than those that begin and end executions.
    pub fn send(&mut self, records: &[Sent]) {
        let borrowed: Vec<_> = records.iter().map(|(key, value)| (key.as_deref(), value.clone())).collect();
        self.namespace.send_raw(&borrowed, &[]);
        self.records += records.len();
    }

    /// Executions begun so far.
    pub fn executions(&self) -> usize {
        self.begun
    }

    /// Records sent so far.
    pub fn records(&self) -> usize {
        self.records
    }
}

/// What begins an execution.
pub fn beginning(number: usize) -> Vec<Sent> {
    let start = |workflow: &str, payload: Value| {
        json!({"event_id": format!("start-{number}"), "event_type": "workflow.started", "workflow_id": workflow,
            "execution_id": load::id(number), "payload": payload})
    };
    match number % 6 {
        3 => vec![keyed(number, &start("chain", json!({"links": LINKS})))],
        4 => vec![keyed(number, &start(claims::WORKFLOW_ID, claims::example(claim(number), number as u64)))],
        // On the wrong partition, for every second one of them.
        5 => vec![(None, start("linear", json!({})).to_string().into_bytes())],
        _ => load::begin(number).iter().map(|(_, event)| keyed(number, event)).collect(),
    }
}

/// What lets it end, where it does not end by itself.
pub fn ending(number: usize) -> Vec<Sent> {
    match number % 6 {
        4 if claim(number) == claims::ExampleKind::Incomplete => {
            let answer = json!({"event_id": format!("end-{number}"), "event_type": "user.input.provided",
                "payload": {"additional_info": {"amount": 700}}});
            vec![keyed(number, &answer)]
        }
        3..=5 => Vec::new(),
        _ => load::end(number).iter().map(|(_, event)| keyed(number, event)).collect(),
    }
}

fn claim(number: usize) -> claims::ExampleKind {
    claims::ExampleKind::ALL[number / 6 % 3]
}

fn keyed(number: usize, event: &Value) -> Sent {
    (Some(load::id(number)), event.to_string().into_bytes())
}
