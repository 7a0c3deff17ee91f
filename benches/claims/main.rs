//! The engine on a real Kafka against its ceiling, cell by cell, in one run: `cargo bench --bench claims`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails by panicking")]

mod ceiling;
mod cell;
mod cluster;
mod load;
mod measure;
mod recording;
mod report;
mod restore;
mod restore_ceiling;
#[path = "../../tests/support/mod.rs"]
mod support;
mod usage;
mod worker;

use claims::ExampleKind;
use clap::{Parser, Subcommand};

use cell::{Cell, Chosen};
use cluster::{Cluster, DEADLINE, Namespace};
use load::{EXAMPLES_REPEAT, Load, Reads};
use measure::{Extent, measure};
use report::Row;
use restore::restore;
use support::eventually_observed;
use worker::{Side, Worker};

/// So many claims are recorded: a batch's records repeat so seldom that compression does not see it.
const RECORDED: usize = 5 * EXAMPLES_REPEAT;

/// After so many rounds a broker takes no less for a claim: 20 to 22 us in place of 46 to 53 where 2 cores are shared.
const WARM_UP_ROUNDS: usize = 3;

/// Measure the engine on a real Kafka, and the ceiling beside it: the same bytes through the same transactions, with
/// no step. Settings for both come from the environment as for any router, such as THALWEG_LANES; THALWEG_TEST_BROKERS
/// names a cluster to use.
#[derive(Parser)]
#[command(bin_name = "cargo bench --bench claims --", max_term_width = 100, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Claims of a backlog, after its warm-up
    #[arg(long, default_value_t = 200_000)]
    claims: usize,
    /// How often each cell is measured; medians are told
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Partitions
    #[arg(long, value_delimiter = ',', default_value = "4,12")]
    partitions: Vec<i32>,
    /// `backlog`, `restore`, or claims in flight
    #[arg(long, value_delimiter = ',', default_value = "backlog,1,16,64,256,restore")]
    cells: Vec<Chosen>,
    /// How long claims are kept in flight
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Open executions that are restored, and then as many closed ones
    #[arg(long, default_value_t = 1_000_000)]
    contexts: usize,
    /// Leave the ceiling out
    #[arg(long)]
    engine_only: bool,
    /// What cargo gives to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// What this program is when it starts itself.
#[derive(Subcommand)]
enum Role {
    #[command(hide = true)]
    Engine,
    #[command(hide = true)]
    Ceiling { recorded_in: String },
}

fn main() {
    let arguments = Arguments::parse();
    match arguments.role {
        Some(Role::Engine) => worker::serve_engine(),
        Some(Role::Ceiling { recorded_in }) => ceiling::serve(&recorded_in),
        None => run(&arguments),
    }
}

fn run(arguments: &Arguments) {
    let extent = Extent {
        claims: arguments.claims,
        seconds: arguments.seconds,
        contexts: arguments.contexts,
        rounds: arguments.rounds,
    };
    let cluster = Cluster::start();
    let cars = record(&cluster, ExampleKind::Car);
    let mut rows = Vec::new();
    for partitions in &arguments.partitions {
        for chosen in &arguments.cells {
            if let Chosen::Cell(cell) = *chosen {
                rows.push(Row { cell, partitions: *partitions, engine: Vec::new(), ceiling: Vec::new() });
            }
        }
    }
    // Large transactions and small ones are each worked off by code of their own.
    for large in [true, false] {
        if let Some(row) = rows.iter().find(|row| (row.cell == Cell::Backlog) == large) {
            warm_up(&cluster, row, arguments.engine_only, &cars, &extent);
        }
    }
    for round in 1..=extent.rounds {
        for row in &mut rows {
            for side in sides(round, arguments.engine_only) {
                measure_once(&cluster, row, round, side, &cars, &extent);
            }
        }
    }
    let mut restores = Vec::new();
    if arguments.cells.contains(&Chosen::Restore) {
        let waiting = record(&cluster, ExampleKind::Incomplete);
        for (state, recorded) in [("open", &waiting), ("closed", &cars)] {
            restores.push(restore(&cluster, state, recorded, &extent, arguments.engine_only));
        }
    }
    if !rows.is_empty() {
        println!("{}\n", report::table(&rows));
    }
    if !restores.is_empty() {
        println!("{}\n", restore::table(&restores));
    }
    println!("{}", report::write(&extent, &rows, &restores).display());
}

/// A broker's code is compiled while it runs: at first it takes more than twice the CPU time for each claim, and whoever
/// came first would pay for that. So all sides run, uncounted, until it takes no less.
fn warm_up(cluster: &Cluster, row: &Row, engine_only: bool, cars: &Namespace, extent: &Extent) {
    for round in 1..=WARM_UP_ROUNDS {
        eprintln!("the broker warms up: {} at {} partitions, {round} of {WARM_UP_ROUNDS}", row.cell, row.partitions);
        for side in sides(round, engine_only) {
            measure(cluster, row.cell, row.partitions, side, cars, extent);
        }
    }
}

fn measure_once(cluster: &Cluster, row: &mut Row, round: usize, side: Side, cars: &Namespace, extent: &Extent) {
    let measured = measure(cluster, row.cell, row.partitions, side, cars, extent);
    let (cell, partitions) = (row.cell.to_string(), row.partitions);
    let what = format!("round {round}  {cell:>7}  {partitions:>2} partitions  {:<7}", side.name());
    eprintln!("{what}  {}", report::line(&measured));
    match side {
        Side::Engine => row.engine.push(measured),
        Side::Ceiling => row.ceiling.push(measured),
    }
}

/// In turn, so that neither always comes first.
fn sides(round: usize, engine_only: bool) -> Vec<Side> {
    match round % 2 {
        _ if engine_only => vec![Side::Engine],
        1 => vec![Side::Engine, Side::Ceiling],
        _ => vec![Side::Ceiling, Side::Engine],
    }
}

/// Has the engine write the records of some claims, to be read by whoever needs them.
fn record(cluster: &Cluster, kind: ExampleKind) -> Namespace<'_> {
    let namespace = cluster.create("recorded", 4);
    let mut load = Load::new(&namespace, kind, Reads::InBulk);
    let engine = Worker::start(&namespace, Side::Engine, &namespace);
    load.start_claims(RECORDED);
    if kind == ExampleKind::Car {
        load.complete_all();
    } else {
        // Each waits for an answer that nobody gives; all of it was written in the transaction that took its start in.
        eventually_observed(DEADLINE, "every claim begun", || match recording::contexts(&namespace.config).len() {
            RECORDED => Ok(()),
            begun => Err(format!("{begun} of {RECORDED}")),
        });
    }
    engine.stop();
    namespace
}
