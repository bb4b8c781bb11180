//! Settling: outcomes are appended or folded, and the job's mark follows.

use ecs_scheduler_core::decide::DecisionDraft;
use ecs_scheduler_core::{DecisionId, Firing, Settled, Settlement};
use rusqlite::{CachedStatement, Connection, params};

use super::desk::{Desk, find};
use crate::codec::{Mark, json, ledger, maybe_nanos, nanos};
use crate::fault::Failure;
use crate::shelf::Change;

const INSERT: &str = "INSERT INTO journal(seq, prev, job, uid, outcome, born, observed, first, last, count, ledger, \
     firing, state, tasks, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
const FOLD: &str =
    "UPDATE journal SET observed = ?2, last = ?3, count = count + ?4, ledger = ?5 WHERE seq = ?1";
const MARK: &str = "UPDATE marks SET settled = ?2, head = ?3, folds = ?4, last_firing = ?5, last_fired = ?6 \
     WHERE no = ?1";

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
    pub(crate) fn settle(&mut self, batch: &[Settlement]) -> Result<Vec<Settled>, Failure> {
        let Self { connection, marks, changes, counters, .. } = self;
        let mut pen = Pen::new(connection, &mut counters.seq)?;
        let mut answers = Vec::with_capacity(batch.len());
        for settlement in batch {
            let mark = find(connection, marks, &settlement.job)?;
            let Some(mark) = mark.filter(|mark| is_fresh(mark, settlement)) else {
                answers.push(Settled::Stale);
                continue;
            };
            if let Some(firing) = &settlement.firing
                && pen.known.exists([firing.id.as_str()])?
            {
                answers.push(Settled::Stale);
                continue;
            }
            answers.push(Settled::Recorded(pen.record(mark, settlement)?));
            changes.push(Change::Progressed(settlement.job.clone(), Some(mark.progress.clone())));
        }
        Ok(answers)
    }
}

fn is_fresh(mark: &Mark, settlement: &Settlement) -> bool {
    mark.uid == settlement.uid && mark.progress.settled == settlement.expected
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

    fn record(&mut self, mark: &mut Mark, settlement: &Settlement) -> Result<Vec<DecisionId>, Failure> {
        let last = settlement.records.len().saturating_sub(1);
        let mut ids = Vec::with_capacity(settlement.records.len());
        for (place, draft) in settlement.records.iter().enumerate() {
            let firing = settlement.firing.as_ref().filter(|_| place == last);
            if firing.is_some() || !self.fold(mark, draft)? {
                self.insert(mark, settlement, draft, firing)?;
            }
            ids.push(DecisionId(mark.head));
        }
        let progress = &mut mark.progress;
        progress.settled = settlement.settled;
        if let Some(firing) = &settlement.firing {
            progress.note_firing(firing);
        }
        self.mark.execute(params![
            mark.no,
            maybe_nanos(progress.settled)?,
            mark.head,
            mark.folds.map(|outcome| outcome.as_str()),
            progress.last_firing.as_ref().map(|firing| firing.as_str()),
            maybe_nanos(progress.last_fired)?,
        ])?;
        Ok(ids)
    }

    /// Folds a record into the job's newest row; tells whether that was possible.
    fn fold(&mut self, mark: &Mark, draft: &DecisionDraft) -> Result<bool, Failure> {
        if mark.folds != Some(draft.outcome) {
            return Ok(false);
        }
        let span = &draft.span;
        let values =
            params![mark.head, nanos(draft.observed)?, nanos(span.last)?, span.count, ledger(draft)?];
        // The row may have been pruned.
        Ok(self.fold.execute(values)? == 1)
    }

    fn insert(
        &mut self,
        mark: &mut Mark,
        settlement: &Settlement,
        draft: &DecisionDraft,
        firing: Option<&Firing>,
    ) -> Result<(), Failure> {
        *self.seq += 1;
        let body = firing.map(json).transpose()?;
        self.insert.execute(params![
            *self.seq,
            mark.head,
            settlement.job.as_str(),
            settlement.uid.as_uuid().as_bytes(),
            draft.outcome.as_str(),
            nanos(draft.observed)?,
            nanos(draft.span.first)?,
            nanos(draft.span.last)?,
            draft.span.count,
            ledger(draft)?,
            firing.map(|firing| firing.id.as_str()),
            firing.map(|firing| firing.state.as_str()),
            firing.map(|firing| firing.tasks.len()),
            body,
        ])?;
        mark.head = *self.seq;
        mark.folds = (firing.is_none() && draft.outcome.folds()).then_some(draft.outcome);
        Ok(())
    }
}
