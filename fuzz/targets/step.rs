//! A series of inbox records goes into the step: every one is answered, and what the events tell is what the router has
//! in memory and has saved.
//!
//! Records are separated by the byte 1E. An empty one ends the transaction, `>` goes on with what is pending, `|` cuts
//! the next step at once, `~` lets a second pass, and `$S` in a record stands for the newest scope of the execution "e".

#![no_main]
#![allow(dead_code, reason = "the properties of the step use all of the memory router")]

use libfuzzer_sys::fuzz_target;
use thalweg_core::Limits;

#[path = "../../processors/core/tests/properties/anything.rs"]
mod anything;
#[path = "../../processors/core/tests/properties/memory_router.rs"]
mod memory_router;

use anything::WORKFLOWS;
use memory_router::{MemoryRouter, read_record};

const SEPARATOR: u8 = 0x1E;
/// What passes at once, in microseconds.
const SECOND: i64 = 1_000_000;
/// Records of one series.
const RECORDS_MAX: usize = 24;

fuzz_target!(|data: &[u8]| {
    let Some((&shape, data)) = data.split_first() else { return };
    let limits = Limits {
        step_max_events: if shape & 1 == 0 { 256 } else { 2 },
        chain_max_depth: if shape & 2 == 0 { 1000 } else { 4 },
        context_max_bytes: if shape & 4 == 0 { 960 * 1024 } else { 2048 },
        effects_max_bytes: if shape & 8 == 0 { 448 * 1024 } else { 512 },
        payload_max_bytes: if shape & 16 == 0 { 512 * 1024 } else { 512 },
        early_start_ttl_ms: if shape & 32 == 0 { 0 } else { 2000 },
        ..Limits::default()
    };
    let mut router = MemoryRouter::new(&WORKFLOWS, limits);
    let mut cut = false;
    for (offset, record) in data.split(|byte| *byte == SEPARATOR).take(RECORDS_MAX).enumerate() {
        match record {
            b"" => router.commit(),
            b">" if router.has_queued("e") => router.step("e", None, &mut || std::mem::take(&mut cut)),
            b">" => {}
            b"|" => cut = true,
            b"~" => router.pass_until("e", router.now + SECOND),
            value => {
                let value = with_scope(value, &router);
                let Ok(inbound) = read_record(Some(b"e"), offset as i64, &value, &limits) else { continue };
                let id = inbound.event.execution_id.clone();
                router.step(&id, Some(inbound), &mut || std::mem::take(&mut cut));
                router.assert_folded(&id);
            }
        }
        router.assert_folded("e");
    }
    let ids: Vec<String> = router.logs.keys().cloned().collect();
    router.commit();
    for id in ids {
        router.assert_folded(&id);
        router.drain(&id);
        router.commit();
        router.assert_folded(&id);
    }
});

fn with_scope(value: &[u8], router: &MemoryRouter) -> Vec<u8> {
    let Some(at) = value.windows(2).position(|window| window == b"$S") else { return value.to_vec() };
    let newest = router.log("e").published.iter().rev().find_map(|event| event.scope.clone());
    [&value[..at], newest.unwrap_or_default().as_bytes(), &value[at + 2..]].concat()
}
