//! The router: one process that runs workflows, as many lanes as it has cores.

mod assembly;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use rdkafka::error::KafkaError;
use thalweg_core::Workflows;
use thalweg_core::codec::CodecError;
use thalweg_runtime::kafka::KafkaFault;
use thalweg_runtime::telemetry::Metrics;
use thalweg_runtime::{Admin, AdminError, Config, ConfigError, FailPoints, Health, LaneError, Watchdog};
use tokio::runtime::Runtime;

/// Why a router could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// The configuration can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The admin server could not start.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The metrics could not be set up.
    #[error("the metrics can't be set up: {0}")]
    Metrics(String),
    /// A thread or the runtime could not be started.
    #[error("the process can't start what it needs: {0}")]
    Start(#[from] std::io::Error),
    /// A topic is missing.
    #[error("topic {topic} does not exist; `thalweg topics` creates what is missing")]
    TopicMissing {
        /// The topic.
        topic: String,
    },
    /// Inbox and contexts do not fit together.
    #[error(
        "PARTITIONS_CHANGED: {inbox} partitions in the inbox and {contexts} in the contexts; the count is fixed for \
         life: move to a new namespace"
    )]
    PartitionsChanged {
        /// Partitions of the inbox.
        inbox: i32,
        /// Partitions of the contexts.
        contexts: i32,
    },
    /// Kafka could not be reached.
    #[error("could not reach Kafka at {brokers}: {error}")]
    Unreachable {
        /// The brokers.
        brokers: String,
        /// What the client says.
        error: KafkaError,
    },
    /// The registry can't be read or written.
    #[error("the registry topic can't be used: {0}")]
    Registry(KafkaError),
    /// A schema can't be used.
    #[error(transparent)]
    Schema(#[from] CodecError),
    /// A lane's clients could not be made.
    #[error(transparent)]
    Connect(#[from] KafkaFault),
    /// A lane ended.
    #[error(transparent)]
    Lane(#[from] LaneError),
    /// A lane's thread panicked.
    #[error("a lane's thread panicked; the log has where")]
    LanePanicked,
}

/// A running router.
pub struct Router {
    stop: Arc<AtomicBool>,
    lanes: Vec<JoinHandle<Result<(), LaneError>>>,
    admin: Admin,
    runtime: Runtime,
    _watchdog: Watchdog,
}

impl Router {
    /// Starts a router for these workflows: the admin server, then the lanes.
    ///
    /// `fail_points` is for fault tests.
    ///
    /// # Errors
    /// Where the configuration, the topics or Kafka do not allow it.
    pub fn start(
        config: &Config,
        workflows: Workflows,
        fail_points: Option<FailPoints>,
    ) -> Result<Router, RouterError> {
        config.check()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("tasks").build()?;
        let metrics = Metrics::install().map_err(|error| RouterError::Metrics(error.to_string()))?;
        metrics.register(&workflows);
        let stuck = std::time::Duration::from_millis(config.inline_stuck_ms);
        let (health, sides) = Health::new(config.lane_count(), stuck);
        let watchdog = Watchdog::start(Arc::clone(&health))?;
        let admin = runtime.block_on(Admin::start(config.admin_addr, health))?;
        tracing::info!(addr = %admin.addr(), "metrics and health are served");
        let parts = assembly::Parts::prepare(config, workflows, admin.addr().port())?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut lanes = Vec::new();
        for side in sides {
            let lane = parts.lane(config, side.clone(), runtime.handle(), fail_points.clone(), Arc::clone(&stop))?;
            lanes.push(assembly::spawn(lane, side, Arc::clone(&stop))?);
        }
        Ok(Router { stop, lanes, admin, runtime, _watchdog: watchdog })
    }

    /// Where the admin server listens.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.addr()
    }

    /// Asks the lanes to finish their transactions and leave the group.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Runs until SIGTERM, SIGINT, or the end of a lane; then stops the others.
    ///
    /// # Errors
    /// Why a lane ended, where one did.
    pub fn run_until_signal(self) -> Result<(), RouterError> {
        let stop = Arc::clone(&self.stop);
        let mut terminate = {
            let _guard = self.runtime.enter();
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?
        };
        self.runtime.spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            tracing::info!("asked to stop: finishing the transaction and leaving the group");
            stop.store(true, Ordering::Relaxed);
        });
        self.join()
    }

    /// Waits for the lanes to end.
    ///
    /// # Errors
    /// Why a lane ended, where one did by itself.
    pub fn join(self) -> Result<(), RouterError> {
        let mut ended = Ok(());
        for lane in self.lanes {
            let lane = match lane.join() {
                Ok(result) => result.map_err(RouterError::from),
                Err(_) => Err(RouterError::LanePanicked),
            };
            ended = ended.and(lane);
        }
        self.runtime.block_on(self.admin.stop());
        self.runtime.shutdown_background();
        ended
    }
}
