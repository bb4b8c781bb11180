//! The store against the suites that every store runs: on the fake, whose searches see only what was refreshed.

use crate::fixture::LazyPlace;

mod behaviour {
    use super::LazyPlace;

    ecs_scheduler_core::store_suite!(LazyPlace::default());
}

mod durability {
    use super::LazyPlace;

    ecs_scheduler_core::store_durability_suite!(LazyPlace::default());
}
