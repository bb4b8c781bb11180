//! The memory store against the suite that every store runs.

use std::sync::Arc;

use ecs_scheduler_core::testing::store_suite::StoreFixture;
use ecs_scheduler_core::{MemoryStore, Store, async_trait, shared_store_suite, store_suite};

struct Memory;

#[async_trait]
impl StoreFixture for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::default())
    }
}

store_suite!(Memory);
shared_store_suite!(Memory);
