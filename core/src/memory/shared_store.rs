//! The memory store as a shared store: tests run several replicas in one process on it.

use std::num::NonZeroUsize;

use async_trait::async_trait;

use super::{MemoryStore, State};
use crate::firing::Firing;
use crate::store::{
    Advance, ChangeCursor, Fence, JobList, ListFrom, Register, Settled, Settlement, Shard, ShardChanges,
    Shards, SharedStore, StoreError,
};

#[async_trait]
impl Shards for MemoryStore {
    async fn list_shard(
        &self,
        shard: Shard,
        from: ListFrom,
        limit: NonZeroUsize,
    ) -> Result<JobList, StoreError> {
        self.lock()?.jobs.list_shard(shard, &from, limit)
    }

    async fn open_firings_in_shard(&self, shard: Shard) -> Result<Vec<Firing>, StoreError> {
        let mut open = self.lock()?.journal.unfinished();
        open.retain(|firing| Shard::from_job(&firing.job) == shard);
        Ok(open)
    }

    async fn settle_fenced(&self, fence: &Fence, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        let mut state = self.lock()?;
        state.check_fence(fence)?;
        Ok(state.settle(batch))
    }

    async fn advance_fenced(&self, fence: &Fence, advance: Advance) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        state.check_fence(fence)?;
        state.advance(advance)
    }
}

#[async_trait]
impl SharedStore for MemoryStore {
    async fn registers(&self, prefix: &str) -> Result<Vec<(String, Register)>, StoreError> {
        let state = self.lock()?;
        let from = state.registers.range(prefix.to_owned()..);
        let found = from.take_while(|(name, _)| name.starts_with(prefix));
        Ok(found.map(|(name, entry)| (name.clone(), entry.register.clone())).collect())
    }

    async fn changes(&self, since: &[(Shard, ChangeCursor)]) -> Result<Vec<ShardChanges>, StoreError> {
        Ok(self.lock()?.changes.since(since))
    }
}

impl State {
    fn check_fence(&self, fence: &Fence) -> Result<(), StoreError> {
        let version = self.registers.get(&fence.register).map(|entry| entry.register.version);
        if version == Some(fence.version) {
            return Ok(());
        }
        Err(StoreError::Fenced(fence.into()))
    }
}
