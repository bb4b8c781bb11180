//! Import of jobs and history from another store.

pub(crate) use ecs_scheduler_core::store::encoding::ImportRow;
use ecs_scheduler_core::store::encoding::JobColumns;
use ecs_scheduler_core::{JobId, JournalEntry, StoreError, StoredJob};
use rusqlite::{OptionalExtension, Row, params};

use crate::codec::JobMeta;
use crate::error::TxError;
use crate::row_cache::CacheChange;
use crate::writer_conn::{WriterConn, cached_meta};

const INSERT_META: &str = "INSERT OR REPLACE INTO marks(no, id, uid, revision, created, changed, head, head_firing, \
     settled, last_firing, last_fired, last_run, last_run_tasks) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
const INSERT: &str = "INSERT INTO journal(seq, prev, job, uid, outcome, born, observed, first, last, count, ledger, \
     firing, state, tasks, body, prev_firing) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
     ON CONFLICT(firing) WHERE firing IS NOT NULL DO NOTHING";

impl WriterConn {
    /// Appends jobs of another store to the list, unchanged.
    pub(crate) fn import_jobs(&mut self, jobs: &[StoredJob]) -> Result<(), TxError> {
        jobs.iter().try_for_each(|job| self.import_job(job))
    }

    fn import_job(&mut self, job: &StoredJob) -> Result<(), TxError> {
        let id = job.id.as_str();
        if self.connection.prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?.exists([id])? {
            return Err(TxError::Failed(StoreError::Exists(job.id.clone())));
        }
        let no = self.sequences.no + 1;
        let (progress, columns) = (&job.progress, JobColumns::new(job)?);
        let (newest, newest_firing) = self.departed_heads(&job.id)?;
        let values = params![
            no,
            id,
            job.uid.as_uuid().as_bytes(),
            job.revision.0,
            columns.created,
            columns.changed,
            newest,
            newest_firing,
            columns.settled,
            progress.last_firing.as_ref().map(|firing| firing.as_str()),
            columns.last_fired,
            columns.last_run,
            columns.last_run_tasks,
        ];
        self.connection.prepare_cached(INSERT_META)?.execute(values)?;
        let sql = "INSERT INTO jobs(rowid, id, data) VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![no, id, job.document.get()])?;
        self.sequences.no = no;
        let meta = JobMeta {
            no,
            uid: job.uid,
            revision: job.revision,
            created: job.created,
            changed: job.changed,
            newest,
            newest_firing,
            open_row: None,
            progress: progress.clone(),
        };
        self.meta_cache.put(job.id.clone(), meta);
        self.changes.push(CacheChange::Created(no, job.clone()));
        Ok(())
    }

    /// Appends decisions of another store, oldest first.
    pub(crate) fn import_history(&mut self, rows: &[ImportRow]) -> Result<(), TxError> {
        rows.iter().try_for_each(|row| self.import_decision(row))
    }

    fn import_decision(&mut self, row: &ImportRow) -> Result<(), TxError> {
        let ImportRow { entry, decision, body } = row;
        let (record, firing) = (&entry.record, entry.firing.as_ref());
        let seq = self.sequences.seq + 1;
        let (prev, prev_firing) = self.heads_of(&record.job)?;
        let inserted = self.connection.prepare_cached(INSERT)?.execute(params![
            seq,
            prev,
            record.job.as_str(),
            record.uid.as_uuid().as_bytes(),
            record.draft.outcome.as_str(),
            row.born(),
            decision.observed,
            decision.first,
            decision.last,
            decision.count,
            decision.details,
            firing.map(|firing| firing.id.as_str()),
            firing.map(|firing| firing.state.as_str()),
            firing.map(|firing| firing.tasks.len()),
            body,
            firing.map(|_| prev_firing),
        ])?;
        if let Some(existing) = firing.filter(|_| inserted == 0) {
            return Err(TxError::Failed(StoreError::Conflict((&existing.id).into())));
        }
        self.sequences.seq = seq;
        self.update_heads(entry, seq, if firing.is_some() { seq } else { prev_firing })
    }

    /// Returns the newest row of a job's name, and the newest one with a firing, also of a job that was removed; 0 when there is none.
    fn heads_of(&mut self, job: &JobId) -> Result<(u64, u64), TxError> {
        match cached_meta(&self.connection, &mut self.meta_cache, job)? {
            Some(meta) => Ok((meta.newest, meta.newest_firing)),
            None => self.departed_heads(job),
        }
    }

    /// Returns the same of a job that was removed.
    pub(crate) fn departed_heads(&self, job: &JobId) -> Result<(u64, u64), TxError> {
        let sql = "SELECT head, head_firing FROM departed WHERE id = ?1";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let heads = self.connection.prepare_cached(sql)?.query_row([job.as_str()], read);
        Ok(heads.optional()?.unwrap_or((0, 0)))
    }

    fn update_heads(&mut self, entry: &JournalEntry, newest: u64, newest_firing: u64) -> Result<(), TxError> {
        let job = &entry.record.job;
        let Some(meta) = cached_meta(&self.connection, &mut self.meta_cache, job)? else {
            let sql = "INSERT OR REPLACE INTO departed(id, head, head_firing) VALUES (?1, ?2, ?3)";
            self.connection.prepare_cached(sql)?.execute(params![job.as_str(), newest, newest_firing])?;
            return Ok(());
        };
        (meta.newest, meta.newest_firing) = (newest, newest_firing);
        meta.open_row = entry.open_row(meta.uid).map(|key| key.into_owned());
        let sql = "UPDATE marks SET head = ?2, head_firing = ?3, folds = ?4 WHERE no = ?1";
        let folds = meta.open_row.as_ref().map(|key| key.outcome.as_str());
        self.connection.prepare_cached(sql)?.execute(params![meta.no, newest, newest_firing, folds])?;
        Ok(())
    }
}
