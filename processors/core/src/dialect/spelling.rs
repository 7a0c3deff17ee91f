//! How the formats spell times, numbers and statuses.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};

use super::members::quoted;
use crate::event::Micros;
use crate::json::Json;

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;

/// Reads a time: RFC 3339, the same without an offset (UTC, as Python's `isoformat` writes it), or Unix seconds.
///
/// # Errors
/// Where it is none of them.
pub fn time(value: &Json) -> Result<Micros, String> {
    let Ok(text) = serde_json::from_str::<String>(value.as_str()) else {
        return unix_seconds(value.as_str()).ok_or_else(|| format!("{} is no time", shortened(value.as_str())));
    };
    if let Ok(time) = DateTime::parse_from_rfc3339(&text) {
        return Ok(time.timestamp_micros());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())
        .map(|time| time.and_utc().timestamp_micros())
        .ok_or_else(|| format!("{:?} is no RFC 3339 time", shortened(&text)))
}

/// Microseconds of a decimal number of seconds, to the digit; what is beyond microseconds is cut off.
fn unix_seconds(number: &str) -> Option<Micros> {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, number),
    };
    if digits.contains(['e', 'E']) {
        let micros = number.parse::<f64>().ok()? * SECOND as f64;
        // Far within what an i64 holds: the year 146,000.
        return (micros.abs() < 4.6e18).then_some(micros as i64);
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let micros = whole.parse::<i64>().ok()?.checked_mul(SECOND)?.checked_add(fraction.parse().ok()?)?;
    Some(sign * micros)
}

/// A time as chrono and most others write it: RFC 3339 in UTC, with as many digits as it needs.
pub fn rfc3339(micros: Micros) -> Json {
    match DateTime::<Utc>::from_timestamp_micros(micros) {
        Some(time) => quoted(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        None => Json::trusted(unix_seconds_text(micros)),
    }
}

/// A time as Python's `time.time()` is written.
pub fn python_time(micros: Micros) -> Json {
    Json::trusted(unix_seconds_text(micros))
}

fn unix_seconds_text(micros: Micros) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let fraction = format!("{:06}", micros % SECOND as u64);
    let fraction = fraction.trim_end_matches('0');
    format!("{sign}{}.{}", micros / SECOND as u64, if fraction.is_empty() { "0" } else { fraction })
}

/// A number, where it is one that a double holds.
pub fn number(value: &Json) -> Option<f64> {
    value.as_str().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A number as it is written in most languages: without a fraction where it has none.
pub fn number_text(number: f64) -> Json {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Json::trusted((number as i64).to_string());
    }
    Json::from(&serde_json::Value::from(number))
}

/// An integer, where it is one.
pub fn integer(value: &Json) -> Option<i32> {
    value.as_str().parse().ok()
}

/// A boolean, where it is one.
pub fn boolean(value: &Json) -> Option<bool> {
    match value.as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A status in Thalweg's spelling; one that is only known elsewhere stays as it is.
pub fn status(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    match upper.as_str() {
        "COMPLETED" | "COMPLETE" | "SUCCEEDED" => "SUCCESS".to_owned(),
        "CANCELLED" => "CANCELED".to_owned(),
        "ACCEPTED" | "ASSIGNED" => "DISPATCHED".to_owned(),
        "WORKING" | "IN_PROGRESS" | "ACTIVE" => "RUNNING".to_owned(),
        _ => upper,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Micros, String> {
        time(&Json::trusted(text))
    }

    #[test]
    fn times_in_every_spelling() {
        let expected = 1_700_000_000_123_456;
        for text in [
            "1700000000.123456",
            "1700000000.1234567",
            "\"2023-11-14T22:13:20.123456Z\"",
            "\"2023-11-14T23:13:20.123456+01:00\"",
            "\"2023-11-14T22:13:20.123456\"",
            "\"2023-11-14 22:13:20.123456\"",
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        assert_eq!(read("1.7e9"), Ok(1_700_000_000_000_000));
        assert_eq!(read("-1.5"), Ok(-1_500_000));
        assert_eq!(read("0"), Ok(0));
        for text in ["\"yesterday\"", "true", "1e400", "99999999999999999999", "null", "{}"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_written_with_the_digits_they_need() {
        assert_eq!(python_time(1_700_000_000_123_456).as_str(), "1700000000.123456");
        assert_eq!(python_time(1_700_000_000_000_000).as_str(), "1700000000.0");
        assert_eq!(python_time(-1_500_000).as_str(), "-1.5");
        assert_eq!(rfc3339(1_700_000_000_000_000).as_str(), "\"2023-11-14T22:13:20Z\"");
        assert_eq!(rfc3339(1_700_000_000_120_000).as_str(), "\"2023-11-14T22:13:20.120Z\"");
    }
}
