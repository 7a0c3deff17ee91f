//! Tools that are called elsewhere.

use tracing::info;

use super::Metrics;

/// The result of a tool came without its call.
#[derive(Clone, Copy, Debug)]
pub struct ToolResultOrphaned<'a> {
    /// The execution.
    pub execution_id: &'a str,
}

impl ToolResultOrphaned<'_> {
    /// Counts and logs it.
    pub fn emit(self) {
        info!(execution_id = self.execution_id, "the result of a tool came without its call");
        if let Some(metrics) = Metrics::installed() {
            self.record(metrics);
        }
    }

    pub(super) fn record(&self, metrics: &Metrics) {
        metrics.orphan_tool_results.inc();
    }
}
