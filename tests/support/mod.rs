//! What the integration tests stand on: a real Kafka broker, its console tools, processes that end
//! with the test, and waiting for a condition.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(unused_imports, reason = "each test binary uses its own part")]

mod administrator;
mod broker;
mod broker_log;
mod condition;
mod console;
mod jars;
mod process;
mod secure_broker;

pub use administrator::Right;
pub use broker::{Broker, BrokerSettings, broker};
pub use broker_log::BrokerLog;
pub use condition::{eventually, eventually_observed};
pub use console::{ConsoleConsumer, ConsoleProducer};
pub use process::{Process, Signal};
pub use secure_broker::{SecureBroker, secure_broker};

/// A prefix for the topics, groups and transactional ids of one test, different in every run.
pub fn namespace(test_name: &str) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    format!("t-{test_name}-{}", &random[..8])
}
