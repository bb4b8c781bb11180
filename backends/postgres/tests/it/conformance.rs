//! The conformance suites of all stores.

use crate::fixture::TestSchema;

ecs_scheduler_core::store_suite!(TestSchema::new());
ecs_scheduler_core::store_durability_suite!(TestSchema::new());
ecs_scheduler_core::store_sharing_suite!(TestSchema::new());
ecs_scheduler_core::shared_store_suite!(TestSchema::new());
