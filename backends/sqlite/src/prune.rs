//! Removal of old history: a search in a read connection for decisions that may go, and their removal in the writer.

use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::store::encoding::to_nanos_saturating;
use ecs_scheduler_core::{JobId, Retention, StoreError};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::TxError;
use crate::history::{has_text, open_states};
use crate::pool::ReadPool;
use crate::writer_conn::WriterConn;

/// A day in nanoseconds, the unit of stored timestamps.
const DAY: i64 = 24 * 3_600 * 1_000_000_000;
/// Maximum number of rows that one search reads, so that it does not block a read connection for long.
const MAX_ROWS_PER_SEARCH: usize = 2_000;
/// Maximum number of jobs whose newest decisions one search counts.
const MAX_JOBS_PER_SEARCH: usize = 200;

/// Removes a row only when it is old, not open, and the oldest of its job's history, so that no newer row loses its
/// link to the job.
const DELETE: &str = "DELETE FROM journal WHERE seq = ?1 AND (observed < ?2 OR observed > ?3) \
     AND (state IS NULL OR state NOT IN ('planned', 'launching', 'launched')) \
     AND NOT EXISTS (SELECT 1 FROM journal older WHERE older.seq = journal.prev)";

/// Decisions that may be pruned.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// Their ids, ascending.
    pub(crate) seqs: Vec<u64>,
    /// The cursor of the next search, when there may be more.
    pub(crate) next: Option<u64>,
}

impl WriterConn {
    /// Removes the candidates that may still go, which are in ascending order, and expired registers; returns the number
    /// of removed rows.
    pub(crate) fn prune(&mut self, candidates: &[u64], retention: &Retention) -> Result<usize, TxError> {
        let removed = self.prune_rows(candidates, retention)?;
        let sql =
            "DELETE FROM registers WHERE name IN (SELECT name FROM registers WHERE expires < ?1 LIMIT ?2)";
        let (now, rest) = (to_nanos_saturating(retention.now), retention.batch.saturating_sub(removed));
        Ok(removed + self.connection.prepare_cached(sql)?.execute(params![now, rest])?)
    }

    /// Removes the candidates that may still go, which are in ascending order; returns their number.
    pub(crate) fn prune_rows(&mut self, candidates: &[u64], retention: &Retention) -> Result<usize, TxError> {
        let (before, now) = (to_nanos_saturating(retention.before), to_nanos_saturating(retention.now));
        let connection = &self.connection;
        let mut removed = 0;
        {
            let mut delete = connection.prepare_cached(DELETE)?;
            for seq in candidates {
                removed += delete.execute(params![seq, before, now.saturating_add(DAY)])?;
            }
        }
        if let Some(newest) = candidates.last().filter(|_| removed > 0) {
            connection.prepare_cached("UPDATE keeper SET pruned = max(pruned, ?1)")?.execute([newest])?;
            let sql = "DELETE FROM departed WHERE NOT EXISTS (SELECT 1 FROM journal WHERE seq = head)";
            connection.prepare_cached(sql)?.execute([])?;
        }
        Ok(removed)
    }
}

impl ReadPool {
    /// Searches the decisions after `cursor` for those that may be pruned: old ones that are not among the newest of
    /// their job, and whose removal does not cut off newer ones.
    ///
    /// A row that was recorded after the retention limit ends the search: later rows were recorded later still.
    pub(crate) async fn prune_candidates(
        &self,
        cursor: u64,
        retention: Retention,
    ) -> Result<Candidates, StoreError> {
        self.run(move |connection| find_candidates(connection, cursor, &retention)).await
    }

    /// Searches the decisions of an existing job for those that may be pruned, oldest first.
    pub(crate) async fn prune_candidates_of(
        &self,
        job: JobId,
        retention: Retention,
    ) -> Result<Vec<u64>, StoreError> {
        self.run(move |connection| find_candidates_of(connection, &job, &retention)).await
    }
}

