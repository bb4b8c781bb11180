//! The SQLite store against the suites that every store runs.

use crate::support::StoreFile;

mod behaviour {
    use super::StoreFile;

    ecs_scheduler_testing::store_suite!(StoreFile::new());
}

mod durability {
    use super::StoreFile;

    ecs_scheduler_testing::store_durability_suite!(StoreFile::new());
}
