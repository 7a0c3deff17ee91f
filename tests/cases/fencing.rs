//! The group's generation is what fences a zombie.

use std::time::{Duration, Instant};

use thalweg_runtime::kafka::{Ended, Kafka, KafkaFault, KafkaSettings, Outgoing, Polled, RdKafka};

use crate::namespace::{DEADLINE, Namespace};

type Generation = <RdKafka as Kafka>::Generation;

fn member(namespace: &Namespace, name: &str) -> RdKafka {
    RdKafka::connect(KafkaSettings {
        client: namespace.client(),
        inbox: namespace.topics.inbox().to_owned(),
        contexts: namespace.topics.contexts().to_owned(),
        group: namespace.topics.group().to_owned(),
        transactional_id: format!("{}.{name}", namespace.config.namespace),
        transaction_timeout_ms: 4000,
        session_timeout_ms: 6000,
        message_max_bytes: 1_000_000,
    })
    .unwrap()
}

/// Polls both members until the first has seen `assignments` assign callbacks and the second one, where there is one.
fn join(members: &mut [&mut RdKafka], wanted: &[usize]) -> Vec<Generation> {
    let deadline = Instant::now() + DEADLINE;
    let mut seen: Vec<Vec<Generation>> = members.iter().map(|_| Vec::new()).collect();
    while seen.iter().zip(wanted).any(|(seen, wanted)| seen.len() < *wanted) {
        assert!(Instant::now() < deadline, "the members did not join");
        for (member, seen) in members.iter_mut().zip(&mut seen) {
            if let Polled::Assigned(_, generation) = member.poll(Duration::from_millis(20)).unwrap() {
                seen.push(generation);
            }
        }
    }
    seen.into_iter().map(|mut generations| generations.pop().unwrap()).collect()
}

fn commit(member: &mut RdKafka, namespace: &Namespace, generation: &Generation) -> Result<(), KafkaFault> {
    member.begin()?;
    let record = Outgoing {
        topic: namespace.topics.contexts().into(),
        partition: 0,
        key: Some(b"k".to_vec()),
        value: Some(b"v".to_vec()),
        headers: Vec::new(),
    };
    member.write(&record)?;
    if let Err(fault) = member.send_offsets(&[(0, 0)], generation) {
        assert!(matches!(member.abort(), Ended::Aborted(_)));
        return Err(fault);
    }
    match member.commit() {
        Ended::Committed => Ok(()),
        Ended::Aborted(fault) | Ended::Unknown(fault) | Ended::Fatal(fault) => Err(fault),
    }
}

#[test]
fn a_transaction_with_stale_group_metadata_is_refused() {
    let namespace = Namespace::new("stale");
    let mut first = member(&namespace, "a");
    let stale = join(&mut [&mut first], &[1]).remove(0);
    commit(&mut first, &namespace, &stale).unwrap();
    let mut second = member(&namespace, "b");
    let fresh = join(&mut [&mut first, &mut second], &[1, 1]).remove(0);

    let refused = commit(&mut first, &namespace, &stale);

    assert!(matches!(refused, Err(KafkaFault::Rebalance(_))), "{refused:?}");
    assert_eq!(namespace.read(namespace.topics.contexts()).len(), 1, "nothing of the refused transaction is seen");
    commit(&mut first, &namespace, &fresh).unwrap();
}
