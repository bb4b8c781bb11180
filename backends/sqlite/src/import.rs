//! Taking over jobs and history of another store.

use ecs_scheduler_core::{JobId, JournalEntry, StoreError, StoredJob};
use rusqlite::{OptionalExtension, params};

use crate::codec::{Mark, json, ledger, maybe_nanos, nanos};
use crate::error::Failure;
use crate::row_cache::Change;
use crate::writer_conn::{Desk, find};

const MARK: &str = "INSERT OR REPLACE INTO marks(no, id, uid, revision, created, changed, head, settled, last_firing, \
     last_fired, last_run, last_run_tasks) VALUES (?1, ?2, ?3, ?4, ?5, ?6, \
     coalesce((SELECT head FROM departed WHERE id = ?2), 0), ?7, ?8, ?9, ?10, ?11) RETURNING head";
const INSERT: &str = "INSERT INTO journal(seq, prev, job, uid, outcome, born, observed, first, last, count, ledger, \
     firing, state, tasks, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
     ON CONFLICT(firing) WHERE firing IS NOT NULL DO NOTHING";

/// An entry with its JSON, which the caller makes so that the writer need not.
#[derive(Debug)]
pub(crate) struct Page {
    entry: JournalEntry,
    ledger: String,
    body: Option<String>,
}

impl Page {
    pub(crate) fn new(entry: JournalEntry) -> Result<Self, StoreError> {
        let ledger = ledger(&entry.record.draft)?;
        let body = entry.firing.as_ref().map(json).transpose()?;
        Ok(Self { entry, ledger, body })
    }
}

impl Desk {
    /// Puts jobs at the end of the list as they are.
    pub(crate) fn adopt_jobs(&mut self, jobs: &[StoredJob]) -> Result<(), Failure> {
        jobs.iter().try_for_each(|job| self.adopt_job(job))
    }

    fn adopt_job(&mut self, job: &StoredJob) -> Result<(), Failure> {
        let id = job.id.as_str();
        if self.connection.prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?.exists([id])? {
            return Err(Failure::Failed(StoreError::Exists(job.id.clone())));
        }
        let no = self.counters.no + 1;
        let progress = &job.progress;
        let values = params![
            no,
            id,
            job.uid.as_uuid().as_bytes(),
            job.revision.0,
            nanos(job.created)?,
            nanos(job.changed)?,
            maybe_nanos(progress.settled)?,
            progress.last_firing.as_ref().map(|firing| firing.as_str()),
            maybe_nanos(progress.last_fired)?,
            maybe_nanos(progress.last_run)?,
            (!progress.last_run_tasks.is_empty()).then(|| json(&progress.last_run_tasks)).transpose()?,
        ];
        let head = self.connection.prepare_cached(MARK)?.query_row(values, |row| row.get(0))?;
        let sql = "INSERT INTO jobs(rowid, id, data) VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![no, id, job.document.get()])?;
        self.counters.no = no;
        let mark = Mark {
            no,
            uid: job.uid,
            revision: job.revision,
            created: job.created,
            changed: job.changed,
            head,
            folds: None,
            progress: progress.clone(),
        };
        self.marks.put(job.id.clone(), mark);
        self.changes.push(Change::Created(no, job.clone()));
        Ok(())
    }

    /// Appends entries of another journal, oldest first.
    pub(crate) fn adopt_history(&mut self, pages: &[Page]) -> Result<(), Failure> {
        pages.iter().try_for_each(|page| self.adopt_entry(page))
    }

    fn adopt_entry(&mut self, Page { entry, ledger, body }: &Page) -> Result<(), Failure> {
        let (record, firing) = (&entry.record, entry.firing.as_ref());
        let draft = &record.draft;
        let seq = self.counters.seq + 1;
        let prev = self.newest_of(&record.job)?;
        let inserted = self.connection.prepare_cached(INSERT)?.execute(params![
            seq,
            prev,
            record.job.as_str(),
            record.uid.as_uuid().as_bytes(),
            draft.outcome.as_str(),
            // Pruning stops at a row that was born too late, so the row must not seem younger than it is.
            nanos(draft.span.first.min(draft.observed))?,
            nanos(draft.observed)?,
            nanos(draft.span.first)?,
            nanos(draft.span.last)?,
            draft.span.count,
            ledger,
            firing.map(|firing| firing.id.as_str()),
            firing.map(|firing| firing.state.as_str()),
            firing.map(|firing| firing.tasks.len()),
            body,
        ])?;
        if let Some(known) = firing.filter(|_| inserted == 0) {
            return Err(Failure::Failed(StoreError::Conflict(format!("firing \"{}\"", known.id))));
        }
        self.counters.seq = seq;
        self.note_newest(entry, seq)
    }

    /// Returns the newest row under a job's name, also of one that was removed; 0 when there is none.
    fn newest_of(&mut self, job: &JobId) -> Result<u64, Failure> {
        if let Some(mark) = find(&self.connection, &mut self.marks, job)? {
            return Ok(mark.head);
        }
        let sql = "SELECT head FROM departed WHERE id = ?1";
        let head = self.connection.prepare_cached(sql)?.query_row([job.as_str()], |row| row.get(0));
        Ok(head.optional()?.unwrap_or(0))
    }

    fn note_newest(&mut self, entry: &JournalEntry, seq: u64) -> Result<(), Failure> {
        let JournalEntry { record, firing } = entry;
        let Some(mark) = find(&self.connection, &mut self.marks, &record.job)? else {
            let sql = "INSERT OR REPLACE INTO departed(id, head) VALUES (?1, ?2)";
            self.connection.prepare_cached(sql)?.execute(params![record.job.as_str(), seq])?;
            return Ok(());
        };
        mark.head = seq;
        let folds = firing.is_none() && mark.uid == record.uid && record.draft.folds();
        mark.folds = folds.then_some(record.draft.outcome);
        let sql = "UPDATE marks SET head = ?2, folds = ?3 WHERE no = ?1";
        let folds = mark.folds.map(|outcome| outcome.as_str());
        self.connection.prepare_cached(sql)?.execute(params![mark.no, seq, folds])?;
        Ok(())
    }
}
