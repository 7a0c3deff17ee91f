//! A record of the inbox, whatever its bytes, is an event that can be written and read again, belongs elsewhere, or is
//! refused with a message.
//!
//! The first byte says which key, origin and redrive number it has; the rest is its value.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use thalweg_core::codec::{Schemas, event_to_json};
use thalweg_core::dialect::{Dialect, HEADER_DIALECT};
use thalweg_core::inbound::{self, InboxRecord, Reading};
use thalweg_core::limits::{ENVELOPE_MAX_BYTES, ERROR_MESSAGE_MAX_BYTES};
use thalweg_core::{Limits, partition_of};

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| Schemas::new().unwrap());

/// Small enough for a fuzzer's inputs to get over it.
const PAYLOAD_MAX_BYTES: usize = 256;
const PARTITIONS: i32 = 12;

fuzz_target!(|data: &[u8]| {
    let Some((&shape, value)) = data.split_first() else { return };
    let partitions = if shape & 0x80 == 0 { 1 } else { PARTITIONS };
    let limits = Limits { payload_max_bytes: PAYLOAD_MAX_BYTES, ..Limits::default() };
    let dialect = Dialect::ALL[usize::from(shape >> 5) % Dialect::ALL.len()];
    let named = (HEADER_DIALECT.to_owned(), Some(dialect.as_str().as_bytes().to_vec()));
    let headers = if shape & 0x60 == 0 { Vec::new() } else { vec![named] };
    let record = InboxRecord {
        topic: "inbox",
        partition: 0,
        offset: 7,
        timestamp: 1_700_000_000_000_000,
        key: match shape & 0x03 {
            0 => None,
            1 => Some(b"e"),
            2 => Some(b""),
            _ => Some(&value[..value.len().min(12)]),
        },
        value: (shape & 0x04 == 0).then_some(value),
        origin: (shape & 0x08 != 0).then_some("inbox/3/4711"),
        redrive: u32::from(shape & 0x10 != 0),
        headers: &headers,
    };
    match inbound::read(&record, partitions, &SCHEMAS, &limits) {
        Err(refusal) => assert!((1..=ERROR_MESSAGE_MAX_BYTES).contains(&refusal.message.len())),
        Ok(Reading::Elsewhere { partition, execution_id, event_id }) => {
            assert_eq!(partition_of(execution_id.as_bytes(), partitions), partition);
            assert!(partition != record.partition && !event_id.is_empty());
        }
        Ok(Reading::Event(inbound)) => {
            let event = inbound.event;
            assert_eq!(partition_of(event.execution_id.as_bytes(), partitions), 0);
            assert!(event.envelope_bytes() <= ENVELOPE_MAX_BYTES);
            let bytes = SCHEMAS.write_event(&event).unwrap();
            let read = SCHEMAS.read_event(&bytes).unwrap();
            assert_eq!(format!("{read:?}"), format!("{event:?}"), "Avro gives back what it was given");
            let text = event_to_json(&event).to_string();
            SCHEMAS.read_inbox(text.as_bytes()).unwrap_or_else(|refusal| panic!("{refusal}: {text}"));
        }
    }
});
