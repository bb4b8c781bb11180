//! Jobs: create, replace and remove them in the writer; read them by name and by page.

use ecs_scheduler_core::store::encoding::to_nanos;
use ecs_scheduler_core::{JobId, NewJob, Progress, Revision, StoreError, StoredJob, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::value::RawValue;

use crate::codec::{JobMeta, meta_columns, read_job};
use crate::error::TxError;
use crate::pool::ReadPool;
use crate::row_cache::CacheChange;
use crate::writer_conn::{WriterConn, cached_meta};

const SELECT_JOB: &str = concat!(
    "SELECT ",
    meta_columns!(),
    ", j.id, j.data FROM jobs j JOIN marks m ON m.no = j.rowid \
     WHERE j.id = ?1 AND m.broken = 0 AND m.changed IS NOT NULL"
);
const SELECT_PAGE: &str = concat!(
    "SELECT ",
    meta_columns!(),
    ", j.id, j.data FROM marks m CROSS JOIN jobs j ON j.rowid = m.no \
     WHERE m.no >= ?1 AND m.broken = 0 AND m.changed IS NOT NULL ORDER BY m.no LIMIT ?2"
);
const SELECT_ROWID: &str =
    "SELECT m.no FROM jobs j JOIN marks m ON m.no = j.rowid WHERE j.id = ?1 AND m.broken = 0";

/// Maximum number of jobs for which memory is reserved before a page is read.
const MAX_PREALLOCATED: usize = 1_000;

impl WriterConn {
    /// Creates a job at the end of the list.
    pub(crate) fn create_job(&mut self, new: &NewJob) -> Result<StoredJob, TxError> {
        let at = to_nanos(new.at).map_err(TxError::Refused)?;
        let id = new.id.as_str();
        if self.connection.prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?.exists([id])? {
            return Err(TxError::Refused(StoreError::Exists(new.id.clone())));
        }
        let no = self.sequences.no + 1;
        let (newest, newest_firing) = self.departed_heads(&new.id)?;
        let sql = "INSERT OR REPLACE INTO marks(no, id, uid, created, changed, head, head_firing) \
             VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)";
        let values = params![no, id, new.uid.as_uuid().as_bytes(), at, newest, newest_firing];
        self.connection.prepare_cached(sql)?.execute(values)?;
        let sql = "INSERT INTO jobs(rowid, id, data) VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![no, id, new.document.get()])?;
        self.sequences.no = no;
        let meta = JobMeta {
            no,
            uid: new.uid,
            revision: Revision::FIRST,
            created: new.at,
            changed: new.at,
            newest,
            newest_firing,
            open_row: None,
            progress: Progress::default(),
        };
        let job = meta.with_document(new.id.clone(), new.document.clone());
        self.meta_cache.put(new.id.clone(), meta);
        self.changes.push(CacheChange::Created(no, job.clone()));
        Ok(job)
    }

    /// Replaces the document of a job whose revision is the expected one.
    pub(crate) fn replace_job(
        &mut self,
        id: &JobId,
        expected: Revision,
        document: &RawValue,
        at: Timestamp,
    ) -> Result<StoredJob, TxError> {
        let changed = to_nanos(at).map_err(TxError::Refused)?;
        let meta = cached_meta(&self.connection, &mut self.meta_cache, id)?;
        let meta = expect_revision(meta, id, Some(expected))?;
        let sql = "UPDATE jobs SET data = ?2 WHERE rowid = ?1";
        self.connection.prepare_cached(sql)?.execute(params![meta.no, document.get()])?;
        meta.revision = expected.next();
        meta.changed = at;
        let sql = "UPDATE marks SET revision = ?2, changed = ?3 WHERE no = ?1";
        self.connection.prepare_cached(sql)?.execute(params![meta.no, meta.revision.0, changed])?;
        let job = meta.with_document(id.clone(), document.to_owned());
        self.changes.push(CacheChange::Replaced(meta.no, job.clone()));
        Ok(job)
    }

    /// Removes a job, if its revision is the expected one.
    pub(crate) fn remove_job(&mut self, id: &JobId, expected: Option<Revision>) -> Result<(), TxError> {
        let meta = cached_meta(&self.connection, &mut self.meta_cache, id)?;
        let no = expect_revision(meta, id, expected)?.no;
        self.connection.prepare_cached("DELETE FROM jobs WHERE rowid = ?1")?.execute([no])?;
        self.meta_cache.pop(id);
        self.changes.push(CacheChange::Removed(no));
        Ok(())
    }
}

fn expect_revision<'m>(
    meta: Option<&'m mut JobMeta>,
    id: &JobId,
    expected: Option<Revision>,
) -> Result<&'m mut JobMeta, TxError> {
    match meta {
        None => Err(TxError::Refused(StoreError::NotFound(id.into()))),
        Some(meta) if expected.is_some_and(|expected| expected != meta.revision) => {
            Err(TxError::Refused(StoreError::Conflict(id.into())))
        }
        Some(meta) => Ok(meta),
    }
}

impl ReadPool {
    /// Reads the named jobs that exist, in the order of the names, each with its rowid.
    pub(crate) async fn jobs(&self, ids: Vec<JobId>) -> Result<Vec<(i64, StoredJob)>, StoreError> {
        self.run(move |connection| {
            let mut statement = connection.prepare_cached(SELECT_JOB)?;
            let mut jobs = Vec::with_capacity(ids.len());
            for id in &ids {
                jobs.extend(statement.query_row([id.as_str()], read_job).optional()?);
            }
            Ok(jobs)
        })
        .await
    }

    /// Reads a page of the list, each job with its rowid. The page begins at the rowid `from`, or at the next one that
    /// a job has.
    pub(crate) async fn page(&self, from: i64, limit: usize) -> Result<Vec<(i64, StoredJob)>, StoreError> {
        self.run(move |connection| read_page(connection, from, limit, |no, job| (no, job))).await
    }

    /// Reads the page of the list that follows a job; `None` when there is no such job.
    pub(crate) async fn page_after(
        &self,
        id: JobId,
        limit: usize,
    ) -> Result<Option<Vec<StoredJob>>, StoreError> {
        self.run(move |connection| {
            let mut statement = connection.prepare_cached(SELECT_ROWID)?;
            let rowid = statement.query_row([id.as_str()], |row| row.get(0)).optional()?;
            rowid.map(|no: i64| read_page(connection, no + 1, limit, |_, job| job)).transpose()
        })
        .await
    }
}

fn read_page<T>(
    connection: &Connection,
    from: i64,
    limit: usize,
    convert: impl Fn(i64, StoredJob) -> T,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(SELECT_PAGE)?;
    let mut jobs = Vec::with_capacity(limit.min(MAX_PREALLOCATED));
    for job in statement.query_map(params![from, limit], read_job)? {
        let (no, job) = job?;
        jobs.push(convert(no, job));
    }
    Ok(jobs)
}
