//! Times: microseconds in Avro and in memory, RFC 3339 in JSON.

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serializer};

use crate::event::Micros;

/// Microseconds since the epoch as RFC 3339 in UTC; beyond its years, 0 to 9999, the number itself.
pub fn rfc3339(micros: Micros) -> String {
    match DateTime::<Utc>::from_timestamp_micros(micros) {
        Some(time) if (0..=9999).contains(&time.year()) => time.to_rfc3339_opts(SecondsFormat::Micros, true),
        _ => micros.to_string(),
    }
}

/// RFC 3339 or microseconds since the epoch, as JSON gives either; the number may be a text, as [`rfc3339`] gives it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Either {
    Micros(i64),
    Text(String),
}

impl Either {
    fn micros<E: serde::de::Error>(self) -> Result<Micros, E> {
        match self {
            Either::Micros(micros) => Ok(micros),
            Either::Text(text) => match (DateTime::parse_from_rfc3339(&text), text.parse()) {
                (Ok(time), _) => Ok(time.timestamp_micros()),
                (_, Ok(micros)) => Ok(micros),
                (Err(error), _) => Err(E::custom(format_args!("{text:?} is no RFC 3339 time: {error}"))),
            },
        }
    }
}

pub(crate) fn serialize<S: Serializer>(micros: &Micros, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&rfc3339(*micros))
    } else {
        serializer.serialize_i64(*micros)
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Micros, D::Error> {
    if deserializer.is_human_readable() {
        Either::deserialize(deserializer)?.micros()
    } else {
        i64::deserialize(deserializer)
    }
}

/// The same for a time that may be absent.
pub(crate) mod optional {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Either;
    use crate::event::Micros;

    pub(crate) fn serialize<S: Serializer>(micros: &Option<Micros>, serializer: S) -> Result<S::Ok, S::Error> {
        match micros {
            Some(micros) if serializer.is_human_readable() => serializer.serialize_some(&super::rfc3339(*micros)),
            Some(micros) => serializer.serialize_some(micros),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Micros>, D::Error> {
        if deserializer.is_human_readable() {
            Option::<Either>::deserialize(deserializer)?.map(Either::micros).transpose()
        } else {
            Option::<i64>::deserialize(deserializer)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::rfc3339;
    use crate::codec::Schemas;

    #[test]
    fn every_time_is_read_as_it_is_shown() {
        let schemas = Schemas::new().unwrap();
        let (year_0, year_10000) = (-62_167_219_200_000_000, 253_402_300_800_000_000);
        for micros in [i64::MIN, year_0 - 1, year_0, -1, 0, year_10000 - 1, year_10000, i64::MAX] {
            let event = json!({"event_type": "x", "occurred_at": rfc3339(micros)}).to_string();
            let read = schemas.read_inbox(event.as_bytes()).map(|event| event.occurred_at);
            assert_eq!(read, Ok(micros), "{}", rfc3339(micros));
        }
    }
}
