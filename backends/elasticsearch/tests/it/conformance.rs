//! The conformance suites of all stores, on the fake, whose searches see only refreshed documents.

use crate::fixture::LazyCluster;

mod behaviour {
    use super::LazyCluster;

    ecs_scheduler_testing::store_suite!(LazyCluster::default());
}

mod durability {
    use super::LazyCluster;

    ecs_scheduler_testing::store_durability_suite!(LazyCluster::default());
}
