//! Places in the loop at which a fault test ends or halts the process.

use std::sync::Arc;

/// A place in the lane's loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// Records were polled, nothing was done with them.
    AfterPoll,
    /// The step ran, nothing was written.
    AfterStep,
    /// The transaction's records were handed to the producer.
    AfterProduce,
    /// The offsets were added to the transaction.
    AfterOffsets,
    /// Everything is acknowledged but the commit.
    BeforeCommit,
    /// The commit is acknowledged, the caches do not know it yet.
    AfterCommit,
}

/// Is told, on the lane's thread, each time that a lane with work in hand passes one of the places.
pub type FailPoints = Arc<dyn Fn(FailPoint) + Send + Sync>;
