//! Times: microseconds in Avro and in memory, RFC 3339 in JSON.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serializer};

use crate::event::Micros;

/// Microseconds since the epoch as RFC 3339 in UTC; beyond what a date can say, the number itself.
pub fn rfc3339(micros: Micros) -> String {
    DateTime::<Utc>::from_timestamp_micros(micros)
        .map_or_else(|| micros.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// RFC 3339 or microseconds since the epoch, as JSON gives either.
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
            Either::Text(text) => DateTime::parse_from_rfc3339(&text)
                .map(|time| time.timestamp_micros())
                .map_err(|error| E::custom(format_args!("{text:?} is no RFC 3339 time: {error}"))),
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
