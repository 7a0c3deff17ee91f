//! Money, exactly.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Digits behind the point: a model's token costs fractions of a millionth.
const DIGITS: usize = 9;
/// Parts of a dollar.
const PARTS: i64 = 1_000_000_000;

/// US dollars, counted in billionths. In JSON a number or a text, whose digits are taken as they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i64);

impl Usd {
    /// From billionths.
    pub fn from_nanos(nanos: i64) -> Usd {
        Usd(nanos)
    }

    /// In billionths.
    pub fn nanos(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / PARTS, self.0 % PARTS);
        let part = format!("{part:09}");
        match part.trim_end_matches('0') {
            "" => write!(f, "{whole}"),
            part => write!(f, "{whole}.{part}"),
        }
    }
}

impl FromStr for Usd {
    type Err = String;

    fn from_str(text: &str) -> Result<Usd, String> {
        let wrong = || format!("{text:?} is no amount from 0 with at most {DIGITS} digits behind the point");
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
            None => (text, 0),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(part) || mantissa.ends_with('.') {
            return Err(wrong());
        }
        let digits: i128 = format!("{whole}{part}").parse().map_err(|_| wrong())?;
        let shift = i64::from(exponent) + DIGITS as i64 - part.len() as i64;
        let scale = |by: i64| u32::try_from(by).ok().and_then(|by| 10i128.checked_pow(by)).ok_or_else(wrong);
        let nanos = if digits == 0 {
            0
        } else if shift >= 0 {
            digits.checked_mul(scale(shift)?).ok_or_else(wrong)?
        } else {
            let scale = scale(-shift)?;
            if digits % scale != 0 {
                return Err(wrong());
            }
            digits / scale
        };
        i64::try_from(nanos).map(Usd).map_err(|_| wrong())
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not by way of a float.
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        raw.get().trim_matches('"').parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, shown) in [
            ("0", "0"),
            ("0.1", "0.1"),
            ("12.50", "12.5"),
            ("0.000000125", "0.000000125"),
            ("1.5e-7", "0.00000015"),
            ("2E2", "200"),
            ("0e99", "0"),
            ("9223372036.854775807", "9223372036.854775807"),
        ] {
            assert_eq!(text.parse::<Usd>().map(|usd| usd.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for text in ["", "-1", "+1", "1.", ".5", "0.0000000001", "1e-10", "9223372036.854775808", "1e999", "NaN", "1,5"]
        {
            assert!(text.parse::<Usd>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_tenth_three_times_is_three_tenths() {
        let tenth: Usd = serde_json::from_str("0.1").unwrap_or_default();
        let sum = Usd::from_nanos(tenth.nanos() * 3);
        assert_eq!(serde_json::to_string(&sum).unwrap_or_default(), "\"0.3\"");
    }
}
