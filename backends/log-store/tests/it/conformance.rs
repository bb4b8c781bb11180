//! The suites of the core.

use crate::backend::MemoryBackend;

ecs_scheduler_testing::store_suite!(MemoryBackend::default());
ecs_scheduler_testing::store_durability_suite!(MemoryBackend::default());
