//! A moment on the command line: so long ago, or a date.

use chrono::DateTime;
use thalweg_core::Micros;
use thalweg_runtime::wall_clock;

const SECOND: Micros = 1_000_000;

/// Reads `90s`, `30m`, `2h`, `7d` as so long ago, or a time in RFC 3339.
///
/// # Errors
/// How it should look.
pub fn moment(text: &str) -> Result<Micros, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.timestamp_micros());
    }
    let ago = text.char_indices().last().and_then(|(at, unit)| {
        let unit = match unit {
            's' => SECOND,
            'm' => 60 * SECOND,
            'h' => 3600 * SECOND,
            'd' => 86_400 * SECOND,
            _ => return None,
        };
        text[..at].parse::<u32>().ok().and_then(|number| unit.checked_mul(number.into()))
    });
    ago.map(|ago| wall_clock() - ago).ok_or_else(|| "such as 90s, 30m, 2h, 7d or 2026-01-31T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_or_so_long_ago() {
        assert_eq!(moment("1970-01-01T00:00:01Z"), Ok(SECOND));
        let before = wall_clock();
        let two_hours_later = moment("2h").unwrap() + 7200 * SECOND;
        assert!((before..=wall_clock()).contains(&two_hours_later), "{two_hours_later}");
        for wrong in ["", "2", "h", "2w", "-2h", "1.5h", "yesterday"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
