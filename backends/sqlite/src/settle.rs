//! Settlements: appends or folds the outcomes of a job's ticks, and updates the job's metadata.

use ecs_scheduler_core::decide::DecisionDraft;
use ecs_scheduler_core::{
    DecisionId, Firing, FiringId, FiringState, JobId, JobUid, Revision, Settled, Settlement, StoreError,
    TickOutcome, TickSpan, Timestamp,
};
use rusqlite::{CachedStatement, Connection, params};

use crate::codec::{JobMeta, encode_body, encode_details, to_nanos, to_nanos_opt};
use crate::error::TxError;
use crate::row_cache::CacheChange;
use crate::writer_conn::{WriterConn, cached_meta};

const INSERT: &str = "INSERT INTO journal(seq, prev, job, uid, outcome, born, observed, first, last, count, ledger, \
     firing, state, tasks, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
     ON CONFLICT(firing) WHERE firing IS NOT NULL DO NOTHING";
const FOLD: &str = "UPDATE journal SET observed = ?2, last = ?3, count = count + ?4, ledger = ?5 WHERE seq = ?1 \
     AND json_extract(ledger, '$.explanation') = json_extract(?5, '$.explanation')";
const UPDATE_META: &str = "UPDATE marks SET settled = ?2, head = ?3, folds = ?4, last_firing = ?5, last_fired = ?6 \
     WHERE no = ?1";

/// A settlement with its columns encoded; the caller encodes them so that the writer need not.
#[derive(Debug)]
pub(crate) struct SettlementRow {
    job: JobId,
    uid: JobUid,
    revision: Revision,
    expected: Option<Timestamp>,
    settled: Option<Timestamp>,
    decisions: Vec<DecisionRow>,
    firing: Option<FiringRow>,
}

/// A decision of a settlement with its columns encoded.
#[derive(Debug)]
struct DecisionRow {
    outcome: TickOutcome,
    observed: Timestamp,
    span: TickSpan,
    folds: bool,
    details: String,
}

/// A new firing with its columns encoded.
#[derive(Debug)]
struct FiringRow {
    id: FiringId,
    observed: Timestamp,
    state: FiringState,
    tasks: usize,
    body: String,
}

impl SettlementRow {
    pub(crate) fn new(settlement: Settlement) -> Result<Self, StoreError> {
        let Settlement {
            job,
            uid,
            revision,
            expected_cursor: expected,
            new_cursor: settled,
            records,
            firing,
        } = settlement;
        let decisions = records.iter().map(DecisionRow::new).collect::<Result<_, _>>()?;
        let firing = firing.map(FiringRow::new).transpose()?;
        Ok(Self { job, uid, revision, expected, settled, decisions, firing })
    }

    fn is_current(&self, meta: &JobMeta) -> bool {
        meta.uid == self.uid && meta.revision == self.revision && meta.progress.settled == self.expected
    }
}

impl DecisionRow {
    fn new(draft: &DecisionDraft) -> Result<Self, StoreError> {
        let &DecisionDraft { outcome, observed, span, .. } = draft;
        Ok(Self { outcome, observed, span, folds: draft.folds(), details: encode_details(draft)? })
    }

    /// Returns the outcome of the rows into which this one may be folded, if it may be folded.
    fn folds_into(&self) -> Option<TickOutcome> {
        self.folds.then_some(self.outcome)
    }
}

impl FiringRow {
    fn new(firing: Firing) -> Result<Self, StoreError> {
        let body = encode_body(&firing)?;
        let Firing { id, observed, state, tasks, .. } = firing;
        Ok(Self { id, observed, state, tasks: tasks.len(), body })
    }
}

/// The prepared statements of a batch of settlements.
struct Statements<'c> {
    insert: CachedStatement<'c>,
    fold: CachedStatement<'c>,
    update_meta: CachedStatement<'c>,
    find_firing: CachedStatement<'c>,
    seq: &'c mut u64,
}

