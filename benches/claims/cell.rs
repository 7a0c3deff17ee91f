//! What is measured: a backlog, so many claims in flight, or a restore.

use std::fmt;
use std::str::FromStr;

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// All claims lie in the inbox before the first is handled.
    Backlog,
    /// A claim starts whenever one of so many has ended.
    InFlight(usize),
}

impl Cell {
    /// What DESIGN section 10 wants of it first.
    pub fn goal(self) -> &'static str {
        match self {
            Cell::Backlog => "12,000/s, 60 us",
            Cell::InFlight(1) => "p50 5 ms",
            Cell::InFlight(16) => "800/s",
            Cell::InFlight(64) => "2,800/s",
            Cell::InFlight(256) => "6,500/s",
            Cell::InFlight(_) => "",
        }
    }
}

/// What the bench can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// A load.
    Cell(Cell),
    /// A router that starts where there are many contexts.
    Restore,
}

impl FromStr for Chosen {
    type Err = String;

    fn from_str(text: &str) -> Result<Chosen, String> {
        if text == "restore" { Ok(Chosen::Restore) } else { text.parse().map(Chosen::Cell) }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Backlog => f.write_str("backlog"),
            Cell::InFlight(claims) => write!(f, "{claims}"),
        }
    }
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Cell, String> {
        match text {
            "backlog" => Ok(Cell::Backlog),
            number => match number.parse() {
                Ok(claims) if claims > 0 => Ok(Cell::InFlight(claims)),
                _ => Err(format!("{number:?} is none: give backlog, restore, or a number of claims in flight")),
            },
        }
    }
}
