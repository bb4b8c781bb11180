//! Settling: outcomes are appended or folded, and the job's mark follows.

use ecs_scheduler_core::decide::DecisionDraft;
use ecs_scheduler_core::{DecisionId, Settled, Settlement, StoreError};
use rusqlite::{CachedStatement, Connection, params};

use super::desk::{Desk, find};
use crate::codec::{Mark, json, ledger, maybe_nanos, nanos};
use crate::fault::Failure;
use crate::shelf::Change;

const INSERT: &str = "INSERT INTO journal(seq, prev, job, uid, outcome, born, observed, first, last, count, ledger, \
     firing, state, tasks, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
     ON CONFLICT(firing) WHERE firing IS NOT NULL DO NOTHING";
const FOLD: &str =
    "UPDATE journal SET observed = ?2, last = ?3, count = count + ?4, ledger = ?5 WHERE seq = ?1";
const MARK: &str = "UPDATE marks SET settled = ?2, head = ?3, folds = ?4, last_firing = ?5, last_fired = ?6 \
     WHERE no = ?1";

/// A settlement with its JSON, which the caller makes so that the writer need not.
#[derive(Debug)]
pub(crate) struct Entry {
    settlement: Settlement,
    /// The `ledger` of each record.
    ledgers: Vec<String>,
    /// The `body` of the firing.
    body: Option<String>,
}

impl Entry {
    pub(crate) fn new(settlement: Settlement) -> Result<Self, StoreError> {
        let ledgers = settlement.records.iter().map(ledger).collect::<Result<_, _>>()?;
        let body = settlement.firing.as_ref().map(json).transpose()?;
        Ok(Self { settlement, ledgers, body })
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
            let settlement = &entry.settlement;
            let mark = find(connection, marks, &settlement.job)?;
            let Some(mark) = mark.filter(|mark| is_fresh(mark, settlement)) else {
                answers.push(Settled::Stale);
                continue;
            };
            // A firing whose record stands alone is found to be known when it is inserted.
            if let Some(firing) = settlement.firing.as_ref().filter(|_| settlement.records.len() > 1)
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

    /// Records a settlement; nothing is written when its firing, alone, is known.
    fn record(&mut self, mark: &mut Mark, entry: &Entry) -> Result<Option<Vec<DecisionId>>, Failure> {
        let settlement = &entry.settlement;
        let last = settlement.records.len().saturating_sub(1);
        let mut ids = Vec::with_capacity(settlement.records.len());
        for (place, (draft, ledger)) in settlement.records.iter().zip(&entry.ledgers).enumerate() {
            let fires = place == last && settlement.firing.is_some();
            let folded = !fires && self.fold(mark, draft, ledger)?;
            if !folded && !self.insert(mark, entry, draft, ledger, fires)? {
                return Ok(None);
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
        Ok(Some(ids))
    }

    /// Folds a record into the job's newest row; tells whether that was possible.
    fn fold(&mut self, mark: &Mark, draft: &DecisionDraft, ledger: &str) -> Result<bool, Failure> {
        if mark.folds != Some(draft.outcome) {
            return Ok(false);
        }
        let span = &draft.span;
        let values = params![mark.head, nanos(draft.observed)?, nanos(span.last)?, span.count, ledger];
        // The row may have been pruned.
        Ok(self.fold.execute(values)? == 1)
    }

    /// Appends a record; tells whether its firing was not known yet.
    fn insert(
        &mut self,
        mark: &mut Mark,
        entry: &Entry,
        draft: &DecisionDraft,
        ledger: &str,
        fires: bool,
    ) -> Result<bool, Failure> {
        let settlement = &entry.settlement;
        let firing = settlement.firing.as_ref().filter(|_| fires);
        let seq = *self.seq + 1;
        let inserted = self.insert.execute(params![
            seq,
            mark.head,
            settlement.job.as_str(),
            settlement.uid.as_uuid().as_bytes(),
            draft.outcome.as_str(),
            nanos(draft.observed)?,
            nanos(draft.span.first)?,
            nanos(draft.span.last)?,
            draft.span.count,
            ledger,
            firing.map(|firing| firing.id.as_str()),
            firing.map(|firing| firing.state.as_str()),
            firing.map(|firing| firing.tasks.len()),
            entry.body.as_ref().filter(|_| fires),
        ])?;
        if inserted == 0 {
            return Ok(false);
        }
        *self.seq = seq;
        mark.head = seq;
        mark.folds = (!fires && draft.outcome.folds()).then_some(draft.outcome);
        Ok(true)
    }
}
