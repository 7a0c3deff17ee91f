//! Workflows: named sets of tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::budget::Budgets;
use crate::pattern::Pattern;
use crate::task::Task;

/// A workflow: its tasks in the order in which they are called for an event that several handle.
#[derive(Clone)]
pub struct Workflow {
    /// Its name; a metric label.
    pub id: String,
    /// Its version, put on the events of executions that it starts.
    pub version: String,
    /// What its executions may use up, where their start says nothing else.
    pub budgets: Budgets,
    tasks: Vec<Arc<dyn Task>>,
    awaited: Vec<Pattern>,
}

impl Workflow {
    /// A workflow without tasks yet.
    pub fn new(id: &str, version: &str) -> Workflow {
        Workflow {
            id: id.to_owned(),
            version: version.to_owned(),
            budgets: Budgets::default(),
            tasks: Vec::new(),
            awaited: Vec::new(),
        }
    }

    /// What its executions may use up.
    pub fn budgets(mut self, budgets: Budgets) -> Workflow {
        self.budgets = budgets;
        self
    }

    /// Adds a task.
    pub fn task(mut self, task: impl Task + 'static) -> Workflow {
        self.tasks.push(Arc::new(task));
        self
    }

    /// Events from outside of these types (`a.b.c`, `a.b.*`, `*`) are answers: one that comes before a wait for it is kept
    /// until the wait is opened.
    pub fn awaits(mut self, pattern: &str) -> Workflow {
        self.awaited.push(Pattern::new(pattern));
        self
    }

    /// Is an event of this type an answer?
    pub fn is_awaited(&self, event_type: &str) -> bool {
        self.awaited.iter().any(|pattern| pattern.matches(event_type))
    }

    /// Its tasks, in the order of registration.
    pub fn tasks(&self) -> &[Arc<dyn Task>] {
        &self.tasks
    }

    /// Its task of this name.
    pub fn task_named(&self, task_id: &str) -> Option<&Arc<dyn Task>> {
        self.tasks.iter().find(|task| task.task_id() == task_id)
    }

    /// The tasks that handle `event_type`, in the order of registration.
    pub fn handlers<'a>(&'a self, event_type: &'a str) -> impl Iterator<Item = &'a Arc<dyn Task>> {
        self.tasks.iter().filter(move |task| task.handles_events().iter().any(|pattern| pattern.matches(event_type)))
    }
}

/// The workflows that a router knows.
#[derive(Clone, Default)]
pub struct Workflows(BTreeMap<String, Workflow>);

impl Workflows {
    /// None yet.
    pub fn new() -> Workflows {
        Workflows::default()
    }

    /// Adds a workflow; one of the same name is replaced.
    pub fn with(mut self, workflow: Workflow) -> Workflows {
        self.0.insert(workflow.id.clone(), workflow);
        self
    }

    /// The workflow of this name.
    pub fn get(&self, id: &str) -> Option<&Workflow> {
        self.0.get(id)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Workflow> {
        self.0.values()
    }
}
