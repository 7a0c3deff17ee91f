//! What positions call the inbox: its topic, and how often a partition of it was replaced.
//!
//! In a topic that was deleted and created anew the positions begin again, and ids derive from them: a record without
//! ids would get those of a record of the old one, and be taken for it. So the positions in a partition that was
//! adopted are told as `thalweg.inbox@1/0/17`. Nothing is written to `thalweg.inbox@1`; no topic can have that name.

use serde::{Deserialize, Serialize};

/// What the keys of the registry begin with; the partition follows.
const PREFIX: &str = "inbox/";
/// Between the topic and the number. Kafka allows it in no topic's name.
const SEPARATOR: char = '@';

/// A record of the registry: how often the inbox was replaced, as an operator said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// How often.
    pub replaced: u32,
}

/// The name of the inbox in positions of a partition that was replaced so often.
pub fn inbox_name(topic: &str, replaced: u32) -> String {
    if replaced == 0 { topic.to_owned() } else { format!("{topic}{SEPARATOR}{replaced}") }
}

/// Is this a name of the inbox, as it is now or as it was?
pub fn is_inbox(name: &str, topic: &str) -> bool {
    let rest = name.strip_prefix(topic);
    rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix(SEPARATOR).is_some_and(|n| n.parse::<u32>().is_ok()))
}

/// The key in the registry for a partition of the inbox.
pub fn replaced_key(partition: i32) -> String {
    format!("{PREFIX}{partition}")
}

/// The partition in such a key.
pub fn replaced_partition(key: &str) -> Option<i32> {
    key.strip_prefix(PREFIX)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_that_was_replaced_is_known_by_its_name() {
        assert_eq!(inbox_name("a.inbox", 0), "a.inbox");
        assert_eq!(inbox_name("a.inbox", 2), "a.inbox@2");
        for name in ["a.inbox", "a.inbox@2"] {
            assert!(is_inbox(name, "a.inbox"), "{name}");
        }
        for name in ["a.inbox2", "a.inbox@", "a.inbox@x", "b.inbox"] {
            assert!(!is_inbox(name, "a.inbox"), "{name}");
        }
        assert_eq!(replaced_partition(&replaced_key(7)), Some(7));
        assert_eq!(replaced_partition("schema/7"), None);
    }
}
