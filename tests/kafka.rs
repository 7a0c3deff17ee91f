//! The product on a real Kafka broker.

mod cases;
mod load;
mod namespace;
mod oracle;
mod router_process;
mod support;
mod workflows;
