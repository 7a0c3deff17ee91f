//! `thalweg dev`

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use claims::{ExampleKind, WORKFLOW_ID, example};
use thalweg_core::Workflows;
use thalweg_router::Router;
use thalweg_runtime::{Config, Overrides, REPLICATION_OF_BROKER};

use super::topics;
use crate::connection::Connection;
use crate::error::CommandError;
use crate::in_process_broker::{Burden, InProcessBroker, NOTICE, check_transactions};
use crate::output::{self, Table};
use crate::reader::Polled;
use crate::settings::Settings;

/// Partitions of an in-process broker: enough to see that there are several.
const PARTITIONS: i32 = 4;
/// Between two looks at the in-process broker.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Run a router with the sample's tasks, to try things with
///
/// Without --brokers it comes with a broker in this process, an imitation. It runs until Ctrl-C.
#[derive(Args, Debug)]
pub struct Dev {
    /// Where /metrics, /livez and /readyz are served [default: 127.0.0.1:9464]
    #[arg(long, value_name = "HOST:PORT")]
    admin_addr: Option<SocketAddr>,
}

impl Dev {
    /// Runs the command.
    ///
    /// # Errors
    /// Where Kafka can't be used, or the router ends by itself.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let mut config = settings.load_with(Overrides { admin_addr: self.admin_addr, ..Overrides::default() })?;
        if !config.brokers.is_empty() {
            Connection::open(&config)?;
            topics::create(&config, REPLICATION_OF_BROKER)?;
            return serve(&config);
        }
        output::print(NOTICE)?;
        config.partitions = PARTITIONS;
        // It ends with this function, after the clients.
        let _broker = InProcessBroker::start(&mut config)?;
        let end: Arc<Mutex<Option<CommandError>>> = Arc::default();
        watch(&config, &end);
        serve(&config)?;
        match end.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }
}

fn serve(config: &Config) -> Result<(), CommandError> {
    let router = Router::start(config, Workflows::new().with(claims::workflow()), None)?;
    output::print(&greeting(config, router.admin_addr()))?;
    Ok(router.run_until_signal()?)
}

fn greeting(config: &Config, admin: SocketAddr) -> String {
    let mut table = Table::without_headings();
    table.row(["brokers", &config.brokers]);
    table.row(["namespace", &config.namespace]);
    table.row(["workflow", WORKFLOW_ID]);
    table.row(["metrics", &format!("http://{admin}/metrics, /livez, /readyz")]);
    let data = example(ExampleKind::Car, 1);
    format!(
        "{table}\n\nIn another terminal:\n\n  \
         export THALWEG_BROKERS={} THALWEG_NAMESPACE={}\n  \
         thalweg start --workflow {WORKFLOW_ID} --id claim-1 --wait --data '{data}'\n  \
         thalweg history claim-1\n  \
         thalweg tail all\n\nCtrl-C ends it.",
        config.brokers, config.namespace,
    )
}

/// Ends this process, as a signal would, where the in-process broker can't bear what it is given.
fn watch(config: &Config, end: &Arc<Mutex<Option<CommandError>>>) {
    let (config, end) = (config.clone(), Arc::clone(end));
    thread::spawn(move || {
        if let Err(error) = follow_everything(&config) {
            *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            // It fails for no process that may signal itself.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
        }
    });
}

fn follow_everything(config: &Config) -> Result<(), CommandError> {
    let connection = Connection::open_to_follow(config)?;
    let topics = connection.topics();
    let mut followed: Vec<&str> = topics.channel_topics().into_iter().collect();
    followed.extend([topics.inbox(), topics.contexts(), topics.registry(), topics.dead_letters()]);
    let partitions = connection.all_partitions(followed)?;
    connection.start_at(partitions.into_iter().map(|(topic, partition)| (topic, partition, 0)))?;
    let mut burden = Burden::default();
    let mut checked = Instant::now();
    loop {
        if let Polled::Record(message) = connection.poll(CHECK_INTERVAL)? {
            burden.add(&message)?;
        }
        if checked.elapsed() >= CHECK_INTERVAL {
            checked = Instant::now();
            check_transactions()?;
        }
    }
}
