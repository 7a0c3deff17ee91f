//! The cases, a file a subject.

mod admin_server;
mod bad_input;
mod claims;
mod console_tools;
mod duplicates;
mod fencing;
mod forwarding;
mod kill;
mod main_job;
mod limits;
mod misbehaving_tasks;
mod rebalance;
mod restore;
mod suspension;
mod takeover;
mod unknown_outcome;
