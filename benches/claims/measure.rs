//! One measurement: a cell, at a number of partitions, of the engine or of the ceiling.

use std::time::{Duration, Instant};

use claims::ExampleKind;
use serde::Serialize;

use crate::cell::Cell;
use crate::cluster::{Cluster, Namespace};
use crate::load::{Load, Reads};
use crate::usage;
use crate::worker::{Side, Worker};

/// Claims of a backlog's warm-up at most; a tenth of the backlog where that is less.
const WARM_UP_CLAIMS_MAX: usize = 20_000;
/// What is in flight is kept so before it counts.
const WARM_UP_TIME: Duration = Duration::from_secs(2);

/// How much is measured.
#[derive(Clone, Debug, Serialize)]
pub struct Extent {
    /// Claims of a backlog.
    pub claims: usize,
    /// Seconds that claims are kept in flight.
    pub seconds: u64,
    /// Executions of a restore.
    pub contexts: usize,
    /// How often all is measured.
    pub rounds: usize,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Claims whose 11th event was read, for each second.
    pub per_s: f64,
    /// From the produce of a start to the read of the 11th event; none for a backlog.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// CPU time for each claim.
    pub router_cpu_us: f64,
    /// None where the broker is no process of this machine.
    pub broker_cpu_us: Option<f64>,
    pub load_cpu_us: f64,
    /// Memory of the router when it was over, and at its highest.
    pub memory_mb: f64,
    pub memory_peak_mb: f64,
}

/// Measures on topics of its own.
pub fn measure(
    cluster: &Cluster,
    cell: Cell,
    partitions: i32,
    side: Side,
    recorded_in: &Namespace,
    extent: &Extent,
) -> Measured {
    let namespace = cluster.create(side.name(), partitions);
    let reads = if cell == Cell::Backlog { Reads::InBulk } else { Reads::AtOnce };
    let mut load = Load::new(&namespace, ExampleKind::Car, reads);
    let mut worker = Worker::start(&namespace, side, recorded_in);
    let measured = match cell {
        Cell::InFlight(claims) => in_flight(cluster, &mut load, &worker, claims, extent),
        Cell::Backlog => backlog(cluster, &mut load, &mut worker, extent),
    };
    worker.stop();
    measured
}

/// The worker is warm, and halted while the backlog is written. Measured from when it goes on to the last event's read.
fn backlog(cluster: &Cluster, load: &mut Load, worker: &mut Worker, extent: &Extent) -> Measured {
    load.start_claims(WARM_UP_CLAIMS_MAX.min(extent.claims / 10));
    load.complete_all();
    worker.halt();
    load.start_claims(extent.claims);
    let window = Window::begin(cluster, worker);
    worker.go_on();
    load.complete_all();
    window.end(extent.claims, None)
}

/// A claim starts whenever another is complete. Measured for a time, beginning with a claim's end.
fn in_flight(cluster: &Cluster, load: &mut Load, worker: &Worker, claims: usize, extent: &Extent) -> Measured {
    for _ in 0..claims {
        load.start_claim();
    }
    keep_in_flight(load, WARM_UP_TIME);
    let window = Window::begin(cluster, worker);
    let mut latencies = keep_in_flight(load, Duration::from_secs(extent.seconds));
    let measured = window.end(latencies.len(), Some(&mut latencies));
    load.complete_all();
    measured
}

fn keep_in_flight(load: &mut Load, time: Duration) -> Vec<Duration> {
    let began = Instant::now();
    let mut latencies = Vec::new();
    while began.elapsed() < time {
        latencies.push(load.next_completed());
        load.start_claim();
    }
    latencies
}

/// What is counted from a moment on.
struct Window {
    began: Instant,
    router: u32,
    broker: Option<u32>,
    cpu_before: [Option<Duration>; 3],
}

impl Window {
    fn begin(cluster: &Cluster, worker: &Worker) -> Window {
        let (router, broker) = (worker.id(), cluster.broker_id());
        Window { cpu_before: cpu_times(router, broker), began: Instant::now(), router, broker }
    }

    fn end(self, claims: usize, latencies: Option<&mut Vec<Duration>>) -> Measured {
        let seconds = self.began.elapsed().as_secs_f64();
        let after = cpu_times(self.router, self.broker);
        let used: Vec<Option<f64>> = self
            .cpu_before
            .iter()
            .zip(after)
            .map(|(before, after)| Some((after? - (*before)?).as_secs_f64() * 1e6 / claims as f64))
            .collect();
        let (memory, peak) = usage::memory(self.router);
        let mut percentile = [None, None];
        if let Some(latencies) = latencies {
            latencies.sort();
            let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
            percentile = [Some(at(0.5)), Some(at(0.99))];
        }
        Measured {
            per_s: claims as f64 / seconds,
            p50_ms: percentile[0],
            p99_ms: percentile[1],
            router_cpu_us: used[0].unwrap_or_default(),
            broker_cpu_us: used[1],
            load_cpu_us: used[2].unwrap_or_default(),
            memory_mb: memory as f64 / 1e6,
            memory_peak_mb: peak as f64 / 1e6,
        }
    }
}

/// Of the router, the broker and this process.
fn cpu_times(router: u32, broker: Option<u32>) -> [Option<Duration>; 3] {
    [Some(router), broker, Some(std::process::id())].map(|id| id.map(usage::cpu))
}
