//! Where a partition of the inbox goes on, or why it is not the one that its contexts were made from.

/// What is known of a partition when its contexts were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxPosition {
    /// The offset of the first record.
    pub begin: i64,
    /// The end offset.
    pub end: i64,
    /// What the group has committed.
    pub committed: Option<i64>,
    /// Are there contexts?
    pub has_contexts: bool,
    /// The newest offset that a context has taken in; -1 where there is none.
    pub newest_applied: i64,
}

impl InboxPosition {
    /// The offset of the next record to take.
    ///
    /// # Errors
    /// What does not fit.
    pub fn next_offset(&self) -> Result<i64, String> {
        let InboxPosition { begin, end, newest_applied, .. } = *self;
        if newest_applied >= end {
            return Err(format!("a context has applied offset {newest_applied}, the inbox ends at {end}"));
        }
        match self.committed {
            None if !self.has_contexts => Ok(begin),
            None => Err("there are contexts, but no committed offset".to_owned()),
            Some(committed) if committed < begin => {
                Err(format!("the committed offset {committed} lies before the inbox's start {begin}"))
            }
            Some(committed) if committed > end => {
                Err(format!("the committed offset {committed} lies behind the inbox's end {end}"))
            }
            Some(committed) => Ok(committed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told() {
        let fits = InboxPosition { begin: 3, end: 9, committed: Some(7), has_contexts: true, newest_applied: 6 };
        assert_eq!(fits.next_offset(), Ok(7));
        let fresh = InboxPosition { committed: None, has_contexts: false, newest_applied: -1, ..fits };
        assert_eq!(fresh.next_offset(), Ok(3));
        let cases = [
            (InboxPosition { committed: None, ..fits }, "no committed offset"),
            (InboxPosition { committed: Some(2), ..fits }, "before the inbox's start 3"),
            (InboxPosition { committed: Some(10), ..fits }, "behind the inbox's end 9"),
            (InboxPosition { newest_applied: 9, ..fits }, "a context has applied offset 9"),
        ];
        for (position, told) in cases {
            let why = position.next_offset().unwrap_err();
            assert!(why.contains(told), "{why}");
        }
        assert_eq!(InboxPosition { committed: Some(9), ..fits }.next_offset(), Ok(9), "all of it was taken");
    }
}