fn find_candidates(
    connection: &Connection,
    cursor: u64,
    retention: &Retention,
) -> rusqlite::Result<Candidates> {
    let (before, now) = (to_nanos_saturating(retention.before), to_nanos_saturating(retention.now));
    let sql =
        "SELECT seq, observed, born, state, job, prev FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut exists = connection.prepare_cached("SELECT 1 FROM journal WHERE seq = ?1")?;
    let mut rows = statement.query(params![cursor, MAX_ROWS_PER_SEARCH])?;
    let (mut found, mut removable, mut oldest_by_job) =
        (Candidates::default(), HashSet::new(), HashMap::new());
    let (mut row_count, mut last, mut newest_old) = (0, cursor, None);
    while let Some(row) = rows.next()? {
        if (before..=now).contains(&row.get::<_, i64>(2)?) {
            return Ok(found);
        }
        if found.seqs.len() == retention.batch || oldest_by_job.len() == MAX_JOBS_PER_SEARCH {
            found.next = Some(last);
            return Ok(found);
        }
        row_count += 1;
        last = row.get(0)?;
        let open = open_states().any(|state| has_text(row, 3, state.as_str()));
        let (observed, prev): (i64, u64) = (row.get(1)?, row.get(5)?);
        // A decision dated into the future was made by a wrong clock if a later decision is old. Otherwise this
        // process's clock may be wrong.
        let old = observed < before
            || (observed > now.saturating_add(DAY) && {
                if newest_old.is_none() {
                    newest_old = Some(newest_before(connection, before)?);
                }
                newest_old.is_some_and(|newest| last < newest)
            });
        if open || !old || (!removable.contains(&prev) && exists.exists([prev])?) {
            continue;
        }
        let job: String = row.get(4)?;
        if !JobId::new(&job).is_ok_and(|job| retention.jobs.contains(&job)) {
            continue;
        }
        let oldest = match oldest_by_job.get(&job) {
            Some(oldest) => *oldest,
            None => {
                *oldest_by_job.entry(job.clone()).or_insert(oldest_kept(connection, &job, retention.keep)?)
            }
        };
        if last < oldest {
            removable.insert(last);
            found.seqs.push(last);
        }
    }
    found.next = (row_count == MAX_ROWS_PER_SEARCH).then_some(last);
    Ok(found)
}

/// Follows a job's rows from the newest one. An open firing, and a decision that is not old, keep all later rows.
fn find_candidates_of(
    connection: &Connection,
    job: &JobId,
    retention: &Retention,
) -> rusqlite::Result<Vec<u64>> {
    let (before, now) = (to_nanos_saturating(retention.before), to_nanos_saturating(retention.now));
    let mut next = head_of(connection, job.as_str())?.unwrap_or(0);
    let mut select = connection.prepare_cached("SELECT prev, observed, state FROM journal WHERE seq = ?1")?;
    // The rows, newest first: whether each is old, and whether it may be removed before an old one.
    let mut rows: Vec<(u64, bool, bool)> = Vec::new();
    for index in 0.. {
        let step = select.query_row([next], |row| {
            let open = open_states().any(|state| has_text(row, 2, state.as_str()));
            let observed: i64 = row.get(1)?;
            Ok((row.get(0)?, observed < before && !open, observed > now.saturating_add(DAY) && !open))
        });
        // A missing row was pruned, and so were all older rows of the job.
        let Some((prev, old, of_future)) = step.optional()? else { break };
        if index >= retention.keep {
            rows.push((next, old, old || of_future));
        }
        next = prev;
    }
    let removable = rows.iter().rev().take_while(|(.., removable)| *removable).take(retention.batch);
    let mut removable: Vec<_> = removable.collect();
    // A decision dated into the future was made by a wrong clock only if a later decision is old.
    while removable.pop_if(|(_, old, _)| !*old).is_some() {}
    Ok(removable.into_iter().map(|(seq, ..)| *seq).collect())
}

/// Returns the newest decision that was recorded before a time; 0 when there is none.
fn newest_before(connection: &Connection, before: i64) -> rusqlite::Result<u64> {
    let sql = "SELECT coalesce(max(seq), 0) FROM journal WHERE born < ?1";
    connection.prepare_cached(sql)?.query_row([before], |row| row.get(0))
}

/// Returns the oldest of the newest `keep` decisions of a job; no decision of a removed job is kept.
fn oldest_kept(connection: &Connection, job: &str, keep: usize) -> rusqlite::Result<u64> {
    let head = head_of(connection, job)?;
    let Some(mut seq) = head.filter(|_| keep > 0) else { return Ok(u64::MAX) };
    let mut select = connection.prepare_cached("SELECT prev FROM journal WHERE seq = ?1")?;
    for _ in 1..keep {
        // Fewer than `keep` decisions are left.
        let Some(prev) = select.query_row([seq], |row| row.get(0)).optional()? else { return Ok(0) };
        seq = prev;
    }
    Ok(seq)
}

/// Returns the newest decision of an existing job; 0 when it has none.
fn head_of(connection: &Connection, job: &str) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT m.head FROM jobs j JOIN marks m ON m.no = j.rowid WHERE j.id = ?1";
    connection.prepare_cached(sql)?.query_row([job], |row| row.get(0)).optional()
}
