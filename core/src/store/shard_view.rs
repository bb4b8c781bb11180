//! A view of a shared store, restricted to one shard.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{
    Advance, DecisionQuery, Fence, FiringQuery, JobList, JobStore, Journal, ListFrom, NewJob, Register,
    Registers, Retention, Settled, Settlement, Shard, SharedStore, Store, StoreError, StoreMaintenance,
};
use crate::decide::DecisionRecord;
use crate::firing::Firing;
use crate::job::{JobId, Revision, StoredJob};

/// A view of a shared store for the owner of one shard: it lists only that shard's jobs and open firings, and fences every
/// write to the journal.
///
/// Everything else is delegated to the store. Closing the view leaves the store open.
#[derive(Debug, Clone)]
pub struct ShardView {
    store: Arc<dyn SharedStore>,
    shard: Shard,
    fence: Fence,
}

impl ShardView {
    /// Makes a view of a shard that can write as long as the fence holds.
    #[must_use]
    pub fn new(store: Arc<dyn SharedStore>, shard: Shard, fence: Fence) -> Self {
        Self { store, shard, fence }
    }
}

#[async_trait]
impl JobStore for ShardView {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        self.store.create(job).await
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        self.store.replace(id, expected, document, at).await
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        self.store.remove(id, expected).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        self.store.get(ids).await
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.store.list_shard(self.shard, from, limit).await
    }
}

#[async_trait]
impl Journal for ShardView {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.store.settle_fenced(&self.fence, batch).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        self.store.advance_fenced(&self.fence, advance).await
    }

    async fn open_firings(&self) -> Result<Vec<Firing>, StoreError> {
        self.store.open_firings_in_shard(self.shard).await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.store.decisions(query).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.store.firings(query).await
    }
}

#[async_trait]
impl Registers for ShardView {
    async fn get_register(&self, name: &str) -> Result<Option<Register>, StoreError> {
        self.store.get_register(name).await
    }

    async fn put_register(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        self.store.put_register(name, value, expected, expires).await
    }
}

#[async_trait]
impl StoreMaintenance for ShardView {
    async fn health_check(&self) -> Result<(), StoreError> {
        self.store.health_check().await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        self.store.prune(retention).await
    }
}

#[async_trait]
impl Store for ShardView {
    fn kind(&self) -> &'static str {
        self.store.kind()
    }

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
