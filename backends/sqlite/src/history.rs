//! Reading the journal. A job's own history is a chain: each row names the one before it.

use std::collections::{HashMap, HashSet};

use ecs_scheduler_core::{
    DecisionQuery, DecisionRecord, Firing, FiringQuery, FiringState, JobId, Outcome, Retention, StoreError,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::codec::{self, DECISION, FIRING};
use crate::pool::Readers;

/// The column of a walk along a [`chain`] at which its firing begins: its state, which no row without a firing has.
const OF_CHAIN: usize = 11;

/// Rows that one search for old decisions looks at, so that it does not keep a reader for long.
const LOOKED: usize = 2_000;
/// Jobs whose newest decisions one search counts.
const COUNTED: usize = 200;

/// Decisions that may be pruned.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// Their ids, ascending.
    pub(crate) seqs: Vec<u64>,
    /// Where to go on, when there may be more.
    pub(crate) next: Option<u64>,
}

impl Readers {
    /// Reads decisions, newest first.
    pub(crate) async fn decisions(&self, query: DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.call(move |connection| {
            let before = query.before.map_or(i64::MAX, |id| i64::try_from(id.0).unwrap_or(i64::MAX));
            match (&query.job, query.outcome) {
                (Some(job), outcome) => chain(connection, job, before, query.limit.get(), |row| {
                    let wanted = outcome.is_none_or(|outcome| is(row, 3, outcome.as_str()));
                    if wanted { codec::decision(row).map(Some) } else { Ok(None) }
                }),
                (None, Some(outcome)) => decisions_of_outcome(connection, outcome, before, query.limit.get()),
                (None, None) => {
                    let sql =
                        format!("SELECT {DECISION} FROM journal WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2");
                    let mut statement = connection.prepare_cached(&sql)?;
                    statement.query_map(params![before, query.limit.get()], codec::decision)?.collect()
                }
            }
        })
        .await
    }

    /// Reads firings, newest first.
    pub(crate) async fn firings(&self, query: FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.call(move |connection| {
            let before = match &query.before {
                None => Some(i64::MAX),
                Some(id) => {
                    let sql = "SELECT seq FROM journal WHERE firing = ?1";
                    connection.prepare_cached(sql)?.query_row([id.as_str()], |row| row.get(0)).optional()?
                }
            };
            let Some(before) = before else { return Ok(Vec::new()) };
            match (&query.id, &query.job, query.state) {
                (Some(_), ..) => firing_of_name(connection, &query, before),
                (None, Some(job), state) => chain(connection, job, before, query.limit.get(), |row| {
                    let fired = row.get_ref(OF_CHAIN)? != rusqlite::types::ValueRef::Null;
                    let wanted = fired && state.is_none_or(|state| is(row, OF_CHAIN, state.as_str()));
                    if wanted { codec::firing_from(row, OF_CHAIN).map(Some) } else { Ok(None) }
                }),
                (None, None, Some(state)) => {
                    firings_of_states(connection, &[state], before, query.limit.get())
                }
                (None, None, None) => {
                    firings_of_states(connection, &FiringState::ALL, before, query.limit.get())
                }
            }
        })
        .await
    }

    /// Reads every open firing, oldest first.
    pub(crate) async fn unfinished(&self) -> Result<Vec<Firing>, StoreError> {
        self.call(|connection| {
            let open: Vec<FiringState> = open_states().collect();
            let mut firings = firings_of_states(connection, &open, i64::MAX, usize::MAX >> 1)?;
            firings.reverse();
            Ok(firings)
        })
        .await
    }

    /// Looks at a stretch of decisions behind `cursor` for those that may go: old ones, none of which cuts off a younger one of
    /// its job, nor is one of its job's newest.
    ///
    /// A row that was born after that moment ends the search: those behind it were born later still.
    pub(crate) async fn candidates(
        &self,
        cursor: u64,
        retention: Retention,
    ) -> Result<Candidates, StoreError> {
        self.call(move |connection| candidates(connection, cursor, retention)).await
    }
}

fn candidates(connection: &Connection, cursor: u64, retention: Retention) -> rusqlite::Result<Candidates> {
    let (before, now) = (codec::instant(retention.before), codec::instant(retention.now));
    let sql =
        "SELECT seq, observed, born, state, job, prev FROM journal WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut exists = connection.prepare_cached("SELECT 1 FROM journal WHERE seq = ?1")?;
    let mut rows = statement.query(params![cursor, LOOKED])?;
    let (mut found, mut going, mut kept) = (Candidates::default(), HashSet::new(), HashMap::new());
    let (mut looked, mut last, mut newest_old) = (0, cursor, None);
    while let Some(row) = rows.next()? {
        if (before..=now).contains(&row.get::<_, i64>(2)?) {
            return Ok(found);
        }
        if found.seqs.len() == retention.batch || kept.len() == COUNTED {
            found.next = Some(last);
            return Ok(found);
        }
        looked += 1;
        last = row.get(0)?;
        let open = open_states().any(|state| is(row, 3, state.as_str()));
        let (observed, prev): (i64, u64) = (row.get(1)?, row.get(5)?);
        // A decision of the future was made by a wrong clock if one that was made after it is old; else this clock may be wrong.
        let old = observed < before
            || (observed > now.saturating_add(codec::DAY) && {
                if newest_old.is_none() {
                    newest_old = Some(newest_before(connection, before)?);
                }
                newest_old.is_some_and(|newest| last < newest)
            });
        if open || !old || (!going.contains(&prev) && exists.exists([prev])?) {
            continue;
        }
        let job: String = row.get(4)?;
        let oldest = match kept.get(&job) {
            Some(oldest) => *oldest,
            None => *kept.entry(job.clone()).or_insert(oldest_kept(connection, &job, retention.keep)?),
        };
        if last < oldest {
            going.insert(last);
            found.seqs.push(last);
        }
    }
    found.next = (looked == LOOKED).then_some(last);
    Ok(found)
}

