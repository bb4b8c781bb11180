//! Pruning: removes old history and expired registers.

use ecs_scheduler_core::store::encoding::to_nanos_saturating;
use ecs_scheduler_core::{JobId, PrunedJobs, Retention, StoreError};
use tokio_postgres::Error;

use crate::error::corrupt_row;
use crate::pool::{MAX_ATTEMPTS, Param, Pool, PooledConn};
use crate::schema::LOCK_NAMESPACE;
use crate::settle::LOCK_JOURNAL;

/// How many rows of the journal one statement scans.
const SCAN_BATCH: i64 = 2_000;

/// Scans a part of the journal for expired rows: last observed before `$3`, not open, not of one of the jobs `$6`, and not among the
/// newest `$4` of a job that exists. A row that was born later than `$3`, but not after `$5`, ends the scan: the rows behind it were
/// born later still.
const FIND_EXPIRED: &str = "\
WITH looked AS MATERIALIZED \
(SELECT seq, job, born, observed, state FROM ecss_journal WHERE seq > $1 ORDER BY seq LIMIT $2), \
old AS MATERIALIZED (SELECT seq, job FROM looked \
WHERE observed < $3 AND NOT job = ANY($6::text[]) \
AND coalesce(state NOT IN ('planned', 'launching', 'launched'), true)), \
oldest AS MATERIALIZED (SELECT o.job, CASE WHEN $4::bigint = 0 OR NOT EXISTS (SELECT 1 FROM ecss_jobs b WHERE b.id = o.job) \
THEN 9223372036854775807 ELSE coalesce((SELECT k.seq FROM ecss_journal k WHERE k.job = o.job ORDER BY k.seq DESC \
OFFSET greatest($4::bigint - 1, 0) LIMIT 1), 0) END AS kept FROM (SELECT DISTINCT job FROM old) o) \
SELECT coalesce((SELECT array_agg(o.seq ORDER BY o.seq) FROM old o JOIN oldest f ON f.job = o.job WHERE o.seq < f.kept), \
'{}'), (SELECT max(seq) FROM looked), \
coalesce((SELECT count(*) = $2 AND NOT bool_or(born BETWEEN $3 AND $5) FROM looked), false)";
/// Finds the oldest `$4` expired rows of a job that exists: last observed before `$2`, not open, and not among the newest `$3`.
const FIND_EXPIRED_OF_JOB: &str = "\
SELECT seq FROM ecss_journal WHERE job = $1 AND observed < $2 \
AND coalesce(state NOT IN ('planned', 'launching', 'launched'), true) \
AND EXISTS (SELECT 1 FROM ecss_jobs WHERE id = $1) \
AND seq < CASE WHEN $3::bigint = 0 THEN 9223372036854775807 ELSE coalesce((SELECT k.seq FROM ecss_journal k \
WHERE k.job = $1 ORDER BY k.seq DESC OFFSET greatest($3::bigint - 1, 0) LIMIT 1), 0) END ORDER BY seq LIMIT $4";
/// Deletes expired rows that were not changed since the scan, as by a decision that folded into them.
const DELETE_EXPIRED: &str = "DELETE FROM ecss_journal WHERE seq = ANY($1) AND observed < $2 \
AND coalesce(state NOT IN ('planned', 'launching', 'launched'), true)";
const DELETE_EXPIRED_REGISTERS: &str = "DELETE FROM ecss_registers WHERE name IN \
    (SELECT name FROM ecss_registers WHERE expires < $1 LIMIT $2 FOR UPDATE) AND expires < $1 RETURNING 1";
/// The result of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ExpiredScan {
    /// The expired rows, ascending.
    expired: Vec<i64>,
    /// The start of the next scan; absent if nothing after it is expired.
    next: Option<i64>,
}

