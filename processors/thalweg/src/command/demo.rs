//! `thalweg demo`

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use serde_json::Value;
use thalweg_core::Workflows;
use thalweg_core::codec::event_to_json;
use thalweg_router::Router;
use thalweg_runtime::{Config, REPLICATION_OF_BROKER};
use uuid::Uuid;

use super::topics;
use crate::connection::Connection;
use crate::demo::{Run, Summary};
use crate::error::CommandError;
use crate::history::History;
use crate::in_process_broker::{InProcessBroker, NOTICE};
use crate::output::{self, Output, history_tree};
use crate::settings::Settings;

/// Run insurance claims through a router in this process, and sum up
///
/// Without --brokers they run on a broker in this process, an imitation. On a real Kafka every run has a namespace of
/// its own, whose topics stay.
#[derive(Args, Debug)]
pub struct Demo {
    /// How many claims
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    claims: u64,
    #[command(flatten)]
    output: Output,
}

impl Demo {
    /// Runs the command.
    ///
    /// # Errors
    /// Where Kafka can't be used, the router ends, or claims do not.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let mut config = settings.load()?;
        let random = Uuid::new_v4().simple().to_string();
        config.namespace = format!("{}-demo-{}", config.namespace, &random[..8]);
        config.admin_addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        // Several lanes would share the partitions out while the first claims are under way.
        config.lanes.get_or_insert(1);
        if config.brokers.is_empty() {
            self.announce(NOTICE)?;
            // It ends with this function, after the clients.
            let _broker = InProcessBroker::start(&mut config)?;
            return self.run_on(&config, true);
        }
        Connection::open(&config)?;
        topics::create(&config, REPLICATION_OF_BROKER)?;
        self.announce(&format!("Kafka at {}, namespace {} (its topics stay)", config.brokers, config.namespace))?;
        self.run_on(&config, false)
    }

    fn run_on(&self, config: &Config, in_process: bool) -> Result<(), CommandError> {
        let (follower, reader) = (Connection::open_to_follow(config)?, Connection::open(config)?);
        let mut run = Run::new(&follower, self.claims, in_process)?;
        let router = Router::start(config, Workflows::new().with(claims::workflow()), None)?;
        let followed = run.follow(router.admin_addr());
        router.stop();
        // Where both failed, the router is the cause.
        router.join()?;
        followed?;
        let summary = run.summary(&reader)?;
        self.show(&summary, &History::read(&reader, &summary.shown)?)
    }

    /// The first line is on standard output unless that is for programs.
    fn announce(&self, line: &str) -> Result<(), CommandError> {
        if self.output.is_json() {
            eprintln!("{line}");
            return Ok(());
        }
        output::print(line)
    }

    fn show(&self, summary: &Summary, history: &History) -> Result<(), CommandError> {
        if self.output.is_json() {
            let mut document = summary.document();
            document["history"] = Value::Array(history.events.iter().map(event_to_json).collect());
            return output::print_json(&document);
        }
        output::print(&format!("\n{}\n\n{}", summary.text(), history_tree::text(history)))
    }
}
