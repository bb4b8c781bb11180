//! The SQLite store against the suites that every store runs.

use crate::support::StoreFile;

mod behaviour {
    use super::StoreFile;

    ecs_scheduler_core::store_suite!(StoreFile::new());
}

mod durability {
    use super::StoreFile;

    ecs_scheduler_core::store_durability_suite!(StoreFile::new());
}
