//! The demo: claims are sent, followed to their ends, and summed up.

mod claims;
mod progress;
mod run;
mod summary;

pub use run::Run;
pub use summary::Summary;
