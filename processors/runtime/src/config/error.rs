//! Why a configuration can't be used.

use std::io;
use std::path::PathBuf;

/// Why a configuration can't be used. The text names the setting; it never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration file {} can't be read: {error}", path.display())]
    File {
        /// The file as it was named.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// A source can't be parsed, has an unknown setting, or one of the wrong type.
    #[error("the configuration is invalid: {0}")]
    Source(String),
    /// A setting has a value that can't work.
    #[error("{setting}: {problem}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What is wrong, with the bound.
        problem: String,
    },
    /// A channel's topic can't be used.
    #[error("channels.{channel}: {problem}")]
    Channel {
        /// The channel.
        channel: thalweg_core::Channel,
        /// What is wrong with its topic.
        problem: String,
    },
    /// A setting of `[kafka]` that is not the user's.
    #[error("kafka.{name} can't be set: {reason}")]
    KafkaOwned {
        /// Its name.
        name: String,
        /// Why not, and what to set instead.
        reason: &'static str,
    },
    /// A setting of `[kafka]` that librdkafka does not know, or whose value it does not take.
    #[error("kafka.{name} is refused by librdkafka: {reason}")]
    KafkaRefused {
        /// Its name.
        name: String,
        /// librdkafka's words.
        reason: String,
    },
    /// The name of this host, part of the default instance, can't be found out.
    #[error("the host's name can't be read, set `instance`: {0}")]
    HostName(io::Error),
}

impl ConfigError {
    /// What figment says, without the lines of the file that it quotes: one of them may be a password without quotes.
    pub(super) fn of_source(error: &figment::Error) -> ConfigError {
        let before_bar = |c: char| c == ' ' || c.is_ascii_digit();
        let said = error.to_string();
        let own = said.lines().filter(|line| !line.trim_start_matches(before_bar).starts_with('|'));
        ConfigError::Source(own.collect::<Vec<_>>().join("\n"))
    }
}
