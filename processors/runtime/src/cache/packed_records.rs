//! The records of one execution as one LZ4 block, which is compressed against those of another one and the id.
//!
//! Together they take less than one by one, in bytes and in time: they name the same ids and events again and again.

use thalweg_core::codec::CodecError;

use super::compression::{Compressor, decompress};
use super::dictionaries::Dictionaries;
use super::execution_records::ExecutionRecords;

/// Records of scopes and branches that are kept in one block with the root's: of more each is kept by itself, so that to
/// read or write one of them stays cheap.
pub const INNER_MAX: usize = 8;
/// Bytes of their values that are, likewise.
pub const INNER_MAX_BYTES: usize = 4 * 1024;

/// In the first byte: there is a root.
const HAS_ROOT: u8 = 0x80;
/// In the first byte: there are records of scopes or branches. The rest of it counts the scopes that are open.
const HAS_INNER: u8 = 0x40;

/// The block behind two bytes: what is in it, and the number of its dictionary.
pub struct PackedRecords(Box<[u8]>);

impl PackedRecords {
    /// Packs the records of the execution of this id.
    pub fn new(
        records: &ExecutionRecords,
        execution_id: &str,
        dictionaries: &mut Dictionaries,
        compressor: &mut Compressor,
    ) -> PackedRecords {
        let root = if records.root().is_some() { HAS_ROOT } else { 0 };
        let inner = if records.inner().next().is_some() { HAS_INNER } else { 0 };
        let open_scopes = records.open_scopes().min(INNER_MAX) as u8;
        let number = dictionaries.learn(records.as_bytes());
        let block = compressor.compress(records.as_bytes(), &dictionaries.get(number, execution_id));
        PackedRecords([&[root | inner | open_scopes, number], &*block].concat().into())
    }

    /// The records.
    ///
    /// # Errors
    /// Where they are none of the execution of this id.
    pub fn unpack(&self, execution_id: &str, dictionaries: &Dictionaries) -> Result<ExecutionRecords, CodecError> {
        let [_, number, block @ ..] = &*self.0 else {
            return Err(CodecError::Malformed("packed records without a head".to_owned()));
        };
        decompress(block, &dictionaries.get(*number, execution_id)).map(ExecutionRecords::from_bytes)
    }

    fn head(&self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }

    pub fn has_root(&self) -> bool {
        self.head() & HAS_ROOT != 0
    }

    pub fn has_inner(&self) -> bool {
        self.head() & HAS_INNER != 0
    }

    pub fn open_scopes(&self) -> usize {
        usize::from(self.head() & !(HAS_ROOT | HAS_INNER))
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}
