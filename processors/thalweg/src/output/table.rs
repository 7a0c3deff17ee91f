//! Aligned columns, two blanks apart.

use std::fmt;
use std::io::{self, IsTerminal};

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Width, presets};

use super::{plain, shortened};

/// Between two columns.
const GAP: u16 = 2;
/// A last column that is cut keeps so much in any case.
const CUT_MIN: u16 = 20;

/// The columns of the terminal that standard output goes to, if it does.
fn terminal_width() -> Option<u16> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    rustix::termios::tcgetwinsize(&stdout).ok().map(|size| size.ws_col).filter(|columns| *columns > 0)
}

/// Rows of aligned columns. On a terminal a row stays within it: the last column is cut, or wraps.
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// A table with these headings, a line a row.
    pub fn new(headings: &[&str]) -> Table {
        Table { headings: headings.iter().map(|heading| (*heading).to_owned()).collect(), ..Table::without_headings() }
    }

    /// A table of names and what they stand for, which may take several lines.
    pub fn without_headings() -> Table {
        Table { headings: Vec::new(), rows: Vec::new(), right: Vec::new() }
    }

    /// Aligns these columns, numbers, to the right.
    pub fn right(mut self, columns: &[usize]) -> Table {
        self.right = columns.to_vec();
        self
    }

    /// Adds a row.
    pub fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(|cell| plain(cell.as_ref())).collect());
    }

    /// Are there no rows?
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn draw(&self, width: Option<u16>) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if !self.headings.is_empty() {
            table.set_header(self.headings.iter().map(Cell::new));
        }
        for row in &self.rows {
            table.add_row(row.iter().map(Cell::new));
        }
        let widths = table.column_max_content_widths();
        let Some((last, others)) = widths.split_last() else { return String::new() };
        let left = width.map(|width| width.saturating_sub(others.iter().map(|width| width + GAP).sum()).max(CUT_MIN));
        match left.filter(|left| left < last) {
            Some(left) if self.headings.is_empty() => {
                table.set_content_arrangement(ContentArrangement::Dynamic);
                let exactly = others.iter().map(|width| width + GAP).chain([left]);
                table.set_constraints(exactly.map(|width| ColumnConstraint::Absolute(Width::Fixed(width))));
            }
            Some(left) => return self.cut(usize::from(left)).draw(None),
            None => {}
        }
        for (number, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if number < others.len() { GAP } else { 0 }));
            if self.right.contains(&number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt()
    }

    /// The same with a last column of `most` characters at most.
    fn cut(&self, most: usize) -> Table {
        let cut = |row: &Vec<String>| {
            let mut row = row.clone();
            if let Some(last) = row.last_mut() {
                *last = shortened(last, most);
            }
            row
        };
        Table { headings: self.headings.clone(), rows: self.rows.iter().map(cut).collect(), right: self.right.clone() }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.draw(terminal_width()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_two_blanks_apart() {
        let mut table = Table::new(&["NAME", "COUNT", "REMARK"]).right(&[1]);
        table.row(["a", "1,000", ""]);
        table.row(["longer", "7", "late"]);
        assert_eq!(table.draw(None), "NAME    COUNT  REMARK\na       1,000\nlonger      7  late");
    }

    #[test]
    fn the_last_column_is_cut_or_wraps_to_the_terminal() {
        let message = "a message of more than twenty characters";
        let mut list = Table::new(&["PLACE", "MESSAGE"]);
        list.row(["1/2", message]);
        assert_eq!(list.draw(Some(30)), "PLACE  MESSAGE\n1/2    a message of more than…");
        assert_eq!(list.draw(Some(80)), format!("PLACE  MESSAGE\n1/2    {message}"));
        let mut block = Table::without_headings();
        block.row(["RESULT", message]);
        assert_eq!(block.draw(Some(36)), "RESULT  a message of more than\n        twenty characters");
    }
}
