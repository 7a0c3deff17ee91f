//! Executions with work that is due, each once, in order.

use std::collections::{HashSet, VecDeque};

/// A queue of execution ids without repetition.
#[derive(Default)]
pub struct DueQueue {
    order: VecDeque<String>,
    members: HashSet<String>,
}

impl DueQueue {
    /// Nothing is due.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Executions in the queue.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Queues an execution at the end, unless it is queued already.
    pub fn push(&mut self, execution_id: &str) {
        if self.members.insert(execution_id.to_owned()) {
            self.order.push_back(execution_id.to_owned());
        }
    }

    /// Puts back at the head what was taken, unless it is queued again.
    pub fn put_back(&mut self, execution_id: String) {
        if self.members.insert(execution_id.clone()) {
            self.order.push_front(execution_id);
        }
    }

    /// Takes the first.
    pub fn take(&mut self) -> Option<String> {
        let id = self.order.pop_front()?;
        self.members.remove(&id);
        Some(id)
    }
}
