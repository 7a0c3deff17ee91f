//! What stays of a closed execution: a stub, as small as it can be.

use thalweg_core::context::Stub;
use thalweg_core::{Micros, WorkflowStatus};

/// A stub in as few bytes as it needs, with no room to be aligned: there may be millions of them.
#[derive(Clone, Copy)]
#[repr(Rust, packed)]
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
