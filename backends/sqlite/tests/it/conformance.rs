//! The SQLite store against the suites that every store runs.

use crate::support::Place;

mod behaviour {
    use super::Place;

    ecs_scheduler_core::store_suite!(Place::new());
}

mod durability {
    use super::Place;

    ecs_scheduler_core::store_durability_suite!(Place::new());
}
