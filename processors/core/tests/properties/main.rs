//! What must hold for every workflow, every input and every cut: properties of the pure step.
//!
//! `PROPTEST_CASES` runs each property as often as it says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod anything;
mod approval;
mod artifact;
mod bad_outcome;
mod budget;
mod child;
mod command;
mod duplicates;
mod fold;
mod for_each;
mod history;
mod join;
mod join_policy;
mod limits;
mod memory_router;
mod no_panic;
mod plan;
mod random_workflow;
mod redrive;
mod reply;
mod request;
mod retries;
mod scope_timeout;
mod script;
mod segment;
mod states;
mod subscription;
mod task_command;
mod timers;
mod tracked;
mod unstarted;
mod waits;

use proptest::test_runner::Config;

/// `cases` of a property, unless the environment says how many.
fn cases(cases: u32) -> Config {
    if std::env::var_os("PROPTEST_CASES").is_some() { Config::default() } else { Config::with_cases(cases) }
}
