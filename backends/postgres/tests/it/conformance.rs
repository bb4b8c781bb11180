//! The conformance suites of all stores.

use crate::fixture::TestSchema;

ecs_scheduler_testing::store_suite!(TestSchema::new());
ecs_scheduler_testing::store_durability_suite!(TestSchema::new());
ecs_scheduler_testing::store_sharing_suite!(TestSchema::new());
ecs_scheduler_testing::shared_store_suite!(TestSchema::new());
