//! Pruning, and the check.

use ecs_scheduler_core::{Retention, StoreError};
use tokio_postgres::{Error, Row};

use crate::codec::nanos;
use crate::fault::{fault, is_contention, is_lost};
use crate::layout::{LOCKS, refuse_newer};
use crate::line::{Line, Lines, TRIES};
use crate::settle::LOCK;

/// How many rows of the journal one statement looks at.
const STRETCH: i64 = 5_000;

/// Looks at a stretch of the journal and removes what may go: what was last observed before `$3`, and is not open.
/// A row that was born later ends the search: those behind it were born later still.
const PRUNE: &str = "\
WITH looked AS MATERIALIZED (SELECT seq, born FROM ecss_journal WHERE seq > $1 ORDER BY seq LIMIT $2), \
doomed AS MATERIALIZED (SELECT j.seq FROM looked l JOIN ecss_journal j ON j.seq = l.seq WHERE l.born < $3 \
AND j.observed < $3 AND coalesce(j.state NOT IN ('planned', 'launching', 'launched'), true) ORDER BY j.seq LIMIT $4 \
FOR UPDATE OF j), \
gone AS (DELETE FROM ecss_journal j USING doomed d WHERE j.seq = d.seq) \
SELECT (SELECT count(*) FROM doomed), (SELECT max(seq) FROM doomed), (SELECT max(seq) FROM looked), \
coalesce((SELECT count(*) = $2 AND bool_and(born < $3) FROM looked), false)";
const FORGET: &str = "DELETE FROM ecss_registers WHERE name IN \
    (SELECT name FROM ecss_registers WHERE expires < $1 LIMIT $2 FOR UPDATE) AND expires < $1 RETURNING 1";
const CHECK: &str = "UPDATE ecss_layout SET beat = beat + 1 RETURNING version";

/// What came of looking at a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    removed: usize,
    /// Where to look next; absent when there is nothing old behind it.
    next: Option<i64>,
}

impl Lines {
    /// Removes at most a batch of history from behind `cursor`, and expired registers; returns how many rows went and
    /// where to begin the next time.
    pub(crate) async fn prune(&self, cursor: i64, retention: Retention) -> Result<(usize, i64), StoreError> {
        let before = nanos(retention.before)?;
        let (mut removed, mut next) = (0, Some(cursor));
        while let Some(cursor) = next.filter(|_| removed < retention.batch) {
            let stretch = self.stretch(cursor, before, retention.batch - removed).await?;
            removed += stretch.removed;
            next = stretch.next;
        }
        let rest = i64::try_from(retention.batch - removed).unwrap_or(i64::MAX);
        let forgotten = self.write("write to", FORGET, &[&before, &rest]).await?;
        Ok((removed + forgotten.len(), next.unwrap_or(0)))
    }

    async fn stretch(&self, cursor: i64, before: i64, room: usize) -> Result<Stretch, StoreError> {
        let room = i64::try_from(room).unwrap_or(i64::MAX);
        let mut left = TRIES;
        loop {
            left -= 1;
            let line = self.take("write to").await?;
            let error = match self.within("write to", look(&line, cursor, before, room)).await? {
                Ok(row) => {
                    line.done();
                    return Ok(Stretch::of(&row, room));
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
            rows.first().ok_or_else(|| crate::fault::corrupt("the number of the layout", "no row"))?;
        refuse_newer(version.get(0), self.name())
    }
}

impl Stretch {
    fn of(row: &Row, room: i64) -> Self {
        let (doomed, last_doomed, last): (i64, Option<i64>, Option<i64>) =
            (row.get(0), row.get(1), row.get(2));
        let more: bool = row.get(3);
        let next = if doomed == room { last_doomed } else { last.filter(|_| more) };
        Self { removed: usize::try_from(doomed).unwrap_or(0), next }
    }
}

/// Prunes under the lock of the journal, so that no settlement folds into a row that goes.
async fn look(line: &Line, cursor: i64, before: i64, room: i64) -> Result<Row, Error> {
    let client = line.client();
    let (lock, prune) = (client.prepare_cached(LOCK).await?, client.prepare_cached(PRUNE).await?);
    client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    client.query(&lock, &[&LOCKS]).await?;
    let row = client.query_one(&prune, &[&cursor, &STRETCH, &before, &room]).await?;
    client.batch_execute("COMMIT").await?;
    Ok(row)
}
