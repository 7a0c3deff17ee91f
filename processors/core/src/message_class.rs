//! What sort of message an event is.

use crate::string_enum::string_enum;

string_enum! {
    /// The class of an event; it chooses the channel where the event names none.
    MessageClass {
        /// Asks for something.
        Command = "command",
        /// Tells a state that was entered.
        State = "state",
        /// Answers a command.
        Result = "result",
        /// Tells something that happened in the business. The default.
        Fact = "fact",
        /// Is kept and changes nothing.
        Log = "log",
    }
}
