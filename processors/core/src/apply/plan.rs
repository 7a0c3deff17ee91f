//! Plans: tasks that are worked on elsewhere, told together, and how far they are.
//!
//! A plan's tasks are those that its event lists, and those whose reports name it. How far it is follows from what is known
//! of its tasks, so that neither a duplicate nor a late report can count twice.

use serde_json::{Value, json};

use super::branch::ENGINE;
use super::{Current, Step, publication, report};
use crate::channel::Channel;
use crate::context::{Context, PlanProgress, TrackedTask};
use crate::effect::Effect;
use crate::event::Event;
use crate::execution::Execution;
use crate::json::Json;
use crate::limits::{NAME_MAX_BYTES, TRACKED_TASKS_MAX};
use crate::message_class::MessageClass;

/// The report of a plan that a strategy has made.
const GENERATED: &str = "report.plan.generated";
/// The event that tells how far a plan is.
const PROGRESSED: &str = "plan.progressed";

/// Takes in the tasks that an event on plan-events lists for its plan.
pub(super) fn fold(execution: &mut Execution, current: &mut Current) {
    let event = std::sync::Arc::clone(&current.event);
    if event.channel != Channel::PlanEvents.as_str() {
        return;
    }
    let Some(plan_id) = plan_of(&event) else { return };
    let Some(tracked) = execution.context().and_then(|context| context.tracked.as_ref()) else { return };
    let room = TRACKED_TASKS_MAX.saturating_sub(tracked.len());
    let new: Vec<String> = listed(&event.payload_value())
        .into_iter()
        .filter(|id| !id.is_empty() && id.len() <= NAME_MAX_BYTES && !tracked.iter().any(|task| task.task_id == *id))
        .take(room)
        .collect();
    for id in new {
        let task = TrackedTask { plan_id: Some(plan_id.clone()), ..TrackedTask::new(&id) };
        current.add(execution, Effect::Tracked(task));
    }
}

/// The tasks that a plan lists: `tasks` or `steps`, each a name, or an object with a `task_id` or `id`.
fn listed(payload: &Value) -> Vec<String> {
    let list = payload.get("tasks").or_else(|| payload.get("steps")).and_then(Value::as_array);
    let name = |item: &Value| match item {
        Value::String(name) => Some(name.clone()),
        item => item.get("task_id").or_else(|| item.get("id")).and_then(Value::as_str).map(str::to_owned),
    };
    list.into_iter().flatten().filter_map(name).collect()
}

/// Tells how far the plan of the current event is, where that has changed since `before`.
pub(super) fn tell(execution: &Execution, current: &mut Current, before: Option<&PlanProgress>, step: &Step) {
    let Some(now) = of(execution.context(), current) else { return };
    if before == Some(&now) {
        return;
    }
    let mut told = current.event.follow_up(PROGRESSED);
    told.event_id = publication::made_id(execution, &current.event, PROGRESSED);
    told.channel = Channel::PlanEvents.as_str().to_owned();
    told.message_class = MessageClass::State.as_str().to_owned();
    told.source = Some(ENGINE.to_owned());
    told.occurred_at = step.now;
    told.plan_id = Some(now.plan_id.clone());
    told.payload = Some(Json::from(&json!(now)));
    current.remarks.push(told);
}

/// How far the plan is that the current event belongs to, of an execution whose work is done elsewhere.
pub(super) fn of(context: Option<&Context>, current: &Current) -> Option<PlanProgress> {
    let context = context.filter(|context| context.tracked.is_some())?;
    let of_task = || {
        let task = report::task_of(&current.event)?;
        context.tracked.iter().flatten().find(|known| known.task_id == task)?.plan_id.clone()
    };
    let plan_id = plan_of(&current.event).or_else(of_task)?;
    context.plans().into_iter().find(|plan| plan.plan_id == plan_id)
}

/// The plan that an event belongs to: by its field, else by its payload. JamJet's plan has no name but its execution's.
pub(super) fn plan_of(event: &Event) -> Option<String> {
    let told = || event.payload_value()["plan_id"].as_str().map(str::to_owned);
    let unnamed = || (event.event_type == GENERATED).then(|| event.execution_id.clone());
    event.plan_id.clone().or_else(told).or_else(unnamed).filter(|id| !id.is_empty() && id.len() <= NAME_MAX_BYTES)
}
