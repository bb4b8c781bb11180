//! Reading jobs and registers.

use ecs_scheduler_core::{JobId, Register, StoreError, StoredJob};
use rusqlite::{Connection, OptionalExtension, params};

use super::Readers;
use crate::codec::{self, mark_columns};

const BY_NAME: &str = concat!(
    "SELECT ",
    mark_columns!(),
    ", j.id, j.data FROM jobs j JOIN marks m ON m.no = j.rowid \
     WHERE j.id = ?1 AND m.broken = 0 AND m.changed IS NOT NULL"
);
const PAGE: &str = concat!(
    "SELECT ",
    mark_columns!(),
    ", j.id, j.data FROM marks m CROSS JOIN jobs j ON j.rowid = m.no \
     WHERE m.no >= ?1 AND m.broken = 0 AND m.changed IS NOT NULL ORDER BY m.no LIMIT ?2"
);

const PLACE: &str = "SELECT m.no FROM jobs j JOIN marks m ON m.no = j.rowid WHERE j.id = ?1 AND m.broken = 0";

/// A page of more jobs grows while it is read.
const MOST_AHEAD: usize = 1_000;

impl Readers {
    /// Reads those of the named jobs that exist, in the order of the names, each with its rowid.
    pub(crate) async fn jobs(&self, ids: Vec<JobId>) -> Result<Vec<(i64, StoredJob)>, StoreError> {
        self.call(move |connection| {
            let mut statement = connection.prepare_cached(BY_NAME)?;
            let mut jobs = Vec::with_capacity(ids.len());
            for id in &ids {
                jobs.extend(statement.query_row([id.as_str()], codec::job).optional()?);
            }
            Ok(jobs)
        })
        .await
    }

    /// Reads a page of the list from the job with this rowid, or from the first one behind it; each with its rowid.
    pub(crate) async fn page(&self, from: i64, limit: usize) -> Result<Vec<(i64, StoredJob)>, StoreError> {
        self.call(move |connection| page(connection, from, limit, |no, job| (no, job))).await
    }

    /// Reads the page of the list that follows a job; nothing when there is no such job.
    pub(crate) async fn page_after(
        &self,
        id: JobId,
        limit: usize,
    ) -> Result<Option<Vec<StoredJob>>, StoreError> {
        self.call(move |connection| {
            let place =
                connection.prepare_cached(PLACE)?.query_row([id.as_str()], |row| row.get(0)).optional()?;
            place.map(|no: i64| page(connection, no + 1, limit, |_, job| job)).transpose()
        })
        .await
    }

    /// Reads a register.
    pub(crate) async fn register(&self, name: String) -> Result<Option<Register>, StoreError> {
        self.call(move |connection| {
            let sql = "SELECT value, version FROM registers WHERE name = ?1";
            let read = |row: &rusqlite::Row<'_>| Ok(Register { value: row.get(0)?, version: row.get(1)? });
            connection.prepare_cached(sql)?.query_row([name], read).optional()
        })
        .await
    }
}

fn page<T>(
    connection: &Connection,
    from: i64,
    limit: usize,
    keep: impl Fn(i64, StoredJob) -> T,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(PAGE)?;
    let mut jobs = Vec::with_capacity(limit.min(MOST_AHEAD));
    for job in statement.query_map(params![from, limit], codec::job)? {
        let (no, job) = job?;
        jobs.push(keep(no, job));
    }
    Ok(jobs)
}
