//! A branch for each item: a chunk of them begins at a time.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use super::decision::{invalid, optional_name, returned, too_large};
use super::emission::Emission;
use super::{Current, Step};
use crate::context::BranchOpening;
use crate::effect::{BranchesBegun, Effect};
use crate::execution::{Execution, Queued};
use crate::fan_out::{ForEach, Items};
use crate::identity;
use crate::json::Json;
use crate::limits::{BRANCHES_MAX, FOR_EACH_CHUNK};
use crate::message_class::MessageClass;
use crate::outcome::NewEvent;
use crate::status::ScopeStatus;
use crate::task::TaskFailure;

/// The first events, the number of all branches, and the items of those that are yet to begin.
type Begun = (Vec<Queued>, usize, Vec<String>);

impl Emission<'_> {
    /// What a for-each begins with.
    pub(super) fn for_each(&mut self, for_each: &ForEach, scope: &str, after: &Value) -> Result<Begun, TaskFailure> {
        let list = match &for_each.items {
            Items::Count(_) => None,
            Items::List(list) => Some(Cow::Borrowed(list.as_slice())),
            Items::At(pointer) => Some(self.items_at(pointer, after)?),
        };
        let total = match (&list, &for_each.items) {
            (Some(list), _) => list.len(),
            (None, Items::Count(count)) => *count as usize,
            (None, _) => 0,
        };
        if total > BRANCHES_MAX {
            return Err(too_large(format!("a fan-out of {total} branches, at most {BRANCHES_MAX} are allowed")));
        }
        let ends_on = optional_name("for_each.ends_on", for_each.ends_on.as_deref())?;
        let mut first_events = Vec::new();
        for index in 0..total.min(FOR_EACH_CHUNK) {
            let item = list.as_ref().map_or_else(|| Value::from(index), |list| list[index].clone());
            let event = NewEvent {
                channel: for_each.channel,
                message_class: Some(for_each.message_class.unwrap_or(MessageClass::Command)),
                ..NewEvent::new(&for_each.event_type, payload(index, item))
            };
            let mut first = self.event(&event, Some((scope, &index.to_string())))?;
            first.opens = Some(BranchOpening { ordinal: index as i32, ends_on: ends_on.clone() });
            first_events.push(first);
        }
        let rest = list.as_ref().map_or(&[][..], |list| list.get(FOR_EACH_CHUNK..).unwrap_or_default());
        for item in rest {
            // What is taken now must be usable when its turn comes.
            returned("an item", &payload(BRANCHES_MAX, item.clone()), self.step)?;
        }
        let items = rest.chunks(FOR_EACH_CHUNK).map(|chunk| Value::from(chunk).to_string()).collect();
        Ok((first_events, total, items))
    }

    fn items_at(&self, pointer: &str, after: &Value) -> Result<Cow<'static, [Value]>, TaskFailure> {
        let found = match (pointer.strip_prefix("/payload"), pointer.strip_prefix("/data")) {
            (Some(within), _) => self.current.event.payload_value().pointer(within).cloned(),
            (None, Some(within)) => after.pointer(within).cloned(),
            (None, None) => return Err(invalid(format!("for_each.items {pointer:?} begins with /payload or /data"))),
        };
        match found {
            Some(Value::Array(items)) => Ok(Cow::Owned(items)),
            Some(_) => Err(invalid(format!("for_each.items: what is at {pointer:?} is no array"))),
            None => Err(invalid(format!("for_each.items: nothing is at {pointer:?}"))),
        }
    }
}

fn payload(index: usize, item: Value) -> Value {
    json!({ "index": index, "item": item })
}

/// Where the branch that is opened is the last that has begun, the next ones begin: like it, with their own items.
pub(super) fn begin_more(
    execution: &mut Execution,
    current: &mut Current,
    scope: &str,
    opening: &BranchOpening,
    step: &Step,
) {
    let Some(record) = execution.load_scope(scope, step.store) else { return };
    let next = record.total - record.to_begin;
    if record.to_begin == 0 || record.status != ScopeStatus::Open || opening.ordinal + 1 != next {
        return;
    }
    let count = record.to_begin.min(FOR_EACH_CHUNK as i32);
    let items: Option<Vec<Value>> = record.items.first().and_then(|chunk| serde_json::from_str(chunk).ok());
    let mut items = items.map(Vec::into_iter);
    let opened_by = record.opened_by.clone();
    let sibling = &current.event;
    for ordinal in next..next + count {
        let item = match &mut items {
            Some(items) => items.next().unwrap_or_default(),
            None => Value::from(ordinal),
        };
        let mut event = sibling.follow_up(&sibling.event_type);
        event.event_id = identity::derived_id(&sibling.execution_id, scope, 0, "for_each", 1, ordinal as usize);
        event.parent_event_id = Some(opened_by.clone());
        event.occurred_at = step.now;
        event.source.clone_from(&sibling.source);
        event.message_class.clone_from(&sibling.message_class);
        event.channel.clone_from(&sibling.channel);
        event.payload = Some(Json::from(&payload(ordinal as usize, item)));
        event.branch = Some(ordinal.to_string());
        let opens = Some(BranchOpening { ordinal, ends_on: opening.ends_on.clone() });
        current.emitted.push(Queued {
            event: Arc::new(event),
            depth: current.depth,
            input: None,
            opens,
            logged: false,
        });
    }
    current.add(execution, Effect::BranchesBegun(BranchesBegun { scope: scope.to_owned(), count }));
}
