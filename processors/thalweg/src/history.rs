//! The history of an execution, from the channels.

use rdkafka::message::Message;
use thalweg_core::effect::Effect;
use thalweg_core::{Event, Micros, WorkflowStatus};
use thalweg_history::effects;

use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;

/// The events of one execution in the order of their sequence, then its rejections.
pub struct History {
    /// The events; at least one.
    pub events: Vec<Event>,
}

impl History {
    /// Reads the execution's partition of every topic that carries a channel.
    ///
    /// # Errors
    /// Where there is no event of this execution, or it can't be read.
    pub fn read(connection: &Connection, execution_id: &str) -> Result<History, CommandError> {
        let decoder = Decoder::new(connection)?;
        let partition = connection.partition_of(execution_id)?;
        let topics = connection.topics().channel_topics();
        let mut partitions = Vec::new();
        for topic in &topics {
            // The router writes to the partition of the same number, also where a topic has more of them.
            if partition < connection.partition_count(topic)? {
                partitions.push((*topic, partition));
            }
        }
        let mut events = Vec::new();
        connection.read_to_end(&connection.spans(&partitions)?, |message| {
            if message.key() == Some(execution_id.as_bytes())
                && let Some(value) = message.payload()
            {
                events.push(decoder.event(value)?);
            }
            Ok(())
        })?;
        if events.is_empty() {
            return Err(CommandError::ExecutionUnknown {
                execution_id: execution_id.to_owned(),
                searched: format!("partition {partition} of {} channel topics", topics.len()),
            });
        }
        events.sort_by_key(|event| (event.sequence == 0, event.sequence, event.recorded_at));
        Ok(History { events })
    }

    /// The status that the events lead to, and when the last of them was recorded.
    pub fn status(&self) -> Option<WorkflowStatus> {
        self.events.iter().fold(None, |status: Option<WorkflowStatus>, event| {
            let redriven = effects(event).any(|effect| matches!(effect, Effect::Redriven(_)));
            let reopened = redriven && status.is_some_and(WorkflowStatus::is_closed);
            status_after(event).or(reopened.then_some(WorkflowStatus::Running)).or(status)
        })
    }

    /// When the first event happened; the inbox had it before it was recorded.
    pub fn begin(&self) -> Micros {
        self.events.iter().map(|event| event.occurred_at.min(recorded(event))).min().unwrap_or_default()
    }

    /// When the last event was recorded.
    pub fn end(&self) -> Micros {
        self.events.iter().map(recorded).max().unwrap_or_default()
    }
}

/// When the router recorded an event.
pub fn recorded(event: &Event) -> Micros {
    event.recorded_at.unwrap_or(event.occurred_at)
}

/// The status that an event left its execution in, where it changed it.
pub fn status_after(event: &Event) -> Option<WorkflowStatus> {
    let changed = effects(event).filter_map(|effect| match effect {
        Effect::Created(_) => Some(WorkflowStatus::Running),
        Effect::Status(changed) => Some(changed.status),
        Effect::Closed(closed) => Some(closed.status),
        _ => None,
    });
    changed.last()
}
