//! The router of the sample: it runs insurance claims.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use thalweg_core::Workflows;
use thalweg_router::{Router, RouterError};
use thalweg_runtime::{Config, LogError, Overrides, init_processor_log};

/// Run insurance claims: a router of the namespace with the sample's tasks.
#[derive(Parser, Debug)]
#[command(
    name = "claims",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 asked to stop, 1 failed, 2 usage, 4 could not reach Kafka."
)]
struct Arguments {
    /// A file of settings (TOML); the environment and flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Brokers, separated by commas [env: THALWEG_BROKERS]
    #[arg(long, value_name = "HOST:PORT")]
    brokers: Option<String>,
    /// What the names of the topics begin with [env: THALWEG_NAMESPACE] [default: thalweg]
    #[arg(long)]
    namespace: Option<String>,
    /// Name of this process, unique in the namespace [default: host name and admin port]
    #[arg(long)]
    instance: Option<String>,
    /// Threads that work on partitions [default: one for each core]
    #[arg(long, value_name = "N")]
    lanes: Option<usize>,
    /// Where /metrics, /livez and /readyz are served [default: 127.0.0.1:9464]
    #[arg(long, value_name = "HOST:PORT")]
    admin_addr: Option<SocketAddr>,
    /// Print the configuration that results, without secrets, and end
    #[arg(long)]
    show_config: bool,
}

/// Why the router could not run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Router(#[from] RouterError),
    #[error("the output can't be written: {0}")]
    Output(#[from] io::Error),
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(match failure {
                Failure::Log(_) | Failure::Router(RouterError::Config(_)) => 2,
                Failure::Router(RouterError::Unreachable { .. }) => 4,
                Failure::Router(_) | Failure::Output(_) => 1,
            })
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let flags = Overrides {
        brokers: arguments.brokers,
        namespace: arguments.namespace,
        instance: arguments.instance,
        lanes: arguments.lanes,
        admin_addr: arguments.admin_addr,
        ..Overrides::default()
    };
    let config = Config::load(arguments.config.as_deref(), &flags).map_err(RouterError::from)?;
    if arguments.show_config {
        return Ok(write!(io::stdout(), "{config}")?);
    }
    init_processor_log()?;
    Ok(Router::run(&config, Workflows::new().with(claims::workflow()), None, |_| {})?)
}
