//! What a broker of the tests writes.

use std::fs::File;
use std::sync::{Arc, Mutex};

use super::process::{Process, contents};

/// What a broker has written to standard error: each of its processes, where it was started again. It can still be read
/// when the broker is gone.
#[derive(Clone, Default)]
pub struct BrokerLog(Arc<Mutex<Vec<File>>>);

impl BrokerLog {
    /// All of it so far.
    pub fn text(&self) -> String {
        self.0.lock().expect("nobody panics with it").iter().map(contents).collect()
    }

    /// Takes in what this process writes, too.
    pub(super) fn follow(&self, process: &Process) {
        self.0.lock().expect("nobody panics with it").push(process.stderr_handle());
    }
}
