//! Reads of decisions and firings. A job's own history is two linked lists: each row names the previous one in `prev`, and each row with a
//! firing the previous one of those in `prev_firing`.

use ecs_scheduler_core::{
    DecisionQuery, DecisionRecord, Firing, FiringQuery, FiringState, JobId, StoreError, TickOutcome,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::codec::{DECISION_COLUMNS, FIRING_COLUMNS, read_decision, read_firing};
use crate::pool::ReadPool;

#[cfg(test)]
mod tests;

/// A linked list of rows of one job, newest first.
struct Chain {
    /// The column that names the previous row.
    link: &'static str,
    /// The column of the job that names the newest row.
    head: &'static str,
    /// The columns that are read.
    columns: &'static str,
    /// The number of these columns.
    width: usize,
}

const DECISIONS: Chain = Chain { link: "prev", head: "head", columns: DECISION_COLUMNS, width: 10 };
const FIRINGS: Chain = Chain { link: "prev_firing", head: "head_firing", columns: FIRING_COLUMNS, width: 6 };

impl ReadPool {
    /// Reads decisions, newest first.
    pub(crate) async fn decisions(&self, query: DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.run(move |connection| {
            let before = query.before.map_or(i64::MAX, |id| i64::try_from(id.0).unwrap_or(i64::MAX));
            match (&query.job, query.outcome) {
                (Some(job), outcome) => DECISIONS.read(connection, job, before, query.limit.get(), |row| {
                    let matches = outcome.is_none_or(|outcome| has_text(row, 3, outcome.as_str()));
                    if matches { read_decision(row).map(Some) } else { Ok(None) }
                }),
                (None, Some(outcome)) => {
                    let mut statement = connection.prepare_cached(&decisions_by_outcome_sql(outcome))?;
                    let values = params![outcome.as_str(), before, query.limit.get()];
                    statement.query_map(values, read_decision)?.collect()
                }
                (None, None) => {
                    let mut statement = connection.prepare_cached(&decisions_sql())?;
                    statement.query_map(params![before, query.limit.get()], read_decision)?.collect()
                }
            }
        })
        .await
    }

    /// Reads firings, newest first.
    pub(crate) async fn firings(&self, query: FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.run(move |connection| {
            let newest = query.before_decision.map_or(i64::MAX, |id| i64::try_from(id.0).unwrap_or(i64::MAX));
            let before = match &query.before {
                None => Some(i64::MAX),
                Some(id) => {
                    let sql = "SELECT seq FROM journal WHERE firing = ?1";
                    connection.prepare_cached(sql)?.query_row([id.as_str()], |row| row.get(0)).optional()?
                }
            };
            let Some(before) = before.map(|before: i64| before.min(newest)) else { return Ok(Vec::new()) };
            match (&query.id, &query.job, query.state) {
                (Some(_), ..) => firing_by_id(connection, &query, before),
                (None, Some(job), state) => FIRINGS.read(connection, job, before, query.limit.get(), |row| {
                    let matches = state.is_none_or(|state| has_text(row, 0, state.as_str()));
                    if matches { read_firing(row).map(Some) } else { Ok(None) }
                }),
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

impl Chain {
    /// Follows the list of a job from the newest row older than `before`, and collects the values that `convert` returns.
    fn read<T>(
        &self,
        connection: &Connection,
        job: &JobId,
        before: i64,
        limit: usize,
        convert: impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
    ) -> rusqlite::Result<Vec<T>> {
        let mut next = self.first_row(connection, job, before)?;
        let mut statement = connection.prepare_cached(&self.row_sql())?;
        let mut values = Vec::new();
        while next > 0 && values.len() < limit {
            let step = statement.query_row([next], |row| {
                let value = if next < before { convert(row)? } else { None };
                Ok((row.get(self.width)?, value))
            });
            // A missing row was pruned, and so were all older rows of the job.
            let Some((previous, value)) = step.optional()? else { break };
            values.extend(value);
            next = previous;
        }
        Ok(values)
    }

    /// Returns the row at which to begin: the one previous to `before` when that is a row of the list, else the job's newest.
    fn first_row(&self, connection: &Connection, job: &JobId, before: i64) -> rusqlite::Result<i64> {
        let mut select = connection.prepare_cached(&self.link_sql())?;
        let previous = select.query_row(params![before, job.as_str()], |row| row.get::<_, Option<i64>>(0));
        if let Some(previous) = previous.optional()?.flatten() {
            return Ok(previous);
        }
        let newest = connection.prepare_cached(&self.head_sql())?.query_row([job.as_str()], |row| row.get(0));
        Ok(newest.optional()?.unwrap_or(0))
    }

    /// The link of a row of a job.
    fn link_sql(&self) -> String {
        format!("SELECT {} FROM journal WHERE seq = ?1 AND job = ?2", self.link)
    }

    /// The newest row of a job, also of one that was removed.
    fn head_sql(&self) -> String {
        let head = self.head;
        format!(
            "SELECT m.{head} FROM jobs j JOIN marks m ON m.no = j.rowid WHERE j.id = ?1 \
             UNION ALL SELECT {head} FROM departed WHERE id = ?1"
        )
    }

    /// A row with its link.
    fn row_sql(&self) -> String {
        format!("SELECT {}, {} FROM journal WHERE seq = ?1", self.columns, self.link)
    }
}

/// The newest decisions of all jobs.
fn decisions_sql() -> String {
    format!("SELECT {DECISION_COLUMNS} FROM journal WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2")
}

/// The newest decisions of all jobs with one outcome.
fn decisions_by_outcome_sql(outcome: TickOutcome) -> String {
    let condition = if outcome == TickOutcome::Pending {
        // Only an open firing has no outcome yet.
        let open: Vec<String> = open_states().map(|state| format!("'{}'", state.as_str())).collect();
        format!("INDEXED BY journal_state WHERE state IN ({})", open.join(", "))
    } else {
        "INDEXED BY journal_outcome WHERE outcome <> 'pending'".to_owned()
    };
    format!(
        "SELECT {DECISION_COLUMNS} FROM journal {condition} AND outcome = ?1 AND seq < ?2 \
         ORDER BY seq DESC LIMIT ?3"
    )
}

fn firing_by_id_sql() -> String {
    format!(
        "SELECT {FIRING_COLUMNS} FROM journal WHERE firing = ?1 AND seq < ?2 AND job = coalesce(?3, job) \
         AND state = coalesce(?4, state)"
    )
}

fn firing_by_id(connection: &Connection, query: &FiringQuery, before: i64) -> rusqlite::Result<Vec<Firing>> {
    let id = query.id.as_ref().map(|id| id.as_str());
    let job = query.job.as_ref().map(JobId::as_str);
    let values = params![id, before, job, query.state.map(FiringState::as_str)];
    connection.prepare_cached(&firing_by_id_sql())?.query_map(values, read_firing)?.collect()
}

/// Merges the newest firings of each state: the index by state lists the firings of one state in order.
fn firings_by_states_sql(states: &[FiringState]) -> String {
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
    format!(
        "SELECT {FIRING_COLUMNS} FROM journal WHERE seq IN (SELECT seq FROM ({}) ORDER BY seq DESC LIMIT ?2) \
         ORDER BY seq DESC",
        selects.join(" UNION ALL ")
    )
}

fn firings_by_states(
    connection: &Connection,
    states: &[FiringState],
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Firing>> {
    let sql = firings_by_states_sql(states);
    connection.prepare_cached(&sql)?.query_map(params![before, limit], read_firing)?.collect()
}
