//! `thalweg list`

use std::collections::HashMap;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use rdkafka::message::Message;
use serde_json::{Value, json};
use thalweg_core::context::{Context, RecordKey};
use thalweg_core::timestamp::rfc3339;
use thalweg_core::{Micros, WorkflowStatus};
use thalweg_runtime::wall_clock;

use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::error::CommandError;
use crate::output::{self, Output, Table, age};
use crate::settings::Settings;

/// List executions, the one that was updated last first
///
/// Those that have ended are listed until they are forgotten (retention.ms).
#[derive(Args, Debug)]
pub struct List {
    /// Only those with this status; may be given several times
    #[arg(long, value_name = "STATUS", ignore_case = true, value_parser = statuses())]
    status: Vec<WorkflowStatus>,
    /// Only those of this workflow
    #[arg(long)]
    workflow: Option<String>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    max: u32,
    #[command(flatten)]
    output: Output,
}

fn statuses() -> impl TypedValueParser<Value = WorkflowStatus> {
    PossibleValuesParser::new(WorkflowStatus::ALL.iter().map(|status| status.as_str()))
        .try_map(|text| text.to_uppercase().parse::<WorkflowStatus>())
}

/// What is listed of an execution.
struct Listed {
    id: String,
    workflow_id: String,
    status: WorkflowStatus,
    created_at: Micros,
    updated_at: Micros,
    events: i64,
}

impl List {
    /// Runs the command.
    ///
    /// # Errors
    /// Where the contexts can't be read.
    pub fn run(self, settings: &Settings) -> Result<(), CommandError> {
        let connection = Connection::open(&settings.load()?)?;
        let mut listed: Vec<Listed> = self.read(&connection)?;
        listed.sort_by(|one, other| other.updated_at.cmp(&one.updated_at).then_with(|| one.id.cmp(&other.id)));
        let found = listed.len();
        listed.truncate(self.max as usize);
        if self.output.is_json() {
            return output::print_json(&Value::Array(listed.iter().map(Listed::document).collect()));
        }
        let mut table = Table::new(&["EXECUTION", "WORKFLOW", "STATUS", "STARTED", "UPDATED", "EVENTS"]).right(&[5]);
        let now = wall_clock();
        for one in &listed {
            let (started, updated) = (age(one.created_at, now), age(one.updated_at, now));
            table.row([&*one.id, &one.workflow_id, one.status.as_str(), &started, &updated, &one.events.to_string()]);
        }
        let more = found - listed.len();
        let rest =
            if more > 0 { format!("\n{more} more: --max, --status and --workflow say which") } else { String::new() };
        match listed.is_empty() {
            true => output::print("no executions"),
            false => output::print(&format!("{table}{rest}")),
        }
    }

    /// The newest root record of each execution that is asked for.
    fn read(&self, connection: &Connection) -> Result<Vec<Listed>, CommandError> {
        let decoder = Decoder::new(connection)?;
        let contexts = connection.topics().contexts();
        let partitions: Vec<(&str, i32)> =
            (0..connection.partition_count(contexts)?).map(|partition| (contexts, partition)).collect();
        let mut newest: HashMap<String, Option<Listed>> = HashMap::new();
        connection.read_to_end(&connection.spans(&partitions)?, |message| {
            let key = message.key().unwrap_or_default();
            let RecordKey::Root(id) = decoder.decode(|schemas| schemas.read_key(key))? else { return Ok(()) };
            let context = message.payload().map(|value| decoder.decode(|schemas| schemas.read_context(value)));
            let listed = context.transpose()?.filter(|context| self.wants(context)).map(Listed::of);
            newest.insert(id, listed);
            Ok(())
        })?;
        Ok(newest.into_values().flatten().collect())
    }

    fn wants(&self, context: &Context) -> bool {
        (self.status.is_empty() || self.status.contains(&context.status))
            && self.workflow.as_ref().is_none_or(|workflow| *workflow == context.workflow_id)
    }
}

impl Listed {
    fn of(context: Context) -> Listed {
        Listed {
            id: context.execution_id,
            workflow_id: context.workflow_id,
            status: context.status,
            created_at: context.created_at,
            updated_at: context.updated_at,
            events: context.sequence,
        }
    }

    fn document(&self) -> Value {
        json!({
            "execution_id": self.id, "workflow_id": self.workflow_id, "status": self.status,
            "created_at": rfc3339(self.created_at), "updated_at": rfc3339(self.updated_at), "events": self.events,
        })
    }
}
