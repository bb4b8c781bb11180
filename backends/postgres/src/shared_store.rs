//! Implements `SharedStore`: shards, fenced writes and the changelog that replicas read.

use std::num::NonZeroUsize;

use ecs_scheduler_core::store::{ChangeCursor, ChangedJobs, Fence, Shard, ShardChanges, Shards, SharedStore};
use ecs_scheduler_core::{
    Advance, Firing, JobId, JobList, ListFrom, Register, Settled, Settlement, StoreError, async_trait,
};

use crate::codec::{signed, unsigned};
use crate::error::corrupt_row;
use crate::jobs::CHANGELOG_LENGTH;
use crate::store::PostgresStore;

/// Names sort by their bytes: no name with the prefix sorts behind the prefix and the greatest character.
const LIST_REGISTERS: &str = "SELECT name, value, version FROM ecss_registers \
    WHERE name >= $1 AND name <= $1 || chr(1114111) AND starts_with(name, $1) ORDER BY name";
/// One statement reads shards and edits at one moment; it reads no edits of a shard without news.
const LIST_EDITS: &str = "SELECT s.shard, s.edits, m.mark, \
    array(SELECT DISTINCT e.job FROM ecss_edits e WHERE e.shard = s.shard AND e.no > m.mark ORDER BY e.job) AS jobs \
    FROM unnest($1::smallint[], $2::bigint[]) AS m(shard, mark) JOIN ecss_shards s ON s.shard = m.shard \
    WHERE s.edits <> m.mark ORDER BY s.shard";

#[async_trait]
impl Shards for PostgresStore {
    async fn list_shard(
        &self,
        shard: Shard,
        from: ListFrom,
        limit: NonZeroUsize,
    ) -> Result<JobList, StoreError> {
        let index = &self.shard_page_indexes[usize::from(shard.number())];
        self.pool.list(index, Some(shard.number().into()), from, limit).await
    }

    async fn open_firings_in_shard(&self, shard: Shard) -> Result<Vec<Firing>, StoreError> {
        self.pool.open_firings(Some(shard.number().into())).await
    }

    async fn settle_fenced(&self, fence: &Fence, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.settle_batch(Some(fence.clone()), batch).await
    }

    async fn advance_fenced(&self, fence: &Fence, advance: Advance) -> Result<(), StoreError> {
        self.advance_firing(Some(fence.clone()), advance).await
    }
}

#[async_trait]
impl SharedStore for PostgresStore {
    async fn registers(&self, prefix: &str) -> Result<Vec<(String, Register)>, StoreError> {
        let rows = self.pool.read("read", LIST_REGISTERS, &[&prefix]).await?;
        let register = |row: &tokio_postgres::Row| {
            (row.get(0), Register { value: row.get(1), version: unsigned(row.get(2)) })
        };
        Ok(rows.iter().map(register).collect())
    }

    async fn changes(&self, since: &[(Shard, ChangeCursor)]) -> Result<Vec<ShardChanges>, StoreError> {
        let shards: Vec<i16> = since.iter().map(|(shard, _)| shard.number().into()).collect();
        let marks: Vec<i64> = since.iter().map(|(_, mark)| signed(mark.0)).collect();
        let rows = self.pool.read("read", LIST_EDITS, &[&shards, &marks]).await?;
        rows.iter().map(shard_edits).collect()
    }
}

fn shard_edits(row: &tokio_postgres::Row) -> Result<ShardChanges, StoreError> {
    let (number, edits, mark): (i16, i64, i64) = (row.get("shard"), row.get("edits"), row.get("mark"));
    let shard = u8::try_from(number).ok().and_then(Shard::new);
    let shard = shard.ok_or_else(|| corrupt_row(&format!("shard {number}"), "there is no such shard"))?;
    let names: Vec<&str> = row.get("jobs");
    let jobs = if mark > edits || edits - mark > CHANGELOG_LENGTH {
        ChangedJobs::Unknown
    } else {
        let jobs = names.into_iter().map(JobId::new).collect::<Result<_, _>>();
        ChangedJobs::Jobs(jobs.map_err(|error| corrupt_row(&format!("the edits of shard {number}"), error))?)
    };
    Ok(ShardChanges { shard, cursor: ChangeCursor(unsigned(edits)), jobs })
}
