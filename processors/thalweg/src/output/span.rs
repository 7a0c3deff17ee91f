//! Times and counts, as people read them.

use chrono::{DateTime, Utc};
use thalweg_core::Micros;

const MILLI: f64 = 1e3;
const SECOND: f64 = 1e6;
const MINUTE: f64 = 60.0 * SECOND;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// A length of time in its two or three leading digits: `84 µs`, `4.2 ms`, `1.5 s`, `3 min 20 s`.
pub fn span(micros: f64) -> String {
    let whole = |value: f64| value.floor() as i64;
    match micros.abs() {
        below if below < MILLI => format!("{micros:.0} µs"),
        below if below < 10.0 * MILLI => format!("{:.1} ms", micros / MILLI),
        below if below < SECOND => format!("{:.0} ms", micros / MILLI),
        below if below < 10.0 * SECOND => format!("{:.1} s", micros / SECOND),
        below if below < MINUTE => format!("{:.0} s", micros / SECOND),
        below if below < HOUR => format!("{} min {} s", whole(below / MINUTE), whole(below % MINUTE / SECOND)),
        below if below < DAY => format!("{} h {} min", whole(below / HOUR), whole(below % HOUR / MINUTE)),
        other => format!("{} d {} h", whole(other / DAY), whole(other % DAY / HOUR)),
    }
}

/// Seconds as [`span`] shows them.
pub fn seconds(seconds: f64) -> String {
    span(seconds * SECOND)
}

/// How long ago `then` was at `now`, in its leading unit.
pub fn age(then: Micros, now: Micros) -> String {
    let passed = (now - then) as f64;
    let (number, unit) = match passed {
        below if below < SECOND => return "just now".to_owned(),
        below if below < MINUTE => (below / SECOND, "s"),
        below if below < HOUR => (below / MINUTE, "min"),
        below if below < DAY => (below / HOUR, "h"),
        other => (other / DAY, "d"),
    };
    format!("{} {unit} ago", number.floor())
}

/// Date and time in UTC, to the second.
pub fn date(micros: Micros) -> String {
    formatted(micros, "%Y-%m-%d %H:%M:%S UTC")
}

/// The time of day in UTC, to the millisecond.
pub fn clock(micros: Micros) -> String {
    formatted(micros, "%H:%M:%S%.3f")
}

fn formatted(micros: Micros, format: &str) -> String {
    DateTime::<Utc>::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.format(format).to_string())
}

/// A number with its thousands apart: `1,000`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit_that_fits() {
        let shown = [0.0, 84.4, 4_210.0, 42_100.0, 1.5e6, 42e6, 200e6, 7_300e6, 100_000e6].map(span);
        assert_eq!(shown, ["0 µs", "84 µs", "4.2 ms", "42 ms", "1.5 s", "42 s", "3 min 20 s", "2 h 1 min", "1 d 3 h"]);
    }

    #[test]
    fn ages_dates_and_counts() {
        assert_eq!(age(0, 500_000), "just now");
        assert_eq!(age(0, 185_000_000), "3 min ago");
        assert_eq!(date(1_700_000_000_000_000), "2023-11-14 22:13:20 UTC");
        assert_eq!(clock(1_700_000_000_123_456), "22:13:20.123");
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
