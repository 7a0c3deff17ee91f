//! The eight channels: the closed set of topics that carry what happened.

use crate::message_class::MessageClass;
use crate::string_enum::string_enum;

string_enum! {
    /// A channel topic. Every accepted event is in exactly one.
    Channel {
        /// Work that someone is asked to do.
        ActionRequests = "action-requests",
        /// Answers to requests.
        ActionResults = "action-results",
        /// Facts of the business.
        BusinessFacts = "business-facts",
        /// The life of executions, rejections, the engine's own notices.
        SystemEvents = "system-events",
        /// What people are to be told.
        NotificationEvents = "notification-events",
        /// The life of plans.
        PlanEvents = "plan-events",
        /// The life of tasks.
        TaskEvents = "task-events",
        /// What is to be charged.
        BillingEvents = "billing-events",
    }
}

impl Channel {
    /// The channel of an event that names none.
    pub fn default_for(class: MessageClass) -> Channel {
        match class {
            MessageClass::Command => Channel::ActionRequests,
            MessageClass::Result => Channel::ActionResults,
            MessageClass::Fact => Channel::BusinessFacts,
            MessageClass::State | MessageClass::Log => Channel::SystemEvents,
        }
    }

    /// The list for an error message: `action-requests, action-results, ...`.
    pub fn list() -> String {
        let names: Vec<&str> = Channel::ALL.iter().map(|c| c.as_str()).collect();
        names.join(", ")
    }
}