/// Returns the newest decision that was made before a moment; 0 when there is none.
fn newest_before(connection: &Connection, before: i64) -> rusqlite::Result<u64> {
    let sql = "SELECT coalesce(max(seq), 0) FROM journal WHERE born < ?1";
    connection.prepare_cached(sql)?.query_row([before], |row| row.get(0))
}

/// Returns the oldest of the newest `keep` decisions of a job; of a job that was removed none is kept.
fn oldest_kept(connection: &Connection, job: &str, keep: usize) -> rusqlite::Result<u64> {
    let sql = "SELECT m.head FROM jobs j JOIN marks m ON m.no = j.rowid WHERE j.id = ?1";
    let head: Option<u64> = connection.prepare_cached(sql)?.query_row([job], |row| row.get(0)).optional()?;
    let Some(mut seq) = head.filter(|_| keep > 0) else { return Ok(u64::MAX) };
    let mut step = connection.prepare_cached("SELECT prev FROM journal WHERE seq = ?1")?;
    for _ in 1..keep {
        // Fewer than that are left.
        let Some(prev) = step.query_row([seq], |row| row.get(0)).optional()? else { return Ok(0) };
        seq = prev;
    }
    Ok(seq)
}

fn open_states() -> impl Iterator<Item = FiringState> {
    FiringState::ALL.into_iter().filter(|state| state.is_open())
}

fn is(row: &Row<'_>, column: usize, text: &str) -> bool {
    row.get_ref(column).is_ok_and(|value| value.as_str() == Ok(text))
}

/// Walks a job's rows, newest first, from behind `before`, and collects what `pick` makes of them.
fn chain<T>(
    connection: &Connection,
    job: &JobId,
    before: i64,
    limit: usize,
    pick: impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> rusqlite::Result<Vec<T>> {
    let mut next = start(connection, job, before)?;
    let sql = format!("SELECT {DECISION}, {FIRING} FROM journal WHERE seq = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut picked = Vec::new();
    while next > 0 && picked.len() < limit {
        let step = statement.query_row([next], |row| {
            let seq: i64 = row.get(0)?;
            let one = if seq < before { pick(row)? } else { None };
            Ok((row.get(10)?, one))
        });
        // A row that is missing was pruned, and all behind it.
        let Some((prev, one)) = step.optional()? else { break };
        picked.extend(one);
        next = prev;
    }
    Ok(picked)
}

/// Finds the row at which a walk begins: the one before `before` when that is a row of the job, else the newest.
fn start(connection: &Connection, job: &JobId, before: i64) -> rusqlite::Result<i64> {
    let sql = "SELECT prev FROM journal WHERE seq = ?1 AND job = ?2";
    let behind = connection.prepare_cached(sql)?.query_row(params![before, job.as_str()], |row| row.get(0));
    if let Some(behind) = behind.optional()? {
        return Ok(behind);
    }
    let sql = "SELECT m.head FROM jobs j JOIN marks m ON m.no = j.rowid WHERE j.id = ?1 \
         UNION ALL SELECT head FROM departed WHERE id = ?1";
    let head = connection.prepare_cached(sql)?.query_row([job.as_str()], |row| row.get(0)).optional()?;
    Ok(head.unwrap_or(0))
}

fn decisions_of_outcome(
    connection: &Connection,
    outcome: Outcome,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<DecisionRecord>> {
    let found = if outcome == Outcome::Pending {
        // Only a firing that is open has no outcome yet.
        let open: Vec<String> = open_states().map(|state| format!("'{}'", state.as_str())).collect();
        format!("INDEXED BY journal_state WHERE state IN ({})", open.join(", "))
    } else {
        "INDEXED BY journal_outcome WHERE outcome <> 'pending'".to_owned()
    };
    let sql = format!(
        "SELECT {DECISION} FROM journal {found} AND outcome = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params![outcome.as_str(), before, limit], codec::decision)?.collect()
}

fn firing_of_name(
    connection: &Connection,
    query: &FiringQuery,
    before: i64,
) -> rusqlite::Result<Vec<Firing>> {
    let sql = format!(
        "SELECT {FIRING} FROM journal WHERE firing = ?1 AND seq < ?2 AND job = coalesce(?3, job) \
         AND state = coalesce(?4, state)"
    );
    let id = query.id.as_ref().map(|id| id.as_str());
    let job = query.job.as_ref().map(JobId::as_str);
    let values = params![id, before, job, query.state.map(FiringState::as_str)];
    connection.prepare_cached(&sql)?.query_map(values, codec::firing)?.collect()
}

/// Merges the newest firings of each state: the index by state has them in the order of their decisions.
fn firings_of_states(
    connection: &Connection,
    states: &[FiringState],
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Firing>> {
    let of_each: Vec<String> = states
        .iter()
        .map(|state| {
            let state = state.as_str();
            format!(
                "SELECT * FROM (SELECT seq FROM journal INDEXED BY journal_state WHERE state = '{state}' \
                 AND seq < ?1 ORDER BY seq DESC LIMIT ?2)"
            )
        })
        .collect();
    let sql = format!(
        "SELECT {FIRING} FROM journal WHERE seq IN (SELECT seq FROM ({}) ORDER BY seq DESC LIMIT ?2) \
         ORDER BY seq DESC",
        of_each.join(" UNION ALL ")
    );
    connection.prepare_cached(&sql)?.query_map(params![before, limit], codec::firing)?.collect()
}
