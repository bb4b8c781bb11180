//! Reads of decisions and firings. A job's own history is a linked list: each row names the previous one in `prev`.

use ecs_scheduler_core::{
    DecisionQuery, DecisionRecord, Firing, FiringQuery, FiringState, JobId, StoreError, TickOutcome,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::codec::{DECISION_COLUMNS, FIRING_COLUMNS, read_decision, read_firing, read_firing_from};
use crate::pool::ReadPool;

/// The column of a row of [`read_job_history`] at which its firing begins: the state, which is NULL without a firing.
const FIRING_START: usize = 11;

impl ReadPool {
    /// Reads decisions, newest first.
    pub(crate) async fn decisions(&self, query: DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.run(move |connection| {
            let before = query.before.map_or(i64::MAX, |id| i64::try_from(id.0).unwrap_or(i64::MAX));
            match (&query.job, query.outcome) {
                (Some(job), outcome) => read_job_history(connection, job, before, query.limit.get(), |row| {
                    let matches = outcome.is_none_or(|outcome| has_text(row, 3, outcome.as_str()));
                    if matches { read_decision(row).map(Some) } else { Ok(None) }
                }),
                (None, Some(outcome)) => decisions_by_outcome(connection, outcome, before, query.limit.get()),
                (None, None) => {
                    let sql = format!(
                        "SELECT {DECISION_COLUMNS} FROM journal WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2"
                    );
                    let mut statement = connection.prepare_cached(&sql)?;
                    statement.query_map(params![before, query.limit.get()], read_decision)?.collect()
                }
            }
        })
        .await
    }

    /// Reads firings, newest first.
    pub(crate) async fn firings(&self, query: FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.run(move |connection| {
            let before = match &query.before {
                None => Some(i64::MAX),
                Some(id) => {
                    let sql = "SELECT seq FROM journal WHERE firing = ?1";
                    connection.prepare_cached(sql)?.query_row([id.as_str()], |row| row.get(0)).optional()?
                }
            };
            let Some(before) = before else { return Ok(Vec::new()) };
            match (&query.id, &query.job, query.state) {
                (Some(_), ..) => firing_by_id(connection, &query, before),
                (None, Some(job), state) => {
                    read_job_history(connection, job, before, query.limit.get(), |row| {
                        let has_firing = row.get_ref(FIRING_START)? != ValueRef::Null;
                        let matches = has_firing
                            && state.is_none_or(|state| has_text(row, FIRING_START, state.as_str()));
                        if matches { read_firing_from(row, FIRING_START).map(Some) } else { Ok(None) }
                    })
                }
                (None, None, Some(state)) => {
                    firings_by_states(connection, &[state], before, query.limit.get())
                }
                (None, None, None) => {
                    firings_by_states(connection, &FiringState::ALL, before, query.limit.get())
                }
            }
        })
        .await
    }

    /// Reads every open firing, oldest first.
    pub(crate) async fn open_firings(&self) -> Result<Vec<Firing>, StoreError> {
        self.run(|connection| {
            let open: Vec<FiringState> = open_states().collect();
            let mut firings = firings_by_states(connection, &open, i64::MAX, usize::MAX >> 1)?;
            firings.reverse();
            Ok(firings)
        })
        .await
    }
}

/// Returns the states of firings that are not finished.
pub(crate) fn open_states() -> impl Iterator<Item = FiringState> {
    FiringState::ALL.into_iter().filter(|state| state.is_open())
}

/// Tells whether a column holds this text.
pub(crate) fn has_text(row: &Row<'_>, column: usize, text: &str) -> bool {
    row.get_ref(column).is_ok_and(|value| value.as_str() == Ok(text))
}

/// Follows a job's rows from the newest one older than `before`, and collects the values that `convert` returns.
fn read_job_history<T>(
    connection: &Connection,
    job: &JobId,
    before: i64,
    limit: usize,
    convert: impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> rusqlite::Result<Vec<T>> {
    let mut next = first_row(connection, job, before)?;
    let sql = format!("SELECT {DECISION_COLUMNS}, {FIRING_COLUMNS} FROM journal WHERE seq = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut values = Vec::new();
    while next > 0 && values.len() < limit {
        let step = statement.query_row([next], |row| {
            let seq: i64 = row.get(0)?;
            let value = if seq < before { convert(row)? } else { None };
            Ok((row.get(10)?, value))
        });
        // A missing row was pruned, and so were all older rows of the job.
        let Some((prev, value)) = step.optional()? else { break };
        values.extend(value);
        next = prev;
    }
    Ok(values)
}

/// Returns the row at which to begin: the one previous to `before` when that is a row of the job, else the job's newest.
fn first_row(connection: &Connection, job: &JobId, before: i64) -> rusqlite::Result<i64> {
    let sql = "SELECT prev FROM journal WHERE seq = ?1 AND job = ?2";
    let prev = connection.prepare_cached(sql)?.query_row(params![before, job.as_str()], |row| row.get(0));
    if let Some(prev) = prev.optional()? {
        return Ok(prev);
    }
    let sql = "SELECT m.head FROM jobs j JOIN marks m ON m.no = j.rowid WHERE j.id = ?1 \
         UNION ALL SELECT head FROM departed WHERE id = ?1";
    let head = connection.prepare_cached(sql)?.query_row([job.as_str()], |row| row.get(0)).optional()?;
    Ok(head.unwrap_or(0))
}

fn decisions_by_outcome(
    connection: &Connection,
    outcome: TickOutcome,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<DecisionRecord>> {
    let condition = if outcome == TickOutcome::Pending {
        // Only an open firing has no outcome yet.
        let open: Vec<String> = open_states().map(|state| format!("'{}'", state.as_str())).collect();
        format!("INDEXED BY journal_state WHERE state IN ({})", open.join(", "))
    } else {
        "INDEXED BY journal_outcome WHERE outcome <> 'pending'".to_owned()
    };
    let sql = format!(
        "SELECT {DECISION_COLUMNS} FROM journal {condition} AND outcome = ?1 AND seq < ?2 \
         ORDER BY seq DESC LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params![outcome.as_str(), before, limit], read_decision)?.collect()
}

fn firing_by_id(connection: &Connection, query: &FiringQuery, before: i64) -> rusqlite::Result<Vec<Firing>> {
    let sql = format!(
        "SELECT {FIRING_COLUMNS} FROM journal WHERE firing = ?1 AND seq < ?2 AND job = coalesce(?3, job) \
         AND state = coalesce(?4, state)"
    );
    let id = query.id.as_ref().map(|id| id.as_str());
    let job = query.job.as_ref().map(JobId::as_str);
    let values = params![id, before, job, query.state.map(FiringState::as_str)];
    connection.prepare_cached(&sql)?.query_map(values, read_firing)?.collect()
}

/// Merges the newest firings of each state: the index by state lists the firings of one state in order.
fn firings_by_states(
    connection: &Connection,
    states: &[FiringState],
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Firing>> {
    let selects: Vec<String> = states
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
        "SELECT {FIRING_COLUMNS} FROM journal WHERE seq IN (SELECT seq FROM ({}) ORDER BY seq DESC LIMIT ?2) \
         ORDER BY seq DESC",
        selects.join(" UNION ALL ")
    );
    connection.prepare_cached(&sql)?.query_map(params![before, limit], read_firing)?.collect()
}
