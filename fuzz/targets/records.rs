//! The records that routers write, from bytes that anyone may have written: what can be read is written and read again
//! as the same, and an execution opens from any context that can be read.

#![no_main]

use std::fmt::Debug;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use thalweg_core::Execution;
use thalweg_core::codec::{CodecError, Schemas};
use thalweg_core::context::Stub;

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
    let context = again(data, Schemas::read_context, Schemas::write_context);
    let summary = SCHEMAS.read_context_summary(data);
    if let Some(context) = &context {
        let summary = summary.unwrap();
        assert_eq!((summary.stub(), summary.next_due()), (Stub::of(context), context.next_due()));
    }
    if let Ok(scope) = SCHEMAS.read_scope(data) {
        assert_eq!(SCHEMAS.read_scope_summary(data).unwrap().status, scope.status);
    }
    if let Some(context) = context
        && let Ok(mut execution) = Execution::open(context, &SCHEMAS)
    {
        assert!(execution.changed_records(&SCHEMAS).unwrap().is_empty(), "opening changes nothing");
    }
});
