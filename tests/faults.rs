//! Fault runs: routers and brokers are hurt in every way that the oracle can judge, as a seed says.
//!
//! `cargo test -p thalweg --test faults -- --minutes 30 --seed 7`; without `--minutes` each fault comes once, small.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "faults/mod.rs"]
mod faults;
#[allow(dead_code, reason = "each test program uses its own part")]
mod load;
#[allow(dead_code, reason = "each test program uses its own part")]
mod namespace;
#[allow(dead_code, unused_imports, reason = "its own tests are run by the test program `kafka`")]
mod oracle;
#[allow(dead_code, reason = "each test program uses its own part")]
mod poison;
#[allow(dead_code, reason = "each test program uses its own part")]
mod router_process;
mod support;
mod workflows;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    if router_process::serve_if_asked() {
        return ExitCode::SUCCESS;
    }
    faults::run(&faults::Options::parse())
}
