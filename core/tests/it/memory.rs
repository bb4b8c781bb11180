//! The memory store against the suite that every store runs.

use std::sync::Arc;

use ecs_scheduler_core::{MemoryStore, Store, async_trait};
use ecs_scheduler_testing::store_suite::StoreFixture;

struct Memory;

#[async_trait]
impl StoreFixture for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::default())
    }
}

ecs_scheduler_testing::store_suite!(Memory);
ecs_scheduler_testing::shared_store_suite!(Memory);
