//! The suites of the core.

use crate::backend::Place;

ecs_scheduler_core::store_suite!(Place::default());
ecs_scheduler_core::store_durability_suite!(Place::default());
