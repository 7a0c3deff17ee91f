//! Records of the cache are kept as LZ4 blocks.
//!
//! Each is compressed against the ids in its key, as a dictionary: they stand in its value, too.

use std::borrow::Cow;

use lz4_flex::block;
use thalweg_core::codec::CodecError;

/// Bytes of most values: longer ones take memory of their own while they are compressed.
const SCRATCH_BYTES: usize = 8 * 1024;
/// Bytes before a block: the length of the value.
const HEAD_BYTES: usize = size_of::<u32>();

/// Compresses records, one after the other in the same memory.
#[derive(Default)]
pub struct Compressor {
    scratch: Vec<u8>,
}

impl Compressor {
    /// Compresses a record's value; `ids` are those of its key.
    pub fn compress(&mut self, value: &[u8], ids: &[u8]) -> Cow<'_, [u8]> {
        let head = value.len() as u32;
        self.scratch.resize(HEAD_BYTES + block::get_maximum_output_size(SCRATCH_BYTES), 0);
        self.scratch[..HEAD_BYTES].copy_from_slice(&head.to_le_bytes());
        match block::compress_into_with_dict(value, &mut self.scratch[HEAD_BYTES..], ids) {
            Ok(length) => Cow::Borrowed(&self.scratch[..HEAD_BYTES + length]),
            Err(_) => Cow::Owned(block::compress_prepend_size_with_dict(value, ids)),
        }
    }
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
        let compressor = &mut Compressor::default();
        let ids = "6076b79f-4030-5d05-a150-38306c2b85a0";
        for value in
            ["", "a", ids, &format!("{ids} and {ids}"), &"\\u{0}".repeat(100_000), &"abc".repeat(SCRATCH_BYTES)]
        {
            let record = compressor.compress(value.as_bytes(), ids.as_bytes());
            assert_eq!(decompress(&record, ids.as_bytes()).unwrap(), value.as_bytes());
        }
        let record = compressor.compress(format!("{ids} and {ids}, {ids}").as_bytes(), ids.as_bytes());
        assert!(record.len() < ids.len(), "{} bytes", record.len());
    }
}
