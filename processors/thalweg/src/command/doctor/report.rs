//! The findings for people and for programs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::check::{Check, Level};
use crate::output::Table;

/// For programs.
pub fn document(checks: &[Check]) -> Value {
    json!(checks)
}

/// For people: by area, what is well in few lines, the rest with what to do, a verdict at the end.
pub fn text(checks: &[Check]) -> String {
    let rows = merged(checks);
    let mut table = Table::new(&["", "CHECK", "SUBJECT", "FOUND"]);
    for row in &rows {
        let found = match &row.expected {
            Some(expected) => format!("{}; expected {expected}", row.found),
            None => row.found.clone(),
        };
        table.row([row.level.to_string().as_str(), &row.check, &row.subject, &found]);
    }
    let table = table.to_string();
    let mut lines = table.lines();
    let mut text = lines.next().unwrap_or_default().trim_end().to_owned();
    let mut area = None;
    for (row, line) in rows.iter().zip(lines) {
        if area.replace(row.area) != Some(row.area) {
            text.push_str(&format!("\n\n{}", row.area));
        }
        text.push_str(&format!("\n{}", line.trim_end()));
        if let Some(advice) = &row.advice {
            let code = row.code.map_or_else(String::new, |code| format!("{code}: "));
            text.push_str(&format!("\n         -> {code}{advice}"));
        }
    }
    text.push_str(&format!("\n\n{}", verdict(checks)));
    text
}

/// What is well and the same for several subjects takes one row.
fn merged(checks: &[Check]) -> Vec<Check> {
    let mut rows: Vec<(Check, usize)> = Vec::new();
    let mut first = BTreeMap::new();
    for check in checks {
        let key = (
            check.area,
            check.level,
            check.check.clone(),
            check.found.clone(),
            check.expected.clone(),
            check.advice.clone(),
        );
        match first.get(&key).and_then(|number: &usize| rows.get_mut(*number)) {
            Some((_, more)) => *more += 1,
            None => {
                first.insert(key, rows.len());
                rows.push((check.clone(), 0));
            }
        }
    }
    let row = |(check, more): (Check, usize)| match more {
        0 => check,
        _ => Check { subject: format!("{} and {more} more", check.subject), ..check },
    };
    let mut rows: Vec<Check> = rows.into_iter().map(row).collect();
    rows.sort_by_key(|row| (row.area, std::cmp::Reverse(row.level)));
    rows
}

fn verdict(checks: &[Check]) -> String {
    let count = |level| checks.iter().filter(|check| check.level == level).count();
    let told = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
    let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
    let looked = told(checks.len(), "check");
    match (problems, warnings) {
        (0, 0) => format!("Nothing is wrong: {looked}."),
        (0, _) => format!("Nothing is broken: {looked}, {}.", told(warnings, "warning")),
        _ => format!("{}: {looked}, {}.", told(problems, "problem"), told(warnings, "warning")),
    }
}
