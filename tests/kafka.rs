//! The product on a real Kafka broker.

mod cases;
mod load;
mod members;
mod namespace;
mod oracle;
mod python;
mod router_process;
mod support;
mod workflows;
