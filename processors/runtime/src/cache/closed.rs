//! What stays of a closed execution: a key and a stub, as small as they can be.

use std::hash::{Hash, Hasher};

use thalweg_core::context::Stub;
use thalweg_core::{Micros, WorkflowStatus};

/// An execution hash that takes no room to be aligned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClosedKey(u64, u64);

impl From<u128> for ClosedKey {
    fn from(hash: u128) -> ClosedKey {
        ClosedKey((hash >> 64) as u64, hash as u64)
    }
}

impl Hash for ClosedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.1);
    }
}

/// A stub in as few bytes as it needs: there may be millions of them.
#[derive(Clone, Copy)]
pub struct PackedStub {
    applied_offset: i64,
    start_hash: u64,
    /// Seconds since the epoch, rounded up.
    pub completed_at: u32,
    status: WorkflowStatus,
}

impl PackedStub {
    /// Packs a stub.
    pub fn new(stub: Stub) -> PackedStub {
        PackedStub {
            applied_offset: stub.applied_offset,
            start_hash: stub.start_hash,
            completed_at: u32::try_from(stub.completed_at.max(0) as u64 / MICROS).map_or(u32::MAX, |s| s + 1),
            status: stub.status,
        }
    }

    /// The stub, its end to the second.
    pub fn stub(self) -> Stub {
        Stub {
            status: self.status,
            completed_at: Micros::from(self.completed_at) * MICROS as Micros,
            applied_offset: self.applied_offset,
            start_hash: self.start_hash,
        }
    }
}

/// Microseconds of a second.
pub const MICROS: u64 = 1_000_000;
