//! The executions of a partition that have not started, and of which events are kept.

use std::collections::HashSet;

use thalweg_core::Limits;

/// Such executions of one partition; beyond it their events are refused at once.
const UNSTARTED_MAX: usize = 10_000;

/// Their ids.
#[derive(Default)]
pub struct UnstartedExecutions(HashSet<String>);

impl UnstartedExecutions {
    /// Takes in whether an execution is one of them.
    pub fn set(&mut self, id: &str, unstarted: bool) {
        if unstarted {
            self.0.insert(id.to_owned());
        } else if !self.0.is_empty() {
            self.0.remove(id);
        }
    }

    /// The limits of a step, with what there is room for.
    pub fn limits(&self, limits: Limits) -> Limits {
        match self.0.len() < UNSTARTED_MAX {
            true => limits,
            false => Limits { early_start_ttl_ms: 0, ..limits },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_again_when_one_has_started() {
        let mut unstarted = UnstartedExecutions::default();
        let limits = Limits::default();
        for number in 0..UNSTARTED_MAX {
            assert_eq!(unstarted.limits(limits), limits);
            unstarted.set(&number.to_string(), true);
        }
        assert_eq!(unstarted.limits(limits).early_start_ttl_ms, 0);
        unstarted.set("7", false);
        assert_eq!(unstarted.limits(limits), limits);
    }
}
