//! The fold of the published effects is the state, wherever a step is cut and an execution is reopened.

use proptest::prelude::*;

use crate::cases;
use crate::memory_router::MemoryRouter;
use crate::random_workflow::{tasks, workflows_that_await};
use crate::script::{limits, play, timed_script};

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn folding_the_effects_gives_the_same_records_at_every_cut(
        tasks in tasks(), script in timed_script(), limits in limits(),
    ) {
        let workflows = workflows_that_await(&tasks);
        let mut router = MemoryRouter::new(&workflows, limits);
        play(&mut router, "e", &script, &mut |router| router.assert_folded("e"));
    }
}
