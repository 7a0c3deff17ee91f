//! The group's generation is what fences a zombie.

use thalweg_runtime::kafka::{Ended, Kafka, KafkaFault, Outgoing, RdKafka};

use crate::members::{Generation, member, poll_until};
use crate::namespace::Namespace;

fn commit(member: &mut RdKafka, namespace: &Namespace, generation: &Generation) -> Result<(), KafkaFault> {
    member.begin()?;
    let record = Outgoing {
        topic: namespace.topics.contexts().into(),
        partition: 0,
        key: Some(b"k".to_vec()),
        value: Some(b"v".to_vec()),
        headers: Vec::new(),
    };
    member.write(&(&record).into())?;
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
    let mut generations = [None, None];
    poll_until(&mut [&mut first], &mut generations, |_, generations| generations[0].is_some());
    let stale = generations[0].clone().unwrap();
    commit(&mut first, &namespace, &stale).unwrap();
    let mut second = member(&namespace, "b");
    poll_until(&mut [&mut first, &mut second], &mut generations, |_, generations| generations[1].is_some());

    let refused = commit(&mut first, &namespace, &stale);

    assert!(matches!(refused, Err(KafkaFault::Rebalance(_))), "{refused:?}");
    assert_eq!(namespace.read(namespace.topics.contexts()).len(), 1, "nothing of the refused transaction is seen");
    // The same member with the generation of its newest assign callback is let in.
    poll_until(&mut [&mut first, &mut second], &mut generations, |members, generations| {
        generations[0].as_ref().is_some_and(|fresh| commit(members[0], &namespace, fresh).is_ok())
    });
}
