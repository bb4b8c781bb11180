//! Settling: outcomes are appended or folded, and the job's mark follows.

use ecs_scheduler_core::decide::DecisionDraft;
use ecs_scheduler_core::{
    DecisionId, Firing, FiringId, FiringState, JobId, JobUid, Outcome, Revision, Settled, Settlement,
    StoreError, TickSpan, Timestamp,
};
use rusqlite::{CachedStatement, Connection, params};

use crate::codec::{Mark, body, ledger, maybe_nanos, nanos};
use crate::error::Failure;
use crate::row_cache::Change;
use crate::writer_conn::{Desk, find};

const INSERT: &str = "INSERT INTO journal(seq, prev, job, uid, outcome, born, observed, first, last, count, ledger, \
     firing, state, tasks, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
     ON CONFLICT(firing) WHERE firing IS NOT NULL DO NOTHING";
const FOLD: &str = "UPDATE journal SET observed = ?2, last = ?3, count = count + ?4, ledger = ?5 WHERE seq = ?1 \
     AND json_extract(ledger, '$.explanation') = json_extract(?5, '$.explanation')";
const MARK: &str = "UPDATE marks SET settled = ?2, head = ?3, folds = ?4, last_firing = ?5, last_fired = ?6 \
     WHERE no = ?1";

/// A settlement as it is written, made by the caller so that the writer need not.
#[derive(Debug)]
pub(crate) struct Entry {
    job: JobId,
    uid: JobUid,
    revision: Revision,
    expected: Option<Timestamp>,
    settled: Option<Timestamp>,
    records: Vec<Record>,
    firing: Option<Shot>,
}

/// An outcome as it is written.
#[derive(Debug)]
struct Record {
    outcome: Outcome,
    observed: Timestamp,
    span: TickSpan,
    folds: bool,
    ledger: String,
}

/// A firing as it is written.
#[derive(Debug)]
struct Shot {
    id: FiringId,
    observed: Timestamp,
    state: FiringState,
    tasks: usize,
    body: String,
}

impl Entry {
    pub(crate) fn new(settlement: Settlement) -> Result<Self, StoreError> {
        let Settlement { job, uid, revision, expected, settled, records, firing } = settlement;
        let records = records.iter().map(Record::new).collect::<Result<_, _>>()?;
        let firing = firing.map(Shot::new).transpose()?;
        Ok(Self { job, uid, revision, expected, settled, records, firing })
    }

    fn is_fresh(&self, mark: &Mark) -> bool {
        mark.uid == self.uid && mark.revision == self.revision && mark.progress.settled == self.expected
    }
}

impl Record {
    fn new(draft: &DecisionDraft) -> Result<Self, StoreError> {
        let &DecisionDraft { outcome, observed, span, .. } = draft;
        Ok(Self { outcome, observed, span, folds: draft.folds(), ledger: ledger(draft)? })
    }

    /// Returns the outcome with which it makes a run, if it may be part of one.
    fn folds(&self) -> Option<Outcome> {
        self.folds.then_some(self.outcome)
    }
}

impl Shot {
    fn new(firing: Firing) -> Result<Self, StoreError> {
        let body = body(&firing)?;
        let Firing { id, observed, state, tasks, .. } = firing;
        Ok(Self { id, observed, state, tasks: tasks.len(), body })
    }
}

/// The statements of a batch, prepared once.
struct Pen<'c> {
    insert: CachedStatement<'c>,
    fold: CachedStatement<'c>,
    mark: CachedStatement<'c>,
    known: CachedStatement<'c>,
    seq: &'c mut u64,
}

