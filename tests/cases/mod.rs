//! The cases, a file a subject.

mod admin_server;
mod bad_input;
mod claims;
mod cli;
mod console_tools;
mod duplicates;
mod fencing;
mod forwarding;
mod kill;
mod limits;
mod main_job;
mod misbehaving_tasks;
mod python_reader;
mod rebalance;
mod restore;
mod security;
mod suspension;
mod takeover;
mod unknown_outcome;
mod upgrade;