impl WriterConn {
    /// Records the settlements that are not stale.
    pub(crate) fn settle(&mut self, batch: &[SettlementRow]) -> Result<Vec<Settled>, TxError> {
        let Self { connection, meta_cache, changes, sequences, .. } = self;
        let mut statements = Statements::prepare(connection, &mut sequences.seq)?;
        let mut results = Vec::with_capacity(batch.len());
        for settlement in batch {
            let meta = cached_meta(connection, meta_cache, &settlement.job)?;
            let Some(meta) = meta.filter(|meta| settlement.is_current(meta)) else {
                results.push(Settled::Stale);
                continue;
            };
            // With a single decision, the insert itself finds that the firing exists.
            if let Some(firing) = settlement.firing.as_ref().filter(|_| settlement.decisions.len() > 1)
                && statements.find_firing.exists([firing.id.as_str()])?
            {
                results.push(Settled::Stale);
                continue;
            }
            let Some(ids) = statements.record(meta, settlement)? else {
                results.push(Settled::Stale);
                continue;
            };
            results.push(Settled::Recorded(ids));
            changes.push(CacheChange::Progressed(meta.no, meta.progress.clone()));
        }
        Ok(results)
    }
}

impl<'c> Statements<'c> {
    fn prepare(connection: &'c Connection, seq: &'c mut u64) -> Result<Self, TxError> {
        Ok(Self {
            insert: connection.prepare_cached(INSERT)?,
            fold: connection.prepare_cached(FOLD)?,
            update_meta: connection.prepare_cached(UPDATE_META)?,
            find_firing: connection.prepare_cached("SELECT 1 FROM journal WHERE firing = ?1")?,
            seq,
        })
    }

    /// Records a settlement; writes nothing and returns `None` when its only decision has a firing that exists.
    fn record(
        &mut self,
        meta: &mut JobMeta,
        settlement: &SettlementRow,
    ) -> Result<Option<Vec<DecisionId>>, TxError> {
        let newest = settlement.decisions.len().saturating_sub(1);
        let mut ids = Vec::with_capacity(settlement.decisions.len());
        for (index, decision) in settlement.decisions.iter().enumerate() {
            let firing = settlement.firing.as_ref().filter(|_| index == newest);
            let folded = firing.is_none() && self.fold(meta, decision)?;
            if !folded && !self.append(meta, settlement, decision, firing)? {
                return Ok(None);
            }
            ids.push(DecisionId(meta.head));
        }
        let progress = &mut meta.progress;
        progress.settled = settlement.settled;
        if let Some(firing) = &settlement.firing {
            progress.last_firing = Some(firing.id.clone());
            progress.last_fired = Some(firing.observed);
        }
        self.update_meta.execute(params![
            meta.no,
            to_nanos_opt(progress.settled)?,
            meta.head,
            meta.folds.map(|outcome| outcome.as_str()),
            progress.last_firing.as_ref().map(|firing| firing.as_str()),
            to_nanos_opt(progress.last_fired)?,
        ])?;
        Ok(Some(ids))
    }

    /// Folds a decision into the job's newest row; returns whether that was possible.
    fn fold(&mut self, meta: &JobMeta, decision: &DecisionRow) -> Result<bool, TxError> {
        if meta.folds.is_none() || meta.folds != decision.folds_into() {
            return Ok(false);
        }
        let DecisionRow { observed, span, details, .. } = decision;
        let values = params![meta.head, to_nanos(*observed)?, to_nanos(span.last)?, span.count, details];
        // The row may have been pruned, or may have another explanation.
        Ok(self.fold.execute(values)? == 1)
    }

    /// Appends a decision; returns whether its firing is new.
    fn append(
        &mut self,
        meta: &mut JobMeta,
        settlement: &SettlementRow,
        decision: &DecisionRow,
        firing: Option<&FiringRow>,
    ) -> Result<bool, TxError> {
        let seq = *self.seq + 1;
        let inserted = self.insert.execute(params![
            seq,
            meta.head,
            settlement.job.as_str(),
            settlement.uid.as_uuid().as_bytes(),
            decision.outcome.as_str(),
            to_nanos(decision.observed)?,
            to_nanos(decision.span.first)?,
            to_nanos(decision.span.last)?,
            decision.span.count,
            decision.details,
            firing.map(|firing| firing.id.as_str()),
            firing.map(|firing| firing.state.as_str()),
            firing.map(|firing| firing.tasks),
            firing.map(|firing| &firing.body),
        ])?;
        if inserted == 0 {
            return Ok(false);
        }
        *self.seq = seq;
        meta.head = seq;
        meta.folds = decision.folds_into().filter(|_| firing.is_none());
        Ok(true)
    }
}
