//! The cases, a file a subject.

mod duplicates;
mod fencing;
mod kill;
mod main_job;
mod rebalance;
mod suspension;
