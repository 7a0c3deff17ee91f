//! Records of the cache are kept as LZ4 blocks.
//!
//! Each is compressed against the ids in its key, as a dictionary: they stand in its value, too, which moreover names the
//! same events and scopes again and again.

use lz4_flex::block;
use thalweg_core::codec::CodecError;

/// Compresses a record's value; `ids` are those of its key.
pub fn compress(value: &[u8], ids: &[u8]) -> Vec<u8> {
    block::compress_prepend_size_with_dict(value, ids)
}

/// The value of what was compressed with these ids; with others it may read as something else.
///
/// # Errors
/// Where the bytes are no such block.
pub fn decompress(record: &[u8], ids: &[u8]) -> Result<Vec<u8>, CodecError> {
    block::decompress_size_prepended_with_dict(record, ids).map_err(|error| CodecError::Malformed(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_and_its_ids_take_no_room() {
        let ids = "6076b79f-4030-5d05-a150-38306c2b85a0";
        for value in ["", "a", ids, &format!("{ids} and {ids}"), &"\\u{0}".repeat(100_000)] {
            let record = compress(value.as_bytes(), ids.as_bytes());
            assert_eq!(decompress(&record, ids.as_bytes()).unwrap(), value.as_bytes());
        }
        let record = compress(format!("{ids} and {ids}, {ids}").as_bytes(), ids.as_bytes());
        assert!(record.len() < ids.len(), "{} bytes", record.len());
    }
}
