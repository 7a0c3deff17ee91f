//! `thalweg topics --adopt`

mod carry_out;
mod plan;

use serde_json::{Value, json};
use thalweg_runtime::Config;
use thalweg_runtime::inspection::{InspectionError, Inspector};
use thalweg_runtime::kafka::{NotAuthorized, is_denied};

use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::output::{self, Output, Table, count};
use plan::{Decision, Plan};

pub use plan::Inbox;

/// Says what keeps routers from going on in the inbox, partition by partition, and where it is told to, accepts it.
///
/// # Errors
/// Where the topics can't be read or written, or routers run.
pub fn run(config: &Config, told: Option<Inbox>, execute: bool, output: &Output) -> Result<(), CommandError> {
    let connection = Connection::open(config)?;
    let topics = connection.topics();
    let (inbox, contexts) =
        (connection.partition_count(topics.inbox())?, connection.partition_count(topics.contexts())?);
    if inbox != contexts {
        return Err(CommandError::Failed(format!(
            "PARTITIONS_CHANGED: {inbox} partitions in the inbox and {contexts} in the contexts; the count is fixed for \
             life: create the inbox with {contexts}, or move to a new namespace"
        )));
    }
    let failed = |error| failed(error, topics.group());
    let inspector = Inspector::new(config).map_err(failed)?;
    let members = inspector.group().map_err(failed)?.map_or(0, |group| group.members.len());
    if execute && members > 0 {
        return Err(CommandError::Failed(format!(
            "the group {} has {members} members: stop the routers first",
            topics.group()
        )));
    }
    let decoder = Decoder::new(&connection)?;
    let partitions: Vec<i32> = (0..inbox).collect();
    let committed = inspector.committed(&partitions).map_err(failed)?;
    let places: Vec<(&str, i32)> = partitions.iter().map(|partition| (topics.inbox(), *partition)).collect();
    let spans = inspector.spans(&places).map_err(failed)?;
    let make = |partition: i32| {
        let span = spans.get(&(topics.inbox().to_owned(), partition)).copied();
        let span = span.ok_or_else(|| connection.unreachable())?;
        Plan::make(&connection, &decoder, partition, span, committed.get(&partition).copied(), told)
    };
    let mut plans = Vec::new();
    for partition in partitions {
        // The contexts to write are read again then: those of all partitions need not be kept at once.
        plans.push(make(partition)?.without_contexts());
    }
    let unclear = plans.iter().filter(|plan| plan.decision == Decision::Unclear).count();
    if execute && unclear == 0 {
        for plan in plans.iter().filter(|plan| plan.decision != Decision::Fits) {
            carry_out::carry_out(&connection, &decoder, &make(plan.partition)?)?;
        }
    }
    print(&plans, execute && unclear == 0, members, output)?;
    if execute && unclear > 0 {
        return Err(CommandError::Usage(
            "nothing was changed: say with --adopt same or --adopt another which inbox it is where that can't be told"
                .to_owned(),
        ));
    }
    Ok(())
}

fn failed(error: InspectionError, group: &str) -> CommandError {
    match error {
        InspectionError::Kafka(error) if is_denied(error.rdkafka_error_code()) => NotAuthorized::group(group).into(),
        InspectionError::Kafka(error) => error.into(),
        error => CommandError::Failed(error.to_string()),
    }
}

fn print(plans: &[Plan], executed: bool, members: usize, output: &Output) -> Result<(), CommandError> {
    if output.is_json() {
        let partitions: Vec<Value> = plans.iter().map(Plan::document).collect();
        return output::print_json(&json!({"executed": executed, "partitions": partitions}));
    }
    let happens = if executed { "WHAT HAPPENED" } else { "WHAT WOULD HAPPEN" };
    let mut table = Table::new(&["PARTITION", "INBOX", "COMMITTED", "APPLIED", happens]);
    for plan in plans {
        let committed = plan.position.committed.map_or_else(|| "none".to_owned(), |offset| offset.to_string());
        let applied = match plan.position.newest_applied {
            ..0 => "none".to_owned(),
            offset => offset.to_string(),
        };
        let inbox = format!("{} to {}", plan.position.begin, plan.position.end);
        table.row([&plan.partition.to_string(), &inbox, &committed, &applied, &plan.told()]);
    }
    let misfits = plans.iter().filter(|plan| plan.decision != Decision::Fits).count();
    let mut notes = Vec::new();
    match misfits {
        0 => notes.push("Every partition of the inbox fits its contexts: there is nothing to adopt.".to_owned()),
        _ if executed => notes.push("Start the routers.".to_owned()),
        _ => {
            let many =
                if misfits == 1 { "a partition".to_owned() } else { format!("{} partitions", count(misfits as u64)) };
            notes.push(format!("Nothing was changed. With --execute {many} would be adopted."));
        }
    }
    if misfits > 0 && members > 0 {
        notes.push("Routers run: stop them first.".to_owned());
    }
    output::print(&format!("{table}\n\n{}", notes.join("\n")))
}
