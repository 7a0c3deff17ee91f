//! Bytes to records and back: Avro single-object encoding written, single-object and JSON read.
//!
//! Source of the framing: Avro specification, "Single-object encoding": `C3 01`, the schema's CRC-64-AVRO
//! fingerprint in 8 bytes little-endian, the datum.

mod datum;
mod json;
mod projection;
mod schemas;

pub use json::event_to_json;
pub(crate) use json::read_native_json;
pub use schemas::{CodecError, Fingerprint, Schemas, fingerprint_of, fingerprint_of_text};

use crate::context::{ContextKey, RecordKey};
use crate::dialect::Headers;
use crate::error_code::ErrorCode;
use crate::event::Event;
use crate::inbound::Refusal;

/// First bytes of the single-object encoding.
const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];

impl Schemas {
    /// Reads the value of an inbox record, in any encoding and dialect that the inbox takes.
    ///
    /// # Errors
    /// DECODE_FAILED, SCHEMA_UNKNOWN or EVENT_INVALID.
    pub fn read_inbox(&self, value: &[u8]) -> Result<Event, Refusal> {
        self.read_inbox_with(value, &[])
    }

    /// The same, of a record with headers: a dialect may tell a part there.
    pub(crate) fn read_inbox_with(&self, value: &[u8], headers: Headers) -> Result<Event, Refusal> {
        self.read_value(value, |text| json::read(text, headers))
    }

    /// The same in the native form, whatever a JSON document looks like.
    pub(crate) fn read_native(&self, value: &[u8]) -> Result<Event, Refusal> {
        self.read_value(value, read_native_json)
    }

    fn read_value(
        &self,
        value: &[u8],
        read_json: impl FnOnce(&[u8]) -> Result<Event, Refusal>,
    ) -> Result<Event, Refusal> {
        let text = value.trim_ascii_start();
        if text.first() == Some(&b'{') {
            return read_json(text);
        }
        if value.starts_with(&SINGLE_OBJECT) {
            return self.read_event(value).map_err(|error| Refusal::new(error.code(), error.to_string()));
        }
        let what = if value.first() == Some(&0) {
            "it begins with 00 as Confluent framing does, and no schema registry is configured"
        } else {
            "it is neither Avro single-object encoding (C3 01 ...) nor a JSON object ({ ...)"
        };
        Err(Refusal::new(ErrorCode::DecodeFailed, format!("the value can't be read: {what}")))
    }

    /// The key of a record in the contexts topic, as bytes.
    ///
    /// # Errors
    /// Where the key does not fit its schema.
    pub fn write_key(&self, key: &RecordKey) -> Result<Vec<u8>, CodecError> {
        match key {
            RecordKey::Root(execution_id) => Ok(execution_id.as_bytes().to_vec()),
            RecordKey::Inner(key) => self.write_context_key(key),
        }
    }

    /// Reads the key of a record in the contexts topic. `C3 01` begins no UTF-8 text, so the two forms can't be confused.
    ///
    /// # Errors
    /// Where it is neither UTF-8 nor a readable `ContextKey`.
    pub fn read_key(&self, key: &[u8]) -> Result<RecordKey, CodecError> {
        if key.starts_with(&SINGLE_OBJECT) {
            return self.read_part::<ContextKey, ContextKey>(key, "thalweg.ContextKey").map(RecordKey::Inner);
        }
        match std::str::from_utf8(key) {
            Ok(text) => Ok(RecordKey::Root(text.to_owned())),
            Err(error) => Err(CodecError::Malformed(error.to_string())),
        }
    }
}
