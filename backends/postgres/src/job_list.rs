//! Lists of jobs, paged by key. A page at an offset is found from the nearest known offset before it.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use ecs_scheduler_core::{JobList, ListFrom, StoreError};
use parking_lot::Mutex;
use tokio_postgres::Row;

use crate::codec::{self, job_columns, signed, unsigned};
use crate::error::corrupt_row;
use crate::pool::Pool;

#[cfg(test)]
mod tests;

/// How many offsets an index keeps, each 24 bytes.
const MAX_OFFSETS: usize = 4_096;

/// A page and the counts, in one statement. `$1` is the shard or null, `$2` the key before the page, and `$3` how many jobs
/// to skip after that key.
macro_rules! page {
    ($of_shard:literal) => {
        concat!(
            "WITH page AS MATERIALIZED (SELECT * FROM ecss_jobs WHERE no > $2 ",
            $of_shard,
            " ORDER BY no OFFSET $3 LIMIT $4) \
             SELECT c.total, c.removed, j.no, ",
            job_columns!(),
            " FROM (SELECT coalesce(sum(jobs), 0)::bigint AS total, coalesce(sum(removed), 0)::bigint AS removed \
             FROM ecss_shards WHERE shard = coalesce($1, shard)) c LEFT JOIN page j ON true ORDER BY j.no"
        )
    };
}
const OF_ALL: &str = page!("");
const OF_SHARD: &str = page!("AND shard = $1");

/// The key of a job.
const KEY: &str = "SELECT no FROM ecss_jobs WHERE id = $1 AND shard = coalesce($2, shard)";

/// The known offsets of a list, each with the key of the job before it.
#[derive(Debug, Default)]
pub(crate) struct PageIndex(Mutex<KnownOffsets>);

#[derive(Debug, Default)]
struct KnownOffsets {
    /// The count of removals when the offsets were read: each removal moves the offsets behind it.
    removed: i64,
    keys: BTreeMap<u64, i64>,
}

impl PageIndex {
    /// Returns the nearest known offset at or before this one, with its key, and the count of removals for which it holds.
    fn nearest(&self, offset: u64) -> (u64, i64, Option<i64>) {
        let known = self.0.lock();
        let nearest = known.keys.range(..=offset).next_back();
        nearest.map_or((0, 0, None), |(offset, key)| (*offset, *key, Some(known.removed)))
    }

    /// Records the key of the job before `offset`.
    fn record(&self, removed: i64, offset: u64, key: i64) {
        let mut known = self.0.lock();
        if known.removed > removed {
            return;
        }
        if known.removed < removed || known.keys.len() >= MAX_OFFSETS {
            known.keys.clear();
        }
        known.removed = removed;
        known.keys.insert(offset, key);
    }
}

/// A page, with the count of removals at that time and the key of its last job.
struct OffsetPage {
    removed: i64,
    last_key: Option<i64>,
    list: JobList,
}

impl Pool {
    /// Lists jobs, of one shard where one is given.
    pub(crate) async fn list(
        &self,
        index: &PageIndex,
        shard: Option<i16>,
        from: ListFrom,
        limit: NonZeroUsize,
    ) -> Result<JobList, StoreError> {
        match from {
            ListFrom::After(id) => {
                let rows = self.read("read", KEY, &[&id.as_str(), &shard]).await?;
                let key: i64 = rows.first().ok_or_else(|| StoreError::NotFound((&id).into()))?.get(0);
                Ok(self.read_page(shard, key, 0, limit).await?.list)
            }
            ListFrom::Skip(skip) => {
                let (offset, key, known_removed) = index.nearest(skip);
                let mut page = self.read_page(shard, key, skip - offset, limit).await?;
                if known_removed.is_some_and(|removed| removed != page.removed) {
                    page = self.read_page(shard, 0, skip, limit).await?;
                }
                if let Some(key) = page.last_key {
                    index.record(page.removed, skip + page.list.jobs.len() as u64, key);
                }
                Ok(page.list)
            }
        }
    }

    async fn read_page(
        &self,
        shard: Option<i16>,
        key: i64,
        skip: u64,
        limit: NonZeroUsize,
    ) -> Result<OffsetPage, StoreError> {
        let (skip, limit) = (signed(skip), i64::try_from(limit.get()).unwrap_or(i64::MAX));
        let sql = if shard.is_some() { OF_SHARD } else { OF_ALL };
        let rows = self.read("read", sql, &[&shard, &key, &skip, &limit]).await?;
        let first = rows.first().ok_or_else(|| corrupt_row("the counts of jobs", "no row"))?;
        let (total, removed) = (unsigned(first.get("total")), first.get("removed"));
        let key = |row: &Row| row.get::<_, Option<i64>>("no");
        let jobs = rows.iter().filter(|row| key(row).is_some()).map(codec::job).collect::<Result<_, _>>()?;
        Ok(OffsetPage { removed, last_key: rows.last().and_then(key), list: JobList { jobs, total } })
    }
}
