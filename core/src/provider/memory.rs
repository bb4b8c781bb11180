//! The provider of the in-memory store.

use std::sync::Arc;

use async_trait::async_trait;

use super::{OpenMode, ProviderDescriptor, StoreProvider, StoreSetup};
use crate::memory::MemoryStore;
use crate::store::{Store, StoreError};

/// The store `memory`, which has no settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryProvider;

#[async_trait]
impl StoreProvider for MemoryProvider {
    fn descriptor(&self) -> ProviderDescriptor {
        ProviderDescriptor::new(
            "memory",
            "Keeps everything in memory, and loses it when the process ends",
            &[],
        )
    }

    /// Returns an empty store, in each mode.
    async fn open(&self, _: &StoreSetup<'_>, _: OpenMode) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(MemoryStore::default()))
    }
}
