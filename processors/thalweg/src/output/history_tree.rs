//! A history for people: whose it is, and its tree of events.

use thalweg_history::{draw, remark, tasks};
use thalweg_runtime::wall_clock;

use super::{Table, age, date, shortened, span};
use crate::history::{History, recorded};

/// Characters of a remark beside an event, also where no terminal cuts it.
const REMARK_MAX: usize = 160;

/// A history for people: whose it is, then the tree.
pub fn text(history: &History) -> String {
    let mut head = Table::without_headings();
    let (begin, now) = (history.begin(), wall_clock());
    if let Some(first) = history.events.first() {
        head.row(["EXECUTION", &first.execution_id]);
        let workflow = first.workflow_id.as_deref().unwrap_or("unknown");
        let version = first.workflow_version.as_ref().map_or_else(String::new, |v| format!(", version {v}"));
        head.row(["WORKFLOW", &format!("{workflow}{version}")]);
    }
    if let Some(status) = history.status() {
        let took = if status.is_closed() { span((history.end() - begin) as f64) } else { age(history.end(), now) };
        head.row(["STATUS", &format!("{status}, {took}")]);
    }
    head.row(["STARTED", &format!("{}, {}", date(begin), age(begin, now))]);

    let mut tree = Table::new(&["#", "EVENT", "AT", "TOOK", "TASK", ""]).right(&[0, 2, 3]);
    let mut at = String::new();
    for line in draw(&history.events) {
        let Some(event) = line.event else {
            let remark = if line.not_required { "not required" } else { "" };
            tree.row(["", &line.drawing, "", "", "", remark]);
            continue;
        };
        let number = if event.sequence > 0 { event.sequence.to_string() } else { "-".to_owned() };
        let name = format!("{}{}", line.drawing, event.event_type);
        // Events of one step have one time: it is shown where it changes.
        let time = format!("+{}", span((recorded(event) - begin).max(0) as f64));
        let shown = if time == at { String::new() } else { time.clone() };
        at = time;
        let took = event.duration_ms.map_or_else(String::new, |ms| span(ms * 1e3));
        tree.row([number, name, shown, took, tasks(event), shortened(&remark(event), REMARK_MAX)]);
    }
    let missing = history.events.first().map_or(0, |event| event.sequence - 1);
    let note =
        if missing > 0 { format!("\nThe channels no longer keep events 1 to {missing}.") } else { String::new() };
    format!("{head}\n\n{tree}{note}")
}
