//! The log: lines on standard error, filtered by `THALWEG_LOG`.
//!
//! The filter is that of `tracing-subscriber`: a level, or `target=level` pairs such as
//! `info,thalweg_runtime=debug,librdkafka=warn`. What librdkafka and other libraries log comes
//! through the same filter.

use std::env;
use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::source::LOG_VARIABLE;

/// What a processor logs where `THALWEG_LOG` is not set.
const PROCESSOR_FILTER: &str = "info";
/// What a command logs where it is not set: a command speaks for itself, and librdkafka calls an error what a lane
/// meets every day, such as a transaction that a rebalance aborts.
const COMMAND_FILTER: &str = "warn,librdkafka=off";

/// Why the log can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `THALWEG_LOG` is no filter.
    #[error("THALWEG_LOG is no filter: {0}")]
    Filter(ParseError),
    /// `THALWEG_LOG` is not UTF-8.
    #[error("THALWEG_LOG is not UTF-8")]
    NotUtf8,
    /// The process has a log already.
    #[error("the log is set up already: {0}")]
    AlreadySet(TryInitError),
}

/// Sets up the log of a processor: a JSON object a line.
///
/// # Errors
/// [`LogError`].
pub fn init_processor_log() -> Result<(), LogError> {
    let lines = tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter(PROCESSOR_FILTER)?);
    let json = lines.json().flatten_event(true).with_thread_names(true);
    json.with_current_span(false).with_span_list(false).finish().try_init().map_err(LogError::AlreadySet)
}

/// Sets up the log of a command: plain lines for people.
///
/// # Errors
/// [`LogError`].
pub fn init_command_log() -> Result<(), LogError> {
    let lines = tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter(COMMAND_FILTER)?);
    lines.compact().with_ansi(false).without_time().finish().try_init().map_err(LogError::AlreadySet)
}

fn filter(default: &str) -> Result<EnvFilter, LogError> {
    let text = match env::var_os(LOG_VARIABLE) {
        Some(text) => text.into_string().map_err(|_| LogError::NotUtf8)?,
        None => default.to_owned(),
    };
    EnvFilter::try_new(text).map_err(LogError::Filter)
}
