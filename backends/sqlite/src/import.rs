//! Import of jobs and history from another store.

pub(crate) use ecs_scheduler_core::store::encoding::ImportRow;
use ecs_scheduler_core::store::encoding::JobColumns;
use ecs_scheduler_core::{JobId, JournalEntry, StoreError, StoredJob};
use rusqlite::{OptionalExtension, params};

use crate::codec::JobMeta;
use crate::error::TxError;
use crate::row_cache::CacheChange;
use crate::writer_conn::{WriterConn, cached_meta};

const INSERT_META: &str = "INSERT OR REPLACE INTO marks(no, id, uid, revision, created, changed, head, settled, last_firing, \
     last_fired, last_run, last_run_tasks) VALUES (?1, ?2, ?3, ?4, ?5, ?6, \
     coalesce((SELECT head FROM departed WHERE id = ?2), 0), ?7, ?8, ?9, ?10, ?11) RETURNING head";
const INSERT: &str = "INSERT INTO journal(seq, prev, job, uid, outcome, born, observed, first, last, count, ledger, \
     firing, state, tasks, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
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
        let values = params![
            no,
            id,
            job.uid.as_uuid().as_bytes(),
            job.revision.0,
            columns.created,
            columns.changed,
            columns.settled,
            progress.last_firing.as_ref().map(|firing| firing.as_str()),
            columns.last_fired,
            columns.last_run,
            columns.last_run_tasks,
        ];
        let newest = self.connection.prepare_cached(INSERT_META)?.query_row(values, |row| row.get(0))?;
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
        let prev = self.head_of(&record.job)?;
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
        ])?;
        if let Some(existing) = firing.filter(|_| inserted == 0) {
            return Err(TxError::Failed(StoreError::Conflict((&existing.id).into())));
        }
        self.sequences.seq = seq;
        self.update_head(entry, seq)
    }

    /// Returns the newest row of a job's name, also of a job that was removed; 0 when there is none.
    fn head_of(&mut self, job: &JobId) -> Result<u64, TxError> {
        if let Some(meta) = cached_meta(&self.connection, &mut self.meta_cache, job)? {
            return Ok(meta.newest);
        }
        let sql = "SELECT head FROM departed WHERE id = ?1";
        let head = self.connection.prepare_cached(sql)?.query_row([job.as_str()], |row| row.get(0));
        Ok(head.optional()?.unwrap_or(0))
    }

    fn update_head(&mut self, entry: &JournalEntry, seq: u64) -> Result<(), TxError> {
        let job = &entry.record.job;
        let Some(meta) = cached_meta(&self.connection, &mut self.meta_cache, job)? else {
            let sql = "INSERT OR REPLACE INTO departed(id, head) VALUES (?1, ?2)";
            self.connection.prepare_cached(sql)?.execute(params![job.as_str(), seq])?;
            return Ok(());
        };
        meta.newest = seq;
        meta.open_row = entry.open_row(meta.uid).map(|key| key.into_owned());
        let sql = "UPDATE marks SET head = ?2, folds = ?3 WHERE no = ?1";
        let folds = meta.open_row.as_ref().map(|key| key.outcome.as_str());
        self.connection.prepare_cached(sql)?.execute(params![meta.no, seq, folds])?;
        Ok(())
    }
}
