//! Aligned columns, two blanks apart.

use std::fmt;
use std::io::{self, IsTerminal};

use comfy_table::{Cell, CellAlignment, ContentArrangement, presets};

use super::plain;

/// Between two columns.
const GAP: u16 = 2;

/// The columns of the terminal that standard output goes to, if it does.
pub fn terminal_width() -> Option<u16> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    rustix::termios::tcgetwinsize(&stdout).ok().map(|size| size.ws_col).filter(|columns| *columns > 0)
}

/// Rows of aligned columns. On a terminal long cells wrap, so that a row stays within it.
pub struct Table {
    table: comfy_table::Table,
    right: Vec<usize>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Table {
        let mut table = Table::without_headings();
        table.table.set_header(headings.iter().map(Cell::new));
        table
    }

    /// A table of names and what they stand for.
    pub fn without_headings() -> Table {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        match terminal_width() {
            Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        Table { table, right: Vec::new() }
    }

    /// Aligns these columns, numbers, to the right.
    pub fn right(mut self, columns: &[usize]) -> Table {
        self.right = columns.to_vec();
        self
    }

    /// Lets no cell wrap: what is drawn in the table would break.
    pub fn unwrapped(mut self) -> Table {
        self.table.set_content_arrangement(ContentArrangement::Disabled);
        self
    }

    /// Adds a row.
    pub fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.table.add_row(cells.into_iter().map(|cell| Cell::new(plain(cell.as_ref()))));
    }

    /// Are there no rows?
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = self.table.clone();
        for (number, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, GAP));
            if self.right.contains(&number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        f.write_str(&table.trim_fmt())
    }
}
