//! A schema of the registry, whatever its text, is learned under its fingerprint or refused, and what was written with
//! it is read or refused.
//!
//! The schema's text, a zero byte, a datum. What is learned stays for the life of a process: run it with `-fork=1`.

#![no_main]

use std::sync::LazyLock;

use apache_avro::Schema;
use libfuzzer_sys::fuzz_target;
use thalweg_core::codec::{Schemas, fingerprint_of};

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| Schemas::new().unwrap());

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (text, rest) = data.split_at(end);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let fingerprint = Schema::parse_str(text).map(|schema| fingerprint_of(&schema)).unwrap_or_default();
    let learned = SCHEMAS.learn(fingerprint, text);
    assert_eq!(learned.is_ok(), SCHEMAS.knows(&fingerprint));
    if learned.is_err() {
        return;
    }
    let bytes = [&[0xC3, 0x01], fingerprint.as_slice(), rest.get(1..).unwrap_or_default()].concat();
    let _ = SCHEMAS.read_event(&bytes);
    let _ = SCHEMAS.read_context(&bytes);
    let _ = SCHEMAS.read_scope(&bytes);
    let _ = SCHEMAS.read_branch(&bytes);
    let _ = SCHEMAS.read_key(&bytes);
});
