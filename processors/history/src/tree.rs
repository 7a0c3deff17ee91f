//! What an event leads to is drawn below it.

use std::collections::{BTreeMap, HashMap};

use thalweg_core::context::Scope;
use thalweg_core::effect::Effect;
use thalweg_core::{Event, identity};

use crate::effects;

/// A line of the tree.
#[derive(Debug, PartialEq)]
pub struct Line<'a> {
    /// What is drawn before the event, or the name of a branch.
    pub drawing: String,
    /// The event; none on the line of a branch.
    pub event: Option<&'a Event>,
    /// A branch that was declared so.
    pub not_required: bool,
}

/// Draws `events`, which are in the order of their sequence.
pub fn draw(events: &[Event]) -> Vec<Line<'_>> {
    let tree = Tree::new(events);
    let mut lines = Vec::with_capacity(events.len());
    for root in &tree.roots {
        tree.draw_chain(*root, &Prefix::default(), &mut lines);
    }
    lines
}

/// What stands before the first line of a chain, and before its other lines.
#[derive(Default)]
struct Prefix {
    first: String,
    rest: String,
}

impl Prefix {
    /// The prefix of one of several chains below.
    fn below(&self, last: bool) -> Prefix {
        let (corner, line) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        Prefix { first: format!("{}{corner}", self.rest), rest: format!("{}{line}", self.rest) }
    }

    /// The prefix of a chain whose first line is like its others.
    fn inside(&self) -> Prefix {
        Prefix { first: self.rest.clone(), rest: self.rest.clone() }
    }
}

/// Events by what caused them.
struct Tree<'a> {
    events: &'a [Event],
    roots: Vec<usize>,
    children: Vec<Vec<usize>>,
    /// The scopes that an event opened.
    opened: Vec<Vec<Scope>>,
}

impl<'a> Tree<'a> {
    fn new(events: &'a [Event]) -> Tree<'a> {
        let mut tree = Tree { events, roots: Vec::new(), children: vec![Vec::new(); events.len()], opened: Vec::new() };
        let mut by_id: HashMap<&str, usize> = HashMap::new();
        let mut newest_in: HashMap<(&str, &str), usize> = HashMap::new();
        let mut opener_of: HashMap<String, usize> = HashMap::new();
        for (number, event) in events.iter().enumerate() {
            // The completion of a scope goes on where the scope was opened, not in the branch that came last.
            let opener = opener_of.get(&event.event_id);
            let parent = event.parent_event_id.as_deref().and_then(|parent| by_id.get(parent));
            let branch = event.scope.as_deref().zip(event.branch.as_deref());
            let before = branch.and_then(|branch| newest_in.get(&branch));
            match opener.or(parent).or(before) {
                Some(cause) => tree.children[*cause].push(number),
                None => tree.roots.push(number),
            }
            by_id.insert(&event.event_id, number);
            newest_in.extend(branch.map(|branch| (branch, number)));
            let opened: Vec<Scope> = effects(event).filter_map(opened_scope).collect();
            for scope in &opened {
                opener_of.insert(completion_id(scope), number);
            }
            tree.opened.push(opened);
        }
        tree
    }

    /// Draws an event and what follows from it.
    fn draw_chain(&self, first: usize, prefix: &Prefix, lines: &mut Vec<Line<'a>>) {
        let mut next = Some((first, &prefix.first));
        while let Some((number, drawing)) = next {
            let event = Some(&self.events[number]);
            lines.push(Line { drawing: drawing.clone(), event, not_required: false });
            let mut following = Vec::new();
            let mut branches: BTreeMap<&str, BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
            for child in &self.children[number] {
                let event = &self.events[*child];
                match (&event.scope, &event.branch) {
                    (Some(scope), Some(branch)) if self.opened[number].iter().any(|s| s.scope == *scope) => {
                        branches.entry(scope).or_default().entry(branch).or_default().push(*child);
                    }
                    _ => following.push(*child),
                }
            }
            for scope in &self.opened[number] {
                let begun = branches.remove(scope.scope.as_str()).unwrap_or_default();
                self.draw_scope(scope, begun, prefix, lines);
            }
            next = match following.as_slice() {
                [] => None,
                [only] => Some((*only, &prefix.rest)),
                several => {
                    for (place, child) in several.iter().enumerate() {
                        self.draw_chain(*child, &prefix.below(place + 1 == several.len()), lines);
                    }
                    None
                }
            };
        }
    }

    fn draw_scope(&self, scope: &Scope, begun: BTreeMap<&str, Vec<usize>>, prefix: &Prefix, lines: &mut Vec<Line<'a>>) {
        let mut branches: Vec<(&str, Vec<usize>)> = begun.into_iter().collect();
        // The order of the fan-out is that of the first events.
        branches.sort_by_key(|(_, events)| events.first().copied());
        branches.extend(scope.not_required.iter().map(|name| (name.as_str(), Vec::new())));
        for (place, (name, events)) in branches.iter().enumerate() {
            let prefix = prefix.below(place + 1 == branches.len());
            lines.push(Line {
                drawing: format!("{}{name}", prefix.first),
                event: None,
                not_required: events.is_empty(),
            });
            for event in events {
                self.draw_chain(*event, &prefix.inside(), lines);
            }
        }
    }
}

fn opened_scope(effect: Effect) -> Option<Scope> {
    match effect {
        Effect::ScopeOpened(scope) => Some(*scope),
        _ => None,
    }
}

/// The id of the event that tells what a scope came to.
fn completion_id(scope: &Scope) -> String {
    identity::derived_id(&scope.execution_id, &scope.scope, 0, "scope.closed", 1, 0)
}

#[cfg(test)]
mod tests {
    use thalweg_core::ScopeStatus;

