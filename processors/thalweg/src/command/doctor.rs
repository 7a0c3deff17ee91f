//! `thalweg doctor`

mod brokers;
mod check;
mod clocks;
mod connection;
mod examination;
mod group;
mod permissions;
mod registry;
mod report;
mod topics;
mod transactions;

use clap::Args;

use crate::error::CommandError;
use crate::output::{self, Output};
use crate::settings::Settings;
use check::{Area, Check, Level};
use connection::Contacts;
use examination::{Examination, broken_off};

/// Say what is wrong with a namespace and its Kafka, and what to do
///
/// It looks at the brokers, what they allow, topics, settings, clocks, the routers' group, transactions and the
/// registry, and writes no record. With a problem the exit code is 1.
#[derive(Args, Debug)]
pub struct Doctor {
    #[command(flatten)]
    output: Output,
}

impl Doctor {
    /// Runs the command.
    ///
    /// # Errors
    /// Where there is a problem, or Kafka can't be reached.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let config = settings.load()?;
        config.check()?;
        let contacts = Contacts::make(&config);
        let mut checks = contacts.checks(&config);
        if contacts.is_connected() {
            match Examination::begin(&config) {
                Ok(examination) => checks.extend(examination.checks()),
                Err(error) => checks.push(broken_off(Area::Connection, &config.namespace, &error)),
            }
        }
        if self.output.is_json() {
            output::print_json(&report::document(&checks))?;
        } else {
            output::print(&report::text(&checks))?;
        }
        verdict(&config.brokers, &contacts, &checks)
    }
}

fn verdict(brokers: &str, contacts: &Contacts, checks: &[Check]) -> Result<(), CommandError> {
    let problems = checks.iter().filter(|check| check.level == Level::Problem).count();
    match contacts.first_failure() {
        Some(failure) if !contacts.is_connected() && !failure.is_refusal() => {
            Err(CommandError::Unreachable { brokers: brokers.to_owned(), reason: failure.to_string() })
        }
        _ if problems > 0 => {
            let problems = if problems == 1 { "a problem".to_owned() } else { format!("{problems} problems") };
            Err(CommandError::Failed(format!("{problems}; what to do is printed with each")))
        }
        _ => Ok(()),
    }
}
