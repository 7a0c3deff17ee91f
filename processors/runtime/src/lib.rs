//! What knows Kafka: the lane and its transactions, restore, the registry, configuration, metrics, health.

mod admin;
mod allocator;
mod cache;
mod clock;
mod config;
pub mod dead_letter;
mod fail_point;
mod health;
mod inbox_name;
mod inbox_position;
pub mod inspection;
pub mod kafka;
mod lane;
mod log;
mod registry;
mod tasks;
pub mod telemetry;
mod topic;
mod topic_setup;
mod watchdog;

pub use admin::{Admin, AdminError};
pub use clock::wall_clock;
pub use config::{ClientSettings, Config, ConfigError, LANES_MAX, Overrides, PARTITIONS_MAX};
pub use fail_point::{FailPoint, FailPoints};
pub use health::{Health, InlineTask, LaneHealth};
pub use inbox_name::{Replaced, inbox_name, is_inbox, replaced_key, replaced_partition};
pub use inbox_position::InboxPosition;
pub use lane::{Fixtures, Gathering, Lane, LaneError, Retention};
pub use log::{LogError, init_command_log, init_processor_log};
pub use registry::{Registry, fingerprint_in as registry_fingerprint, key_of as registry_key};
pub use tasks::InlineTasks;
pub use topic::Topics;
pub use topic_setup::{
    Accepts, CHANNEL_RECORD_MAX_BYTES, DEAD_LETTER_RECORD_MAX_BYTES, Finding, INBOX_RECORD_MAX_BYTES,
    REPLICATION_OF_BROKER, Severity, TopicReport, TopicSetting, TopicSetupError, WantedTopic, check_topics,
    create_topics, wanted_topics,
};
pub use watchdog::Watchdog;
