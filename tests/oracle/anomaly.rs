//! What is wrong with what was observed.

use std::fmt;

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A record can't be decoded, or carries what nobody may write.
    Unreadable,
    /// A record lies in another topic or partition, or under another key, than it should.
    Misplaced,
    /// An event id occurs twice.
    EventTwice,
    /// The sequence of an execution has a gap or a number twice.
    SequenceBroken,
    /// Events of an execution lie in another order than that of their sequence.
    OutOfOrder,
    /// Something that happens once was recorded twice: a wait, a scope, a branch, the end of one of them.
    EffectTwice,
    /// A timer fired before its time, or the timer of an event that tells otherwise.
    TimerDiffers,
    /// Something ended or was answered that had not begun.
    EffectWithoutCause,
    /// An execution ended more than once, or went on after its end.
    EndedTwice,
    /// An execution has not ended, and was not allowed to stay open.
    NotEnded,
    /// A scope joined, or told so, more than once.
    JoinedTwice,
    /// A scope joined before its branches were done.
    JoinedEarly,
    /// A scope joined and no event tells it, or an event tells of a join that was none.
    JoinUntold,
    /// A context is not the fold of its events.
    ContextDiffers,
    /// An execution has events and no context, or a context that its events do not account for.
    ContextMissing,
    /// `applied_offset` or the window of input ids is not that of the inputs taken.
    WindowDiffers,
    /// The list of newest events is not that of the events handled.
    ProcessedDiffers,
    /// An inbox record came to nothing, and is no duplicate.
    InputLost,
    /// An inbox record came to more than one thing.
    InputTwice,
    /// What was written for an inbox record says something else than the record.
    OutputDiffers,
    /// Something was written for an inbox record that does not exist.
    OutputWithoutInput,
    /// A dead letter does not hold what it should.
    DeadLetterDiffers,
    /// A task gave up and no dead letter tells it, or the other way round.
    DeadLetterMissing,
    /// The committed offset is beyond the inbox's end.
    OffsetAhead,
    /// Something was written for a record that counts as unread.
    EffectsAhead,
    /// Records of the inbox are not consumed.
    Lag,
}

/// One broken promise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anomaly {
    /// Which promise.
    pub kind: Kind,
    /// The execution, position or partition that it is about.
    pub subject: String,
    /// What was found, for people.
    pub detail: String,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {}", self.kind, self.subject, self.detail)
    }
}

/// The anomalies found so far.
#[derive(Debug, Default)]
pub struct Findings(Vec<Anomaly>);

impl Findings {
    /// Adds one.
    pub fn add(&mut self, kind: Kind, subject: impl fmt::Display, detail: impl Into<String>) {
        self.0.push(Anomaly { kind, subject: subject.to_string(), detail: detail.into() });
    }

    /// All of them, in the order of the promises.
    pub fn into_sorted(self) -> Vec<Anomaly> {
        let mut anomalies = self.0;
        anomalies.sort();
        anomalies
    }
}
