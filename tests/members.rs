//! A member of the routers' group that a test drives by hand.

use std::time::{Duration, Instant};

use thalweg_runtime::kafka::{Kafka, KafkaSettings, Polled, RdKafka};

use crate::namespace::{DEADLINE, Namespace};

/// The token of a member's generation.
pub type Generation = <RdKafka as Kafka>::Generation;

/// Connects a member with transactional ids of its own.
pub fn member(namespace: &Namespace, name: &str) -> RdKafka {
    RdKafka::connect(KafkaSettings {
        client: namespace.client(),
        inbox: namespace.topics.inbox().to_owned(),
        contexts: namespace.topics.contexts().to_owned(),
        group: namespace.topics.group().to_owned(),
        transactional_id: format!("{}.{name}", namespace.config.namespace),
        transaction_timeout_ms: 30_000,
        session_timeout_ms: 6000,
        message_max_bytes: 1_000_000,
    })
    .unwrap()
}

/// Polls the members, in turn, until `done`; remembers the newest generation of each.
pub fn poll_until(
    members: &mut [&mut RdKafka],
    generations: &mut [Option<Generation>],
    mut done: impl FnMut(&mut [&mut RdKafka], &[Option<Generation>]) -> bool,
) {
    let deadline = Instant::now() + DEADLINE;
    while !done(members, generations) {
        assert!(Instant::now() < deadline, "the members did not get there");
        for (member, generation) in members.iter_mut().zip(generations.iter_mut()) {
            match member.poll(Duration::from_millis(20)).unwrap() {
                Polled::Assigned(_, new) => *generation = Some(new),
                Polled::Revoked(_) => *generation = None,
                Polled::Record(_) | Polled::Idle => {}
            }
        }
    }
}
