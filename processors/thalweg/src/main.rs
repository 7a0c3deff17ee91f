//! The command line of Thalweg.

mod command;
mod connection;
mod decoder;
mod demo;
mod ending;
mod error;
mod health;
mod history;
mod in_process_broker;
mod inbox;
mod json_argument;
mod output;
mod producer;
mod reading;
mod settings;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use command::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
