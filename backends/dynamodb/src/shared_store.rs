//! The traits of a store that several processes write at the same time.

use std::num::NonZeroUsize;

use ecs_scheduler_core::{
    Advance, ChangeCursor, ChangedJobs, Fence, Firing, JobList, ListFrom, Register, Settled, Settlement,
    Shard, ShardChanges, Shards, SharedStore, StoreError, async_trait,
};

use crate::change_log::{changes_since, read_heads};
use crate::store::DynamoDbStore;
use crate::{advance, history, jobs, settle};

#[async_trait]
impl Shards for DynamoDbStore {
    async fn list_shard(
        &self,
        shard: Shard,
        from: ListFrom,
        limit: NonZeroUsize,
    ) -> Result<JobList, StoreError> {
        jobs::list(&self.context, from, limit, |job| Shard::from_job(job) == shard).await
    }

    async fn open_firings_in_shard(&self, shard: Shard) -> Result<Vec<Firing>, StoreError> {
        history::open_firings(&self.context, std::iter::once(shard.number())).await
    }

    async fn settle_fenced(&self, fence: &Fence, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        let writer = self.fenced_writers.fenced_by(&self.context.db, fence);
        let settled = settle::settle(&self.context, &writer, batch).await?;
        if settled.iter().all(|settled| *settled == Settled::Stale) {
            writer.verify_fence(&self.context.db).await?;
        }
        Ok(settled)
    }

    async fn advance_fenced(&self, fence: &Fence, advance: Advance) -> Result<(), StoreError> {
        let writer = self.fenced_writers.fenced_by(&self.context.db, fence);
        let moved = advance::advance(&self.context, &writer, advance).await;
        if matches!(moved, Err(StoreError::NotFound(_) | StoreError::Conflict(_))) {
            writer.verify_fence(&self.context.db).await?;
        }
        moved
    }
}

#[async_trait]
impl SharedStore for DynamoDbStore {
    async fn registers(&self, prefix: &str) -> Result<Vec<(String, Register)>, StoreError> {
        self.context.db.registers(prefix).await
    }

    async fn changes(&self, since: &[(Shard, ChangeCursor)]) -> Result<Vec<ShardChanges>, StoreError> {
        let db = &self.context.db;
        let heads = read_heads(db, since.iter().map(|(shard, _)| shard.number())).await?;
        let mut shards = Vec::new();
        for ((shard, mark), head) in since.iter().zip(heads) {
            if head.seq == mark.0 {
                continue;
            }
            let jobs = match changes_since(db, shard.number(), mark.0, head).await? {
                None => ChangedJobs::Unknown,
                Some(changes) => {
                    let mut jobs: Vec<_> = changes.into_iter().map(|change| change.job).collect();
                    jobs.sort_unstable();
                    jobs.dedup();
                    ChangedJobs::Jobs(jobs)
                }
            };
            shards.push(ShardChanges { shard: *shard, cursor: ChangeCursor(head.seq), jobs });
        }
        Ok(shards)
    }
}
