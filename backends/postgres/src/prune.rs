//! Pruning, and the check.

use ecs_scheduler_core::{Retention, StoreError};
use tokio_postgres::Error;

use crate::codec::instant;
use crate::error::{fault, is_contention, is_lost};
use crate::pool::{Line, Lines, TRIES};
use crate::schema::{LOCKS, refuse_newer};
use crate::settle::LOCK;

/// How many rows of the journal one statement looks at.
const STRETCH: i64 = 2_000;

/// Looks at a stretch of the journal for what may go: what was last observed before `$3`, is not open, and is not one of the
/// newest `$4` of a job that exists. A row that was born later, but not after `$5`, ends the search: those behind it were born
/// later still.
const LOOK: &str = "\
WITH looked AS MATERIALIZED \
(SELECT seq, job, born, observed, state FROM ecss_journal WHERE seq > $1 ORDER BY seq LIMIT $2), \
old AS MATERIALIZED (SELECT seq, job FROM looked \
WHERE observed < $3 AND coalesce(state NOT IN ('planned', 'launching', 'launched'), true)), \
oldest AS MATERIALIZED (SELECT o.job, CASE WHEN $4::bigint = 0 OR NOT EXISTS (SELECT 1 FROM ecss_jobs b WHERE b.id = o.job) \
THEN 9223372036854775807 ELSE coalesce((SELECT k.seq FROM ecss_journal k WHERE k.job = o.job ORDER BY k.seq DESC \
OFFSET greatest($4::bigint - 1, 0) LIMIT 1), 0) END AS kept FROM (SELECT DISTINCT job FROM old) o) \
SELECT coalesce((SELECT array_agg(o.seq ORDER BY o.seq) FROM old o JOIN oldest f ON f.job = o.job WHERE o.seq < f.kept), \
'{}'), (SELECT max(seq) FROM looked), \
coalesce((SELECT count(*) = $2 AND NOT bool_or(born BETWEEN $3 AND $5) FROM looked), false)";
/// Removes what was found, unless it was changed since: folded into, most likely.
const PRUNE: &str = "DELETE FROM ecss_journal WHERE seq = ANY($1) AND observed < $2 \
AND coalesce(state NOT IN ('planned', 'launching', 'launched'), true)";
const FORGET: &str = "DELETE FROM ecss_registers WHERE name IN \
    (SELECT name FROM ecss_registers WHERE expires < $1 LIMIT $2 FOR UPDATE) AND expires < $1 RETURNING 1";
const CHECK: &str = "UPDATE ecss_layout SET beat = beat + 1 RETURNING version";

/// The rows that were found in a stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stretch {
    /// The rows that may go, ascending.
    old: Vec<i64>,
    /// Where to look next; absent when there is nothing old behind it.
    next: Option<i64>,
}

impl Lines {
    /// Removes at most a batch of history from behind `cursor`, and expired registers; returns how many rows went and
    /// where to begin the next time.
    pub(crate) async fn prune(&self, cursor: i64, retention: Retention) -> Result<(usize, i64), StoreError> {
        let (mut removed, mut next) = (0, Some(cursor));
        while let Some(cursor) = next.filter(|_| removed < retention.batch) {
            let stretch = self.stretch(cursor, &retention, retention.batch - removed).await?;
            if !stretch.old.is_empty() {
                removed += self.delete(&stretch.old, instant(retention.before)).await?;
            }
            next = stretch.next;
        }
        let rest = i64::try_from(retention.batch - removed).unwrap_or(i64::MAX);
        let forgotten = self.write("write to", FORGET, &[&instant(retention.now), &rest]).await?;
        Ok((removed + forgotten.len(), next.unwrap_or(0)))
    }

    /// Looks at what is behind `cursor`, without a lock.
    async fn stretch(&self, cursor: i64, retention: &Retention, room: usize) -> Result<Stretch, StoreError> {
        let keep = i64::try_from(retention.keep).unwrap_or(i64::MAX);
        let (before, now) = (instant(retention.before), instant(retention.now));
        let rows = self.read("read from", LOOK, &[&cursor, &STRETCH, &before, &keep, &now]).await?;
        let row = rows.first().ok_or_else(|| crate::error::corrupt("old history", "no answer"))?;
        let (mut old, last, more): (Vec<i64>, Option<i64>, bool) = (row.get(0), row.get(1), row.get(2));
        let cut = old.len() > room;
        old.truncate(room);
        let next = if cut { old.last().copied() } else { last.filter(|_| more) };
        Ok(Stretch { old, next })
    }

    async fn delete(&self, old: &[i64], before: i64) -> Result<usize, StoreError> {
        let mut left = TRIES;
        loop {
            left -= 1;
            let line = self.take("write to").await?;
            let error = match self.within("write to", delete(&line, old, before)).await? {
                Ok(removed) => {
                    line.done();
                    return Ok(usize::try_from(removed).unwrap_or(usize::MAX));
                }
                Err(error) => error,
            };
            if !is_lost(&error) && line.client().batch_execute("ROLLBACK").await.is_ok() {
                line.done();
            }
            if !is_contention(&error) || left == 0 {
                return Err(fault("write to", self.name(), error));
            }
        }
    }

    /// Writes, and looks whether the layout is still the one that this program knows.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        let rows = self.write("write to", CHECK, &[]).await?;
        let version =
            rows.first().ok_or_else(|| crate::error::corrupt("the number of the layout", "no row"))?;
        refuse_newer(version.get(0), self.name())
    }
}

/// Removes rows under the lock of the journal, so that no settlement folds into a row that goes.
async fn delete(line: &Line, old: &[i64], before: i64) -> Result<u64, Error> {
    let client = line.client();
    let (lock, prune) = (client.prepare_cached(LOCK).await?, client.prepare_cached(PRUNE).await?);
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    client.query(&lock, &[&LOCKS]).await?;
    let removed = client.execute(&prune, &[&old, &before]).await?;
    client.batch_execute("COMMIT").await?;
    Ok(removed)
}
