//! What every store must do.

use crate::fixture::Place;

ecs_scheduler_core::store_suite!(Place::new());
ecs_scheduler_core::store_durability_suite!(Place::new());
ecs_scheduler_core::store_sharing_suite!(Place::new());
ecs_scheduler_core::shared_store_suite!(Place::new());
