//! Why a command failed, and the exit code that says so.

use std::fmt;
use std::io;
use std::process::ExitCode;

use rdkafka::error::KafkaError;
use thalweg_core::ErrorCode;
use thalweg_core::codec::CodecError;
use thalweg_core::inbound::Refusal;
use thalweg_router::RouterError;
use thalweg_runtime::kafka::NotAuthorized;
use thalweg_runtime::{ConfigError, LogError, TopicSetupError};

/// The command was carried out, and what it was about has failed.
const FAILED: u8 = 1;
/// The command line or the configuration can't be used.
const USAGE: u8 = 2;
/// What was asked for does not exist.
const NOT_FOUND: u8 = 3;
/// Kafka could not be reached.
const UNREACHABLE: u8 = 4;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The command line can't be used.
    #[error("{0}")]
    Usage(String),
    /// The configuration can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log can't be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What was asked for does not exist.
    #[error("{0}")]
    NotFound(String),
    /// No execution has this id.
    #[error(
        "{code}: no execution {execution_id:?} in {searched}\ncheck the id and --namespace; its start may be among \
         `thalweg dead-letters list`, or not handled yet",
        code = ErrorCode::ExecutionUnknown
    )]
    ExecutionUnknown {
        /// The id.
        execution_id: String,
        /// Where it was looked for.
        searched: String,
    },
    /// No broker answered.
    #[error("could not reach Kafka at {brokers}: {reason}\ncheck --brokers, and the security settings under [kafka]")]
    Unreachable {
        /// The brokers asked.
        brokers: String,
        /// librdkafka's words.
        reason: String,
    },
    /// Kafka denies the user a right.
    #[error(transparent)]
    NotAuthorized(#[from] NotAuthorized),
    /// Topics can't be created or checked.
    #[error(transparent)]
    Topics(#[from] TopicSetupError),
    /// The router could not start, or ended.
    #[error(transparent)]
    Router(#[from] RouterError),
    /// A document is no event.
    #[error("{code}: document {number}: {message}", code = .refusal.code, message = .refusal.message)]
    Refused {
        /// Which of those that were given, from 1.
        number: u64,
        /// Why.
        refusal: Refusal,
    },
    /// A record can't be read.
    #[error("{code}: {0}", code = .0.code())]
    Codec(#[from] CodecError),
    /// Kafka refused.
    #[error("Kafka refused: {0}")]
    Kafka(#[from] KafkaError),
    /// What the command was about has failed.
    #[error("{0}")]
    Failed(String),
    /// What was printed could not be written.
    #[error("the output can't be written: {0}")]
    Output(io::Error),
    /// A runtime could not be started.
    #[error("the process can't start what it needs: {0}")]
    Start(io::Error),
    /// The reader of the output has closed it: it has seen enough.
    #[error("the output was closed")]
    OutputClosed,
}

impl CommandError {
    /// There is no dead letter at `place`.
    pub fn no_dead_letter(place: &impl fmt::Display, topic: &str) -> CommandError {
        CommandError::NotFound(format!(
            "no dead letter at {place} in {topic}\n`thalweg dead-letters list --all` shows those there are"
        ))
    }

    /// Tells the error on standard error, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        if matches!(self, CommandError::OutputClosed) {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {self}");
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            CommandError::Usage(_) | CommandError::Config(_) | CommandError::Log(_) => USAGE,
            CommandError::Topics(TopicSetupError::Config(_)) => USAGE,
            CommandError::Router(RouterError::Config(_)) => USAGE,
            CommandError::NotFound(_) | CommandError::ExecutionUnknown { .. } => NOT_FOUND,
            CommandError::Unreachable { .. } => UNREACHABLE,
            CommandError::Topics(TopicSetupError::Unreachable { .. }) => UNREACHABLE,
            CommandError::Router(RouterError::Unreachable { .. }) => UNREACHABLE,
            _ => FAILED,
        }
    }
}
