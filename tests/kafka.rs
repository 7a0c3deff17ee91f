//! The product on a real Kafka broker.

mod cases;
mod namespace;
mod router_process;
mod support;
mod workflows;
