//! The router: one process that runs workflows, as many lanes as it has cores.

mod assembly;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
    /// The thread that connects the lanes panicked.
    #[error("the thread that connects the lanes panicked; the log has where")]
    StartPanicked,
    /// A lane's thread panicked.
    #[error("a lane's thread panicked; the log has where")]
    LanePanicked,
}

/// How long a start that is under way may take to notice that the process was asked to stop.
const NOTICE_TIME: Duration = Duration::from_secs(2);

/// A running router.
pub struct Router {
    stop: Arc<AtomicBool>,
    lanes: Vec<LaneThread>,
    admin: Admin,
    runtime: Runtime,
    _watchdog: Watchdog,
}

type LaneThread = JoinHandle<Result<(), LaneError>>;

/// What happens while a router starts.
enum Starting {
    /// A lane has connected.
    Lane(LaneThread),
    /// All have, or one could not.
    Done(Result<(), RouterError>),
    /// The process is asked to stop.
    Signal,
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
        let (sender, starting) = mpsc::channel();
        let mut router = Router::begin(config, workflows, fail_points, sender, runtime(config)?)?;
        router.await_lanes(&starting)?;
        Ok(router)
    }

    /// Starts a router, calls `serving` once its lanes have connected, and runs it until SIGTERM, SIGINT, or the end of a
    /// lane. A signal is answered at once, also where Kafka does not answer.
    ///
    /// # Errors
    /// As [`Router::start`] and [`Router::join`].
    pub fn run(
        config: &Config,
        workflows: Workflows,
        fail_points: Option<FailPoints>,
        serving: impl FnOnce(&Router),
    ) -> Result<(), RouterError> {
        let (sender, starting) = mpsc::channel();
        let runtime = runtime(config)?;
        let mut terminate = {
            let _guard = runtime.enter();
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?
        };
        let mut router = Router::begin(config, workflows, fail_points, sender.clone(), runtime)?;
        let stop = Arc::clone(&router.stop);
        router.runtime.spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            tracing::info!("asked to stop: finishing the transaction and leaving the group");
            stop.store(true, Ordering::Relaxed);
            // Nobody hears it once the router has started.
            let _ = sender.send(Starting::Signal);
        });
        router.await_lanes(&starting)?;
        if !router.is_stopped() {
            serving(&router);
        }
        router.join()
    }

    /// Starts the admin server, and a thread that connects the lanes one after the other.
    fn begin(
        config: &Config,
        workflows: Workflows,
        fail_points: Option<FailPoints>,
        starting: Sender<Starting>,
        runtime: Runtime,
    ) -> Result<Router, RouterError> {
        let metrics = Metrics::install().map_err(|error| RouterError::Metrics(error.to_string()))?;
        metrics.register(&workflows);
        let stuck = Duration::from_millis(config.inline_stuck_ms);
        let (health, sides) = Health::new(config.lane_count(), stuck);
        let watchdog = Watchdog::start(Arc::clone(&health))?;
        let admin = runtime.block_on(Admin::start(config.admin_addr, health))?;
        tracing::info!(addr = %admin.addr(), "metrics and health are served");
        let stop = Arc::new(AtomicBool::new(false));
        let (config, handle, stopped) = (config.clone(), runtime.handle().clone(), Arc::clone(&stop));
        let port = admin.addr().port();
        std::thread::Builder::new().name("start".to_owned()).spawn(move || {
            let connect = || -> Result<(), RouterError> {
                let parts = assembly::Parts::prepare(&config, workflows, port)?;
                for side in sides {
                    if stopped.load(Ordering::Relaxed) {
                        break;
                    }
                    let lane = parts.lane(&config, side.clone(), &handle, fail_points.clone(), Arc::clone(&stopped))?;
                    let lane = assembly::spawn(lane, side, Arc::clone(&stopped))?;
                    // It fails where the process ends without it.
                    let _ = starting.send(Starting::Lane(lane));
                }
                Ok(())
            };
            let connected = catch_unwind(AssertUnwindSafe(connect)).unwrap_or(Err(RouterError::StartPanicked));
            let _ = starting.send(Starting::Done(connected));
        })?;
        Ok(Router { stop, lanes: Vec::new(), admin, runtime, _watchdog: watchdog })
    }

    /// Takes in the lanes that connect, until all have, or the process is asked to stop.
    fn await_lanes(&mut self, starting: &Receiver<Starting>) -> Result<(), RouterError> {
        let mut until: Option<Instant> = None;
        loop {
            let next = match until {
                None => starting.recv().map_err(|_| RouterError::StartPanicked),
                // What still waits for an answer of Kafka has nothing to leave or to finish.
                Some(until) => match starting.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(next) => Ok(next),
                    Err(_) => return Ok(()),
                },
            };
            match next? {
                Starting::Lane(lane) => self.lanes.push(lane),
                Starting::Signal => until = Some(Instant::now() + NOTICE_TIME),
                Starting::Done(Err(error)) if !self.is_stopped() => {
                    self.stop();
                    // Why it could not start matters more than how those end that had.
                    let _ = self.join_lanes();
                    return Err(error);
                }
                Starting::Done(_) => return Ok(()),
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Where the admin server listens.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.addr()
    }

    /// Asks the lanes to finish their transactions and leave the group.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for the lanes to end.
    ///
    /// # Errors
    /// Why a lane ended, where one did by itself.
    pub fn join(mut self) -> Result<(), RouterError> {
        let ended = self.join_lanes();
        self.runtime.block_on(self.admin.stop());
        self.runtime.shutdown_background();
        ended
    }

    fn join_lanes(&mut self) -> Result<(), RouterError> {
        let mut ended = Ok(());
        for lane in self.lanes.drain(..) {
            let lane = match lane.join() {
                Ok(result) => result.map_err(RouterError::from),
                Err(_) => Err(RouterError::LanePanicked),
            };
            ended = ended.and(lane);
        }
        ended
    }
}

/// The runtime of a configuration that can be used.
fn runtime(config: &Config) -> Result<Runtime, RouterError> {
    config.check()?;
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("tasks").build()?)
}
