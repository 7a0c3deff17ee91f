//! The commands, a file each.

mod approve;
mod control;
mod convert;
mod dead_letters;
mod demo;
mod dev;
mod doctor;
mod get;
mod health;
mod history;
mod list;
mod send;
mod start;
mod tail;
mod topics;
mod wait;

use clap::{Parser, Subcommand};
use thalweg_core::WorkflowCommand;

use crate::error::CommandError;
use crate::settings::Settings;

/// Durable, event-driven agent workflows on Kafka.
#[derive(Parser, Debug)]
#[command(
    name = "thalweg",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 could not reach Kafka."
)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Demo(demo::Demo),
    Dev(dev::Dev),
    Topics(topics::Topics),
    Start(start::Start),
    Send(send::Send),
    Get(get::Get),
    List(list::List),
    Wait(wait::Wait),
    History(history::History),
    Tail(tail::Tail),
    Convert(convert::Convert),
    Approve(approve::Approve),
    /// End an execution: CANCELED
    Cancel(control::Control),
    /// Route nothing more to an execution's tasks until it is resumed
    Pause(control::Control),
    /// Let a paused execution go on
    Resume(control::Control),
    DeadLetters(dead_letters::DeadLetters),
    Health(health::Health),
    Doctor(doctor::Doctor),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Why it failed.
    pub fn run(self) -> Result<(), CommandError> {
        thalweg_runtime::init_command_log()?;
        match self.command {
            Command::Demo(demo) => demo.run(&self.settings),
            Command::Dev(dev) => dev.run(&self.settings),
            Command::Topics(topics) => topics.run(&self.settings),
            Command::Start(start) => start.run(&self.settings),
            Command::Send(send) => send.run(&self.settings),
            Command::Get(get) => get.run(&self.settings),
            Command::List(list) => list.run(&self.settings),
            Command::Wait(wait) => wait.run(&self.settings),
            Command::History(history) => history.run(&self.settings),
            Command::Tail(tail) => tail.run(&self.settings),
            Command::Convert(convert) => convert.run(),
            Command::Approve(approve) => approve.run(&self.settings),
            Command::Cancel(control) => control.run(WorkflowCommand::Cancel, &self.settings),
            Command::Pause(control) => control.run(WorkflowCommand::Pause, &self.settings),
            Command::Resume(control) => control.run(WorkflowCommand::Resume, &self.settings),
            Command::DeadLetters(dead_letters) => dead_letters.run(&self.settings),
            Command::Health(health) => health.run(&self.settings),
            Command::Doctor(doctor) => doctor.run(&self.settings),
        }
    }
}
