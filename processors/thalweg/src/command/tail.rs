//! `thalweg tail`

use std::time::Duration;

use clap::Args;
use rdkafka::message::Message;
use thalweg_core::codec::event_to_json;
use thalweg_core::{Channel, Dialect, Event, Pattern};

use super::convert::dialect;
use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::history::recorded;
use crate::output::{self, Output, clock, plain};
use crate::reading::Polled;
use crate::settings::Settings;

/// One wait for events.
const SLICE: Duration = Duration::from_millis(500);
/// Columns of a row that is 100 wide with a UUID as execution id.
const TYPE_WIDTH: usize = 30;
const ID_WIDTH: usize = 36;

/// Follow a channel
///
/// It prints events as they come, a line each, until it is interrupted; with -o json a document a line.
#[derive(Args, Debug)]
pub struct Tail {
    /// action-requests, action-results, business-facts, system-events, notification-events, plan-events,
    /// task-events, billing-events, or all
    #[arg(value_parser = channels, value_name = "CHANNEL|all")]
    channel: Channels,
    /// Only events of this type: a.b.c, a.b.* or *
    #[arg(long = "type", value_name = "PATTERN", value_parser = |text: &str| Ok::<_, String>(Pattern::new(text)))]
    event_type: Option<Pattern>,
    /// Only events of this execution
    #[arg(long, value_name = "ID")]
    execution: Option<String>,
    /// Begin with the oldest events that are kept, not with the next one
    #[arg(long)]
    from_beginning: bool,
    /// End after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// Print the events as documents of this dialect, one a line: compozy, dreamos, soorma, workflow, jamjet,
    /// cloudevents or native; those that came in it as they came
    #[arg(long, value_name = "DIALECT", value_parser = dialect)]
    dialect: Option<Dialect>,
    #[command(flatten)]
    output: Output,
}

/// The channels to follow.
#[derive(Clone, Debug)]
struct Channels(Vec<Channel>);

fn channels(text: &str) -> Result<Channels, String> {
    match text {
        "all" => Ok(Channels(Channel::ALL.to_vec())),
        name => name
            .parse()
            .map(|channel| Channels(vec![channel]))
            .map_err(|_| format!("the channels are all, {}", Channel::list())),
    }
}

impl Tail {
    /// Runs the command.
    ///
    /// # Errors
    /// Where a channel can't be read.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let connection = Connection::open_to_follow(&settings.load()?)?;
        let decoder = Decoder::new(&connection)?;
        let mut topics: Vec<&str> =
            self.channel.0.iter().map(|channel| connection.topics().channel(*channel)).collect();
        topics.sort_unstable();
        topics.dedup();
        let partitions = match &self.execution {
            Some(id) => {
                let partition = connection.partition_of(id)?;
                topics.into_iter().map(|topic| (topic, partition)).collect()
            }
            None => connection.all_partitions(topics)?,
        };
        let spans = connection.spans(&partitions)?;
        let from = |begin, end| if self.from_beginning { begin } else { end };
        connection.start_at(spans.iter().map(|s| (s.topic.as_str(), s.partition, from(s.begin, s.end))))?;
        if self.dialect.is_none() && !self.output.is_json() {
            output::print(&row("TIME (UTC)", "EVENT", "EXECUTION", "CHANNEL"))?;
        }
        let mut shown = 0;
        while self.max.is_none_or(|max| shown < max) {
            let Polled::Record(message) = connection.poll(SLICE)? else { continue };
            let Some(value) = message.payload() else { continue };
            let event = decoder.event(value)?;
            if self.wants(&event) {
                self.show(&event)?;
                shown += 1;
            }
        }
        Ok(())
    }

    fn wants(&self, event: &Event) -> bool {
        self.event_type.as_ref().is_none_or(|pattern| pattern.matches(&event.event_type))
            && self.execution.as_ref().is_none_or(|id| event.execution_id == *id)
            // Several channels may share a topic.
            && self.channel.0.iter().any(|channel| event.channel == channel.as_str())
    }

    fn show(&self, event: &Event) -> Result<(), CommandError> {
        if let Some(dialect) = self.dialect {
            return output::print(&dialect.write_published(event));
        }
        if self.output.is_json() {
            return output::print(&event_to_json(event).to_string());
        }
        output::print(&row(&clock(recorded(event)), &event.event_type, &event.execution_id, &last_column(event)))
    }
}

/// The channel, and the status where the event tells one.
fn last_column(event: &Event) -> String {
    match &event.status {
        Some(status) => format!("{} {status}", event.channel),
        None => event.channel.clone(),
    }
}

fn row(time: &str, event_type: &str, execution_id: &str, channel: &str) -> String {
    let (event_type, execution_id, channel) = (plain(event_type), plain(execution_id), plain(channel));
    format!("{time:12}  {event_type:TYPE_WIDTH$}  {execution_id:ID_WIDTH$}  {channel}")
}
