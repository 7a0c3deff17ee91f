//! What an outcome makes: effects, events, timers, the starts of children.

use std::sync::Arc;

use serde_json::Value;

use super::decision::{invalid, name, optional_name, returned};
use super::emission::Emission;
use super::timer::{self, Setting};
use super::{Current, Step, approval};
use crate::approval::DECIDED;
use crate::context::{Context, Wait};
use crate::data::Data;
use crate::effect::{Effect, tried};
use crate::event::Event;
use crate::execution::{Execution, Queued};
use crate::json::check_depth;
use crate::merge_patch;
use crate::outcome::Outcome;
use crate::status::TaskStatus;
use crate::task::TaskFailure;

/// What an outcome makes, part by part; ids count up in this order.
pub(super) struct Made {
    pub effects: Vec<Effect>,
    pub emitted: Vec<Queued>,
    pub kept: Vec<(String, Arc<Event>)>,
    pub starts: Vec<Event>,
    pub asked: Option<Box<Event>>,
}

impl Made {
    /// All parts of what the task `task_id` decided on the current event; `after` is the data as it left it.
    pub fn by(
        execution: &Execution,
        context: &Context,
        current: &Current,
        task_id: &str,
        (outcome, after): (&Outcome, &Data),
        step: &Step,
    ) -> Result<Made, TaskFailure> {
        let mut makes = Emission { current, task_id, step, ordinal: 0 };
        let tried = Effect::Task(tried(context, task_id, TaskStatus::Success, current.attempt.number));
        let mut made =
            Made { effects: vec![tried], emitted: Vec::new(), kept: Vec::new(), starts: Vec::new(), asked: None };
        for event in &outcome.emit {
            made.emitted.push(makes.event(event, current.event.place())?);
        }
        made.waits(&mut makes, context, outcome)?;
        if let Some(interrupt) = &outcome.interrupt {
            returned("interrupt", &serde_json::json!(interrupt), step)?;
            let wait_id = makes.id();
            made.effects.push(Effect::WaitAdded(Box::new(wait(&makes, context, wait_id, DECIDED.to_owned(), None))));
            made.asked = Some(Box::new(approval::asked(execution, current, task_id, interrupt, step)));
        }
        if let Some(fan_out) = &outcome.fan_out {
            let (scope, first_events) = makes.scope(fan_out, after)?;
            let timer = makes.scope_timer(fan_out, &scope)?;
            made.effects.push(Effect::ScopeOpened(Box::new(scope)));
            made.effects.extend(timer.map(|timer| Effect::TimerSet(Box::new(timer))));
            made.emitted.extend(first_events);
        }
        for new in &outcome.timer {
            let setting = makes.timer(new)?;
            made.set(setting);
        }
        made.children(&mut makes, context, outcome)?;
        if !outcome.cancel_timer.is_empty() {
            timer::check_names(&outcome.cancel_timer)?;
            let canceled = timer::named(execution, current, &outcome.cancel_timer);
            made.effects.extend(canceled.map(Effect::TimerCancelled));
        }
        if outcome.continue_as_new {
            made.emitted.push(makes.boundary(context, outcome, after)?);
        }
        if let Some(patch) = patch_of(&context.data, after)? {
            made.effects.insert(1, Effect::Patch(patch));
        }
        Ok(made)
    }

    fn set(&mut self, Setting { timer, event }: Setting) {
        self.kept.extend(event.map(|event| (timer.timer_id.clone(), event)));
        self.effects.push(Effect::TimerSet(Box::new(timer)));
    }

    fn waits(&mut self, makes: &mut Emission, context: &Context, outcome: &Outcome) -> Result<(), TaskFailure> {
        for new in &outcome.wait_for {
            let wait_id = makes.id();
            if let Some(setting) = makes.wait_timer(new, &wait_id)? {
                self.set(setting);
            }
            let event_type = name("wait_for.event_type", &new.event_type)?;
            let key = optional_name("wait_for.correlation_key", new.correlation_key.as_deref())?;
            self.effects.push(Effect::WaitAdded(Box::new(wait(makes, context, wait_id, event_type, key))));
        }
        Ok(())
    }

    fn children(&mut self, makes: &mut Emission, context: &Context, outcome: &Outcome) -> Result<(), TaskFailure> {
        for new in &outcome.start_child {
            let (child, start) = makes.child(context, new)?;
            if self.starts.iter().any(|other: &Event| other.execution_id == child.execution_id) {
                return Err(invalid(format!("start_child: two children are named {:?}", child.execution_id)));
            }
            self.effects.push(Effect::ChildStarted(Box::new(child)));
            self.starts.push(start);
        }
        Ok(())
    }
}

/// A wait of the task, in the branch of the current event.
fn wait(
    makes: &Emission,
    context: &Context,
    wait_id: String,
    event_type: String,
    correlation_key: Option<String>,
) -> Wait {
    let event = &makes.current.event;
    Wait {
        wait_id,
        event_type,
        correlation_key,
        correlation_id: event.correlation_id.clone().unwrap_or_else(|| context.correlation_id.clone()),
        task_id: makes.task_id.to_owned(),
        scope: event.scope.clone(),
        branch: event.branch.clone(),
    }
}

fn patch_of(before: &Data, after: &Data) -> Result<Option<serde_json::Map<String, Value>>, TaskFailure> {
    if after.is_same(before) {
        return Ok(None);
    }
    let (Value::Object(before), Value::Object(after)) = (&**before, &**after) else {
        return Err(invalid("data must stay a JSON object"));
    };
    let Some(patch) = merge_patch::diff(before, after) else { return Ok(None) };
    let patch = Value::Object(patch);
    check_depth(&patch).map_err(invalid)?;
    match patch {
        Value::Object(map) => Ok(Some(map)),
        _ => Ok(None),
    }
}
