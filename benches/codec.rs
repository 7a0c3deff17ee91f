//! The codec alone: what a lane reads and writes for one claim.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

mod memory;

use std::hint::black_box;

use claims::ExampleKind;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use thalweg_core::Execution;

use memory::{EXECUTION_ID, Memory, start};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn events(criterion: &mut Criterion) {
    let memory = Memory::new();
    let schemas = &memory.schemas;
    let json = start(ExampleKind::Car);
    let events = memory.step(Execution::unknown(EXECUTION_ID), memory.read(0, &json)).events;
    let encoded: Vec<_> = events.iter().map(|event| schemas.write_event(event).unwrap()).collect();

    let mut group = criterion.benchmark_group("event");
    group.bench_function("read JSON", |bencher| bencher.iter(|| schemas.read_inbox(black_box(&json)).unwrap()));
    group.throughput(Throughput::Bytes(encoded.iter().map(|bytes| bytes.len() as u64).sum()));
    group.bench_function("write the 11 of a car claim", |bencher| {
        bencher.iter(|| events.iter().map(|event| schemas.write_event(black_box(event)).unwrap().len()).sum::<usize>());
    });
    group.bench_function("read the 11 of a car claim", |bencher| {
        bencher
            .iter(|| encoded.iter().map(|bytes| schemas.read_event(black_box(bytes)).unwrap().sequence).sum::<i64>());
    });
    group.finish();
}

fn contexts(criterion: &mut Criterion) {
    let memory = Memory::new();
    let schemas = &memory.schemas;
    let mut group = criterion.benchmark_group("context");
    for (what, kind) in [("open", ExampleKind::Incomplete), ("closed", ExampleKind::Car)] {
        let inbound = memory.read(0, &start(kind));
        let bytes = memory.root(&mut memory.step(Execution::unknown(EXECUTION_ID), inbound));
        let context = schemas.read_context(&bytes).unwrap();
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("write, {what}"), |bencher| {
            bencher.iter(|| schemas.write_context(black_box(&context)).unwrap());
        });
        group.bench_function(format!("read, {what}"), |bencher| {
            bencher.iter(|| schemas.read_context(black_box(&bytes)).unwrap());
        });
        group.bench_function(format!("read its summary, {what}"), |bencher| {
            bencher.iter(|| schemas.read_context_summary(black_box(&bytes)).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, events, contexts);
criterion_main!(benches);
