//! What librdkafka tells beside its answers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Errors that are kept: the first ones tell the cause.
const ERRORS_MAX: usize = 64;

/// Keeps the errors of a client, each with librdkafka's words.
#[derive(Default)]
pub(super) struct Listener {
    errors: Mutex<Vec<(RDKafkaErrorCode, String)>>,
}

impl Listener {
    /// The errors so far.
    pub fn errors(&self) -> MutexGuard<'_, Vec<(RDKafkaErrorCode, String)>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Listener {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        // What matters comes as an error, too.
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        tracing::debug!(%code, reason, "librdkafka");
        let mut errors = self.errors();
        if errors.len() < ERRORS_MAX {
            errors.push((code, reason.to_owned()));
        }
    }
}

impl ConsumerContext for Listener {}
