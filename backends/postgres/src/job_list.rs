//! Lists of jobs, paged by key. A place is found from the nearest one before it that was seen.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use ecs_scheduler_core::{JobList, ListFrom, StoreError};
use parking_lot::Mutex;
use tokio_postgres::Row;

use crate::codec::{self, job_columns, signed, unsigned};
use crate::jobs::missing;
use crate::pool::Lines;

#[cfg(test)]
mod tests;

/// How many places are remembered, each 24 bytes.
const REMEMBERED: usize = 4_096;

/// A page and the counts, in one look. `$1` is the shard or null, `$2` and `$3` are the key and what is left to skip.
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

/// Where a job stands, and that it exists.
const KEY: &str = "SELECT no FROM ecss_jobs WHERE id = $1 AND shard = coalesce($2, shard)";

/// Places in a list that were seen, each with the key of the job before it.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// How many jobs had been removed: with one more, all places behind it move.
    removed: i64,
    keys: BTreeMap<u64, i64>,
}

impl Places {
    /// Returns the nearest place at or before this one, with its key, and the count of removals for which that holds.
    fn before(&self, place: u64) -> (u64, i64, Option<i64>) {
        let seen = self.0.lock();
        let nearest = seen.keys.range(..=place).next_back();
        nearest.map_or((0, 0, None), |(place, key)| (*place, *key, Some(seen.removed)))
    }

    /// Notes that the job before `place` has this key.
    fn note(&self, removed: i64, place: u64, key: i64) {
        let mut seen = self.0.lock();
        if seen.removed > removed {
            return;
        }
        if seen.removed < removed || seen.keys.len() >= REMEMBERED {
            seen.keys.clear();
        }
        seen.removed = removed;
        seen.keys.insert(place, key);
    }
}

/// A page as it was read.
struct Page {
    removed: i64,
    last: Option<i64>,
    list: JobList,
}

impl Lines {
    /// Lists jobs, of one shard where one is given.
    pub(crate) async fn list(
        &self,
        places: &Places,
        shard: Option<i16>,
        from: ListFrom,
        limit: NonZeroUsize,
    ) -> Result<JobList, StoreError> {
        match from {
            ListFrom::After(id) => {
                let rows = self.read("read", KEY, &[&id.as_str(), &shard]).await?;
                let key: i64 = rows.first().ok_or_else(|| missing(&id))?.get(0);
                Ok(self.page(shard, key, 0, limit).await?.list)
            }
            ListFrom::Skip(skip) => {
                let (place, key, seen) = places.before(skip);
                let mut page = self.page(shard, key, skip - place, limit).await?;
                if seen.is_some_and(|removed| removed != page.removed) {
                    page = self.page(shard, 0, skip, limit).await?;
                }
                if let Some(last) = page.last {
                    places.note(page.removed, skip + page.list.jobs.len() as u64, last);
                }
                Ok(page.list)
            }
        }
    }

    async fn page(
        &self,
        shard: Option<i16>,
        key: i64,
        skip: u64,
        limit: NonZeroUsize,
    ) -> Result<Page, StoreError> {
        let (skip, limit) = (signed(skip), i64::try_from(limit.get()).unwrap_or(i64::MAX));
        let sql = if shard.is_some() { OF_SHARD } else { OF_ALL };
        let rows = self.read("read", sql, &[&shard, &key, &skip, &limit]).await?;
        let first = rows.first().ok_or_else(|| crate::error::corrupt("the counts of jobs", "no row"))?;
        let (total, removed) = (unsigned(first.get("total")), first.get("removed"));
        let key = |row: &Row| row.get::<_, Option<i64>>("no");
        let jobs = rows.iter().filter(|row| key(row).is_some()).map(codec::job).collect::<Result<_, _>>()?;
        Ok(Page { removed, last: rows.last().and_then(key), list: JobList { jobs, total } })
    }
}
