//! What is told in the end: medians of the rounds, as a table and as JSON.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::Utc;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::json;

use crate::cell::Cell;
use crate::measure::{Extent, Measured};

/// A cell at a number of partitions, and what each round came to.
pub struct Row {
    pub cell: Cell,
    pub partitions: i32,
    pub engine: Vec<Measured>,
    pub ceiling: Vec<Measured>,
}

/// The same, as medians: the fields of the JSON.
#[derive(Serialize)]
struct Medians {
    cell: String,
    partitions: i32,
    engine_per_s: f64,
    ceiling_per_s: Option<f64>,
    /// engine_per_s / ceiling_per_s
    ratio: Option<f64>,
    engine: Measured,
    ceiling: Option<Measured>,
    goal: &'static str,
    engine_rounds: Vec<Measured>,
    ceiling_rounds: Vec<Measured>,
}

impl Row {
    fn medians(&self) -> Medians {
        let engine = medians(&self.engine);
        let ceiling = (!self.ceiling.is_empty()).then(|| medians(&self.ceiling));
        let ceiling_per_s = ceiling.as_ref().map(|ceiling| ceiling.per_s);
        Medians {
            cell: self.cell.to_string(),
            partitions: self.partitions,
            engine_per_s: engine.per_s,
            ceiling_per_s,
            ratio: ceiling_per_s.map(|ceiling| engine.per_s / ceiling),
            engine,
            ceiling,
            goal: self.cell.goal(),
            engine_rounds: self.engine.clone(),
            ceiling_rounds: self.ceiling.clone(),
        }
    }
}

fn medians(rounds: &[Measured]) -> Measured {
    let of = |field: fn(&Measured) -> Option<f64>| median(rounds.iter().filter_map(field).collect());
    Measured {
        per_s: of(|round| Some(round.per_s)).unwrap_or_default(),
        p50_ms: of(|round| round.p50_ms),
        p99_ms: of(|round| round.p99_ms),
        router_cpu_us: of(|round| Some(round.router_cpu_us)).unwrap_or_default(),
        broker_cpu_us: of(|round| round.broker_cpu_us),
        load_cpu_us: of(|round| Some(round.load_cpu_us)).unwrap_or_default(),
        memory_mb: of(|round| Some(round.memory_mb)).unwrap_or_default(),
        memory_peak_mb: of(|round| Some(round.memory_peak_mb)).unwrap_or_default(),
    }
}

/// The middle one; of an even number the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (below, above) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values[below] + values[above]) / 2.0)
}

/// A line about one measurement, while the bench goes on.
pub fn line(measured: &Measured) -> String {
    let latency = match (measured.p50_ms, measured.p99_ms) {
        (Some(p50), Some(p99)) => format!("p50 {p50:.1} ms, p99 {p99:.1} ms, "),
        _ => String::new(),
    };
    let broker = measured.broker_cpu_us.map_or_else(String::new, |cpu| format!(", broker {cpu:.0} us"));
    format!(
        "{:>9}/s  {latency}CPU per execution: router {:.0} us{broker}, load {:.0} us; {:.0} MB",
        grouped(measured.per_s),
        measured.router_cpu_us,
        measured.load_cpu_us,
        measured.memory_mb,
    )
}

/// The table of all cells.
pub fn table(rows: &[Row]) -> String {
    let headings = [
        "cell",
        "partitions",
        "engine/s",
        "ceiling/s",
        "ratio",
        "p50 ms",
        "p99 ms",
        "router us",
        "broker us",
        "MB",
        "ceiling: p50 ms",
        "router us",
        "broker us",
        "to reach first",
    ];
    let mut table = new_table(&headings);
    for row in rows {
        let medians = row.medians();
        let of_ceiling = |field: fn(&Measured) -> Option<f64>| medians.ceiling.as_ref().and_then(field);
        table.add_row([
            medians.cell.clone(),
            medians.partitions.to_string(),
            grouped(medians.engine_per_s),
            medians.ceiling_per_s.map_or_else(String::new, grouped),
            decimals(medians.ratio, 2),
            decimals(medians.engine.p50_ms, 1),
            decimals(medians.engine.p99_ms, 1),
            decimals(Some(medians.engine.router_cpu_us), 0),
            decimals(medians.engine.broker_cpu_us, 0),
            decimals(Some(medians.engine.memory_mb), 0),
            decimals(of_ceiling(|ceiling| ceiling.p50_ms), 1),
            decimals(of_ceiling(|ceiling| Some(ceiling.router_cpu_us)), 0),
            decimals(of_ceiling(|ceiling| ceiling.broker_cpu_us), 0),
            medians.goal.to_owned(),
        ]);
    }
    drawn(table)
}

/// A table with aligned columns and no lines.
pub fn new_table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings);
    table
}

/// Numbers stand to the right; the last column is text.
pub fn drawn(mut table: Table) -> String {
    let last = table.column_count().saturating_sub(1);
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if number < last {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// A figure, where there is one.
pub fn decimals(value: Option<f64>, count: usize) -> String {
    value.map_or_else(String::new, |value| format!("{value:.count$}"))
}

/// A whole number with its thousands apart.
pub fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes all of it as JSON, and tells where.
pub fn write(extent: &Extent, rows: &[Row], restores: &impl Serialize) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(target).join("bench");
    fs::create_dir_all(&directory).expect("a directory for the figures");
    let now = Utc::now();
    let report = json!({
        "at": now.to_rfc3339(),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "extent": extent,
        "cells": rows.iter().map(Row::medians).collect::<Vec<_>>(),
        "restore": restores,
    });
    let path = directory.join(format!("claims-{}.json", now.format("%Y%m%d-%H%M%S")));
    fs::write(&path, format!("{report:#}\n")).expect("a file for the figures");
    path
}
