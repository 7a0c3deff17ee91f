//! `thalweg dev`

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use claims::{ExampleKind, WORKFLOW_ID, example};
use clap::Args;
use thalweg_core::Workflows;
use thalweg_router::Router;
use thalweg_runtime::{Config, Overrides, REPLICATION_OF_BROKER};

use super::topics;
use crate::connection::Connection;
use crate::error::CommandError;
use crate::in_process_broker::{Burden, InProcessBroker, NOTICE, check_transactions};
use crate::output::{self, Table};
use crate::reading::Polled;
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
        let watch = Watch::start(&config)?;
        let served = serve(&config);
        // What the broker can't bear is why it was asked to stop.
        watch.end()?;
        served
    }
}

fn serve(config: &Config) -> Result<(), CommandError> {
    let mut greeted = Ok(());
    let greet = |router: &Router| {
        greeted = output::print(&greeting(config, router.admin_addr()));
        if greeted.is_err() {
            router.stop();
        }
    };
    Router::run(config, Workflows::new().with(claims::workflow()), None, greet)?;
    greeted
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
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), CommandError>>,
}

impl Watch {
    fn start(config: &Config) -> Result<Watch, CommandError> {
        let connection = Connection::open_to_follow(config)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let followed = follow_everything(&connection, &stopped);
            if followed.is_err() {
                // It fails for no process that may signal itself.
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
            }
            followed
        });
        Ok(Watch { stop, thread })
    }

    /// Ends before the broker does, and says why it had to end the process, where it had.
    fn end(self) -> Result<(), CommandError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| Err(CommandError::Failed("the watch of the broker panicked".to_owned())))
    }
}

fn follow_everything(connection: &Connection, stop: &AtomicBool) -> Result<(), CommandError> {
    let topics = connection.topics();
    let mut followed: Vec<&str> = topics.channel_topics().into_iter().collect();
    followed.extend([topics.inbox(), topics.contexts(), topics.registry(), topics.dead_letters()]);
    let partitions = connection.all_partitions(followed)?;
    connection.start_at(partitions.into_iter().map(|(topic, partition)| (topic, partition, 0)))?;
    let mut burden = Burden::default();
    let mut checked = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        if let Polled::Record(message) = connection.poll(CHECK_INTERVAL)? {
            burden.add(&message)?;
        }
        if checked.elapsed() >= CHECK_INTERVAL {
            checked = Instant::now();
            check_transactions()?;
        }
    }
    Ok(())
}
