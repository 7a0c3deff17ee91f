//! Maps by execution.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// An execution hash that takes no room to be aligned: there may be millions in a map.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(Rust, packed)]
pub struct ExecutionKey(u64, u64);

impl From<u128> for ExecutionKey {
    fn from(hash: u128) -> ExecutionKey {
        ExecutionKey((hash >> 64) as u64, hash as u64)
    }
}

impl Hash for ExecutionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.1);
    }
}

/// Takes a part of a key that is a hash already.
#[derive(Default)]
pub struct PassThrough(u64);

impl Hasher for PassThrough {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

/// A map by execution hash: a `u128`, or an [`ExecutionKey`] where it is to be small.
pub type ByExecution<K, V> = HashMap<K, V, BuildHasherDefault<PassThrough>>;
