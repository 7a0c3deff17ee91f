//! The product on a real Kafka broker.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cases;
mod command_line;
mod golden_set;
mod http;
mod load;
mod members;
mod namespace;
mod oracle;
mod poison;
mod python;
mod router_process;
mod support;
mod workflows;