impl Desk {
    /// Records the settlements that are not stale.
    pub(crate) fn settle(&mut self, batch: &[Entry]) -> Result<Vec<Settled>, Failure> {
        let Self { connection, marks, changes, counters, .. } = self;
        let mut pen = Pen::new(connection, &mut counters.seq)?;
        let mut answers = Vec::with_capacity(batch.len());
        for entry in batch {
            let mark = find(connection, marks, &entry.job)?;
            let Some(mark) = mark.filter(|mark| entry.is_fresh(mark)) else {
                answers.push(Settled::Stale);
                continue;
            };
            // A firing whose record stands alone is found to be known when it is inserted.
            if let Some(firing) = entry.firing.as_ref().filter(|_| entry.records.len() > 1)
                && pen.known.exists([firing.id.as_str()])?
            {
                answers.push(Settled::Stale);
                continue;
            }
            let Some(ids) = pen.record(mark, entry)? else {
                answers.push(Settled::Stale);
                continue;
            };
            answers.push(Settled::Recorded(ids));
            changes.push(Change::Progressed(mark.no, mark.progress.clone()));
        }
        Ok(answers)
    }
}

impl<'c> Pen<'c> {
    fn new(connection: &'c Connection, seq: &'c mut u64) -> Result<Self, Failure> {
        Ok(Self {
            insert: connection.prepare_cached(INSERT)?,
            fold: connection.prepare_cached(FOLD)?,
            mark: connection.prepare_cached(MARK)?,
            known: connection.prepare_cached("SELECT 1 FROM journal WHERE firing = ?1")?,
            seq,
        })
    }

    /// Records a settlement; nothing is written when its firing, alone, is known.
    fn record(&mut self, mark: &mut Mark, entry: &Entry) -> Result<Option<Vec<DecisionId>>, Failure> {
        let newest = entry.records.len().saturating_sub(1);
        let mut ids = Vec::with_capacity(entry.records.len());
        for (place, record) in entry.records.iter().enumerate() {
            let firing = entry.firing.as_ref().filter(|_| place == newest);
            let folded = firing.is_none() && self.fold(mark, record)?;
            if !folded && !self.insert(mark, entry, record, firing)? {
                return Ok(None);
            }
            ids.push(DecisionId(mark.head));
        }
        let progress = &mut mark.progress;
        progress.settled = entry.settled;
        if let Some(firing) = &entry.firing {
            progress.last_firing = Some(firing.id.clone());
            progress.last_fired = Some(firing.observed);
        }
        self.mark.execute(params![
            mark.no,
            maybe_nanos(progress.settled)?,
            mark.head,
            mark.folds.map(|outcome| outcome.as_str()),
            progress.last_firing.as_ref().map(|firing| firing.as_str()),
            maybe_nanos(progress.last_fired)?,
        ])?;
        Ok(Some(ids))
    }

    /// Folds a record into the job's newest row; tells whether that was possible.
    fn fold(&mut self, mark: &Mark, record: &Record) -> Result<bool, Failure> {
        if mark.folds.is_none() || mark.folds != record.folds() {
            return Ok(false);
        }
        let Record { observed, span, ledger, .. } = record;
        let values = params![mark.head, nanos(*observed)?, nanos(span.last)?, span.count, ledger];
        // The row may have been pruned, or have another explanation.
        Ok(self.fold.execute(values)? == 1)
    }

    /// Appends a record; tells whether its firing was not known yet.
    fn insert(
        &mut self,
        mark: &mut Mark,
        entry: &Entry,
        record: &Record,
        firing: Option<&Shot>,
    ) -> Result<bool, Failure> {
        let seq = *self.seq + 1;
        let inserted = self.insert.execute(params![
            seq,
            mark.head,
            entry.job.as_str(),
            entry.uid.as_uuid().as_bytes(),
            record.outcome.as_str(),
            nanos(record.observed)?,
            nanos(record.span.first)?,
            nanos(record.span.last)?,
            record.span.count,
            record.ledger,
            firing.map(|firing| firing.id.as_str()),
            firing.map(|firing| firing.state.as_str()),
            firing.map(|firing| firing.tasks),
            firing.map(|firing| &firing.body),
        ])?;
        if inserted == 0 {
            return Ok(false);
        }
        *self.seq = seq;
        mark.head = seq;
        mark.folds = record.folds().filter(|_| firing.is_none());
        Ok(true)
    }
}
