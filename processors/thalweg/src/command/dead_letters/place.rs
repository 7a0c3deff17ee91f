//! Where a dead letter lies.

use std::fmt;
use std::str::FromStr;

/// `partition/offset` in the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let numbers = text.split_once('/').and_then(|(partition, offset)| {
            Some(Place { partition: partition.parse().ok()?, offset: offset.parse().ok()? })
        });
        numbers.filter(|place| place.partition >= 0 && place.offset >= 0).ok_or_else(|| "such as 3/17".to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}