    use super::*;

    /// An event of this id, caused by another.
    fn event(id: &str, cause: &str, sequence: i64) -> Event {
        let parent_event_id = (!cause.is_empty()).then(|| cause.to_owned());
        Event { event_id: id.to_owned(), parent_event_id, sequence, ..Event::new(id, 0) }
    }

    fn in_branch(event: Event, scope: &str, branch: &str) -> Event {
        Event { scope: Some(scope.to_owned()), branch: Some(branch.to_owned()), ..event }
    }

    fn scope(id: &str, not_required: &[&str]) -> Scope {
        Scope {
            execution_id: "e".to_owned(),
            scope: id.to_owned(),
            name: id.to_owned(),
            parent_scope: None,
            parent_branch: None,
            policy: thalweg_core::JoinPolicy::All,
            status: ScopeStatus::Open,
            total: 0,
            succeeded: 0,
            failed: 0,
            not_required: not_required.iter().map(|name| (*name).to_owned()).collect(),
            completed_event: String::new(),
            failed_event: String::new(),
            correlation_id: None,
            opened_by: String::new(),
            canceled: false,
            to_begin: 0,
            items: Vec::new(),
        }
    }

    fn opens(event: Event, scope: Scope) -> Event {
        Event { effects: vec![Effect::ScopeOpened(Box::new(scope)).record()], ..event }
    }

    fn drawn(events: &[Event]) -> String {
        let line = |line: &Line| format!("{}{}", line.drawing, line.event.map_or("", |event| &event.event_type));
        draw(events).iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_chain_runs_straight_down_and_several_effects_branch_off() {
        let events = [
            event("a", "", 1),
            event("b", "a", 2),
            event("c", "b", 3),
            event("d", "b", 4),
            event("e", "c", 5),
            // From outside: caused by none that is known.
            event("f", "elsewhere", 6),
            event("g", "f", 7),
        ];
        assert_eq!(drawn(&events), "a\nb\n├─ c\n│  e\n└─ d\nf\ng");
    }

    #[test]
    fn a_scope_has_its_branches_and_goes_on_where_it_was_opened() {
        let (outer, inner) = (scope("outer", &["idle"]), scope("inner", &[]));
        let (joined, inner_joined) = (completion_id(&outer), completion_id(&inner));
        let events = [
            opens(event("a", "", 1), outer),
            opens(in_branch(event("b", "a", 2), "outer", "left"), inner),
            in_branch(event("c", "a", 3), "outer", "right"),
            in_branch(event("d", "b", 4), "inner", "deep"),
            in_branch(event(&inner_joined, "d", 5), "outer", "left"),
            // An answer from outside to what the branch waited for.
            in_branch(event("answer", "", 6), "outer", "right"),
            event(&joined, "answer", 7),
            event("end", &joined, 8),
        ];
        let tree = format!(
            "a\n├─ left\n│  b\n│  └─ deep\n│     d\n│  {inner_joined}\n├─ right\n│  c\n│  answer\n└─ idle\n{joined}\nend"
        );
        assert_eq!(drawn(&events), tree);
    }

    #[test]
    fn whatever_is_claimed_as_a_cause_every_event_is_drawn_once() {
        let events = [event("a", "c", 1), event("b", "b", 2), event("c", "a", 3), event("c", "c", 4)];
        assert_eq!(draw(&events).len(), events.len());
    }
}
