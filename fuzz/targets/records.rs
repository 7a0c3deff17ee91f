//! The records that routers write, from bytes that anyone may have written: what can be read is written and read again
//! as the same, and an execution opens from any context that can be read.

#![no_main]

use std::fmt::Debug;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use thalweg_core::Execution;
use thalweg_core::codec::{CodecError, Schemas};

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| Schemas::new().unwrap());

type Read<T> = fn(&Schemas, &[u8]) -> Result<T, CodecError>;
type Write<T> = fn(&Schemas, &T) -> Result<Vec<u8>, CodecError>;

/// Reads, writes, reads. The two records are compared as they show themselves: a NaN is not equal to itself.
fn again<T: Debug>(data: &[u8], read: Read<T>, write: Write<T>) -> Option<T> {
    let record = read(&SCHEMAS, data).ok()?;
    let bytes = write(&SCHEMAS, &record).unwrap();
    let reread = read(&SCHEMAS, &bytes).unwrap();
    assert_eq!(format!("{reread:?}"), format!("{record:?}"));
    Some(record)
}

fuzz_target!(|data: &[u8]| {
    again(data, Schemas::read_event, Schemas::write_event);
    again(data, Schemas::read_scope, Schemas::write_scope);
    again(data, Schemas::read_branch, Schemas::write_branch);
    again(data, Schemas::read_context_key, Schemas::write_context_key);
    again(data, Schemas::read_key, Schemas::write_key);
    if let Some(context) = again(data, Schemas::read_context, Schemas::write_context)
        && let Ok(mut execution) = Execution::open(context, &SCHEMAS)
    {
        assert!(execution.changed_records(&SCHEMAS).unwrap().is_empty(), "opening changes nothing");
    }
});
