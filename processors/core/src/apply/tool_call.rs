//! Calls of tools that are reported, and the results that belong to them.

use super::{Action, Current, Notice};
use crate::effect::{Effect, ToolCallRef};
use crate::event::Event;
use crate::execution::Execution;
use crate::limits::TOOL_CALLS_MAX;

/// The report of a call.
const CALLED: &str = "report.tool.called";
/// The report of what a call came to.
const RESULT: &str = "report.tool.result";

/// Pairs a result with its call. One that has no call is an orphan: it is kept, told and counted.
pub(super) fn fold(execution: &mut Execution, current: &mut Current, actions: &mut Vec<Action>) {
    let call = match current.event.event_type.as_str() {
        CALLED | RESULT => ToolCallRef { call: key(&current.event) },
        _ => return,
    };
    let Some(context) = execution.context() else { return };
    let is_open = context.tool_calls.contains(&call.call);
    if current.event.event_type == CALLED {
        if context.tool_calls.len() < TOOL_CALLS_MAX {
            current.add(execution, Effect::ToolCalled(call));
        }
    } else if is_open {
        current.add(execution, Effect::ToolReturned(call));
    } else {
        current.add(execution, Effect::Orphan {});
        actions.push(Action::Notice(Notice::OrphanResult));
    }
}

/// What a call and its result have in common: the run of the tool where they name one, else its name and the correlation.
fn key(event: &Event) -> String {
    let tool = event.entities.get("tool");
    let run = tool.and_then(|tool| tool.exec_id.clone());
    run.unwrap_or_else(|| {
        let name = tool.and_then(|tool| tool.id.as_deref().or(tool.name.as_deref())).unwrap_or_default();
        let own = event.ext.get("correlation_id").map(|own| own.as_str());
        format!("{name}/{}", own.or(event.correlation_id.as_deref()).unwrap_or_default())
    })
}