impl Pool {
    /// Removes at most a batch of history behind `cursor`, and expired registers. Returns how many rows were removed
    /// and the next cursor.
    pub(crate) async fn prune(&self, cursor: i64, retention: &Retention) -> Result<(usize, i64), StoreError> {
        let (mut removed, mut next) = (0, Some(cursor));
        while let Some(cursor) = next.filter(|_| removed < retention.batch) {
            let scan = self.find_expired(cursor, retention, retention.batch - removed).await?;
            if !scan.expired.is_empty() {
                removed += self.delete_rows(&scan.expired, to_nanos_saturating(retention.before)).await?;
            }
            next = scan.next;
        }
        let rest = signed_count(retention.batch - removed);
        let params: [Param<'_>; 2] = [&to_nanos_saturating(retention.now), &rest];
        let registers = self.write("write to", DELETE_EXPIRED_REGISTERS, &params).await?;
        Ok((removed + registers.len(), next.unwrap_or(0)))
    }

    /// Removes at most a batch of the history of a job that exists, and returns how many rows were removed.
    pub(crate) async fn prune_job(&self, job: &JobId, retention: &Retention) -> Result<usize, StoreError> {
        let before = to_nanos_saturating(retention.before);
        let (keep, limit) = (signed_count(retention.keep), signed_count(retention.batch));
        let params: [Param<'_>; 4] = [&job.as_str(), &before, &keep, &limit];
        let rows = self.read("read from", FIND_EXPIRED_OF_JOB, &params).await?;
        let expired: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        if expired.is_empty() { Ok(0) } else { self.delete_rows(&expired, before).await }
    }

    /// Scans the rows behind `cursor`, without a lock.
    async fn find_expired(
        &self,
        cursor: i64,
        retention: &Retention,
        limit: usize,
    ) -> Result<ExpiredScan, StoreError> {
        let keep = signed_count(retention.keep);
        let ruled: Vec<&str> = match &retention.jobs {
            PrunedJobs::AllBut(others) => others.iter().map(JobId::as_str).collect(),
            PrunedJobs::All | PrunedJobs::Only(_) => Vec::new(),
        };
        let (before, now) = (to_nanos_saturating(retention.before), to_nanos_saturating(retention.now));
        let params: [Param<'_>; 6] = [&cursor, &SCAN_BATCH, &before, &keep, &now, &ruled];
        let rows = self.read("read from", FIND_EXPIRED, &params).await?;
        let row = rows.first().ok_or_else(|| corrupt_row("old history", "no row"))?;
        let (mut expired, last, more): (Vec<i64>, Option<i64>, bool) = (row.get(0), row.get(1), row.get(2));
        let is_cut = expired.len() > limit;
        expired.truncate(limit);
        let next = if is_cut { expired.last().copied() } else { last.filter(|_| more) };
        Ok(ExpiredScan { expired, next })
    }

    async fn delete_rows(&self, expired: &[i64], before: i64) -> Result<usize, StoreError> {
        let mut left = MAX_ATTEMPTS;
        loop {
            left -= 1;
            let conn = self.acquire("write to").await?;
            let error = match self.with_timeout("write to", run_delete(&conn, expired, before)).await? {
                Ok(removed) => {
                    conn.mark_clean();
                    return Ok(usize::try_from(removed).unwrap_or(usize::MAX));
                }
                Err(error) => error,
            };
            self.roll_back(conn, error, left).await?;
        }
    }
}

/// Encodes a count; one out of range becomes the greatest value.
fn signed_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Deletes rows under the lock of the journal, so that no settlement folds into a row that is deleted.
async fn run_delete(conn: &PooledConn, expired: &[i64], before: i64) -> Result<u64, Error> {
    let client = conn.client();
    let lock = client.prepare_cached(LOCK_JOURNAL).await?;
    let delete = client.prepare_cached(DELETE_EXPIRED).await?;
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    client.query(&lock, &[&LOCK_NAMESPACE]).await?;
    let removed = client.execute(&delete, &[&expired, &before]).await?;
    client.batch_execute("COMMIT").await?;
    Ok(removed)
}
