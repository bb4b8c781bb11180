//! The store as one that several processes write at once.

use std::num::NonZeroUsize;

use ecs_scheduler_core::{
    Advance, EditMark, EditedJobs, Fence, Firing, JobList, ListFrom, Register, Settled, Settlement, Shard,
    ShardEdits, Shards, SharedStore, StoreError, async_trait,
};

use crate::change_log::{edits, heads};
use crate::store::DynamoDbStore;
use crate::{advance, history, jobs, registers, settle};

#[async_trait]
impl Shards for DynamoDbStore {
    async fn list_shard(
        &self,
        shard: Shard,
        from: ListFrom,
        limit: NonZeroUsize,
    ) -> Result<JobList, StoreError> {
        jobs::list(&self.shared, from, limit, |job| Shard::of(job) == shard).await
    }

    async fn unfinished_in(&self, shard: Shard) -> Result<Vec<Firing>, StoreError> {
        history::unfinished(&self.shared, std::iter::once(shard.number())).await
    }

    async fn settle_under(&self, fence: &Fence, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        let lane = self.lanes.behind(fence);
        let settled = settle::settle(&self.shared, &lane, batch).await?;
        if settled.iter().all(|settled| *settled == Settled::Stale) {
            lane.verify(&self.shared.db).await?;
        }
        Ok(settled)
    }

    async fn advance_under(&self, fence: &Fence, advance: Advance) -> Result<(), StoreError> {
        let lane = self.lanes.behind(fence);
        let moved = advance::advance(&self.shared, &lane, advance).await;
        if matches!(moved, Err(StoreError::NotFound(_) | StoreError::Conflict(_))) {
            lane.verify(&self.shared.db).await?;
        }
        moved
    }
}

#[async_trait]
impl SharedStore for DynamoDbStore {
    async fn registers(&self, prefix: &str) -> Result<Vec<(String, Register)>, StoreError> {
        registers::beginning_with(&self.shared.db, prefix).await
    }

    async fn edits(&self, since: &[(Shard, EditMark)]) -> Result<Vec<ShardEdits>, StoreError> {
        let db = &self.shared.db;
        let heads = heads(db, since.iter().map(|(shard, _)| shard.number())).await?;
        let mut told = Vec::new();
        for ((shard, mark), head) in since.iter().zip(heads) {
            if head.seq == mark.0 {
                continue;
            }
            let jobs = match edits(db, shard.number(), mark.0, head).await? {
                None => EditedJobs::Unknown,
                Some(edits) => {
                    let mut jobs: Vec<_> = edits.into_iter().map(|edit| edit.job).collect();
                    jobs.sort_unstable();
                    jobs.dedup();
                    EditedJobs::These(jobs)
                }
            };
            told.push(ShardEdits { shard: *shard, mark: EditMark(head.seq), jobs });
        }
        Ok(told)
    }
}
