//! Workflows: named sets of tasks.

use std::collections::{BTreeMap, HashMap};
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
    /// The places of the tasks that handle a type by its name. They are looked up for each event: a workflow may have
    /// hundreds of tasks.
    by_type: HashMap<String, Vec<usize>>,
    /// The places of the tasks that handle types by a pattern.
    by_pattern: Vec<usize>,
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
            by_type: HashMap::new(),
            by_pattern: Vec::new(),
            awaited: Vec::new(),
        }
    }

    /// What its executions may use up.
    pub fn budgets(mut self, budgets: Budgets) -> Workflow {
        self.budgets = budgets;
        self
    }

    /// Adds a task, for the types that it handles now.
    pub fn task(mut self, task: impl Task + 'static) -> Workflow {
        let place = self.tasks.len();
        for pattern in task.handles_events() {
            match pattern {
                Pattern::Exact(event_type) => self.by_type.entry(event_type.clone()).or_default().push(place),
                Pattern::Below(_) | Pattern::All => self.by_pattern.push(place),
            }
        }
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
    pub fn handlers(&self, event_type: &str) -> impl Iterator<Item = &Arc<dyn Task>> {
        let matches = |place: &&usize| self.tasks[**place].handles_events().iter().any(|p| p.matches(event_type));
        let by_type = self.by_type.get(event_type).into_iter().flatten();
        let mut places: Vec<usize> = by_type.chain(self.by_pattern.iter().filter(matches)).copied().collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|place| &self.tasks[place])
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

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::Workflow;
    use crate::event::Event;
    use crate::outcome::Outcome;
    use crate::pattern::Pattern;
    use crate::task::{Task, TaskContext, TaskError};

    struct Named(&'static str, Vec<Pattern>);

    #[async_trait]
    impl Task for Named {
        fn task_id(&self) -> &str {
            self.0
        }
        fn handles_events(&self) -> &[Pattern] {
            &self.1
        }
        async fn handle_event(&self, _: &Event, _: &mut TaskContext) -> Result<Outcome, TaskError> {
            Ok(Outcome::new())
        }
    }

    #[test]
    fn each_handler_of_a_type_is_found_once_in_the_order_of_registration() {
        let named = |name, patterns: &[&str]| Named(name, patterns.iter().map(|text| Pattern::new(text)).collect());
        let workflow = Workflow::new("w", "1")
            .task(named("below", &["claim.*"]))
            .task(named("exact", &["claim.filed", "claim.paid"]))
            .task(named("every", &["claim.filed", "*", "claim.*", "claim.filed"]))
            .task(named("again", &["claim.filed"]));
        let handlers = |event_type| workflow.handlers(event_type).map(|task| task.task_id()).collect::<Vec<_>>();
        assert_eq!(handlers("claim.filed"), ["below", "exact", "every", "again"]);
        assert_eq!(handlers("claim.paid"), ["below", "exact", "every"]);
        assert_eq!(handlers("claim"), ["every"]);
        assert_eq!(Workflow::new("w", "1").task(named("one", &["a"])).handlers("b").count(), 0);
    }
}
