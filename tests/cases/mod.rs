//! The cases, a file a subject.

mod bad_input;
mod duplicates;
mod fencing;
mod forwarding;
mod kill;
mod main_job;
mod limits;
mod misbehaving_tasks;
mod rebalance;
mod suspension;
