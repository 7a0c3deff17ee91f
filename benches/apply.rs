//! The step alone, on claims: no Kafka, no threads.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

mod memory;

use std::hint::black_box;

use claims::ExampleKind;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use thalweg_core::Execution;

use memory::{EXECUTION_ID, Memory, Written, start};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What a lane would write: the events, then the contexts with their keys.
fn encode(memory: &Memory, written: &mut Written) -> Vec<Vec<u8>> {
    let mut records: Vec<_> = written.events.iter().map(|event| memory.schemas.write_event(event).unwrap()).collect();
    for (key, value) in written.execution.changed_records(&memory.schemas).unwrap() {
        records.push(memory.schemas.write_key(&key).unwrap());
        records.push(value);
    }
    records
}

fn apply(criterion: &mut Criterion) {
    let memory = Memory::new();
    let car = start(ExampleKind::Car);
    let inbound = memory.read(0, &car);
    assert_eq!(
        memory.step(Execution::unknown(EXECUTION_ID), inbound.clone()).events.len(),
        11,
        "events of a car claim"
    );

    let mut group = criterion.benchmark_group("apply");
    // The step alone: 11 events, 6 tasks, a fan-out of 3.
    group.bench_function("car claim", |bencher| {
        bencher.iter_batched(
            || inbound.clone(),
            |inbound| black_box(memory.step(Execution::unknown(EXECUTION_ID), inbound)),
            BatchSize::SmallInput,
        );
    });
    // All that a lane does for it but Kafka: the inbox record's bytes in, the bytes of every record out.
    group.bench_function("car claim, bytes to bytes", |bencher| {
        bencher.iter(|| {
            let mut written = memory.step(Execution::unknown(EXECUTION_ID), memory.read(0, black_box(&car)));
            black_box(encode(&memory, &mut written))
        });
    });

    // An execution that waits, as every batch but its first finds it: reopened from its record.
    let incomplete = memory.read(0, &start(ExampleKind::Incomplete));
    let open = memory.root(&mut memory.step(Execution::unknown(EXECUTION_ID), incomplete));
    let answer = br#"{"event_type":"user.input.provided","payload":{"additional_info":{"amount":1200}}}"#;
    group.bench_function("answer to a waiting claim, bytes to bytes", |bencher| {
        bencher.iter(|| {
            let context = memory.schemas.read_context(black_box(&open)).unwrap();
            let execution = Execution::open(context, &memory.schemas).unwrap();
            let mut written = memory.step(execution, memory.read(1, black_box(answer)));
            black_box(encode(&memory, &mut written))
        });
    });
    group.finish();
}

criterion_group!(benches, apply);
criterion_main!(benches);
