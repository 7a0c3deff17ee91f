//! The cases, a file a subject.

mod acl;
mod admin_server;
mod bad_input;
mod claims;
mod cli;
mod console_tools;
mod docker;
mod doctor;
mod duplicates;
mod fencing;
mod forwarding;
mod health;
mod kill;
mod limits;
mod main_job;
mod misbehaving_tasks;
mod prometheus;
mod python_reader;
mod rebalance;
mod redrive;
mod restore;
mod security;
mod suspension;
mod takeover;
mod unknown_outcome;
mod upgrade;
