//! The flags that every command takes.

use std::path::PathBuf;

use clap::Args;
use thalweg_runtime::{Config, Overrides};

use crate::error::CommandError;

/// Which Kafka, and which namespace on it.
#[derive(Args, Debug)]
pub struct Settings {
    /// Brokers, separated by commas [env: THALWEG_BROKERS]
    #[arg(long, global = true, help_heading = "Kafka", value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// What the names of the topics begin with [env: THALWEG_NAMESPACE] [default: thalweg]
    #[arg(long, global = true, help_heading = "Kafka")]
    namespace: Option<String>,
    /// A file of settings (TOML); the environment and flags win over it
    #[arg(long, global = true, help_heading = "Kafka", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Settings {
    /// The configuration: the file, the environment, the flags.
    ///
    /// # Errors
    /// Where one of them can't be read.
    pub fn load(&self) -> Result<Config, CommandError> {
        self.load_with(Overrides::default())
    }

    /// The same with more flags.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn load_with(&self, flags: Overrides) -> Result<Config, CommandError> {
        let flags = Overrides { brokers: self.brokers.clone(), namespace: self.namespace.clone(), ..flags };
        Ok(Config::load(self.config.as_deref(), &flags)?)
    }
}
