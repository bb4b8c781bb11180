//! Settlements: appends or folds the outcomes of a job's ticks, and updates the job's metadata.

use ecs_scheduler_core::store::encoding::{DecisionColumns, SettlementRow, to_nanos_opt};
use ecs_scheduler_core::store::{JournalOp, write_set};
use ecs_scheduler_core::{DecisionId, Settled};
use rusqlite::{CachedStatement, Connection, params};

use crate::codec::JobMeta;
use crate::error::TxError;
use crate::row_cache::CacheChange;
use crate::writer_conn::{WriterConn, cached_meta};

const INSERT: &str = "INSERT INTO journal(seq, prev, job, uid, outcome, born, observed, first, last, count, ledger, \
     firing, state, tasks, body, prev_firing) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) \
     ON CONFLICT(firing) WHERE firing IS NOT NULL DO NOTHING";
const FOLD: &str =
    "UPDATE journal SET observed = ?2, last = ?3, count = count + ?4, ledger = ?5 WHERE seq = ?1";
const UPDATE_META: &str = "UPDATE marks SET settled = ?2, head = ?3, folds = ?4, last_firing = ?5, last_fired = ?6, \
     head_firing = ?7 WHERE no = ?1";

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
        for row in batch {
            let meta = cached_meta(connection, meta_cache, &row.settlement.job)?;
            let recorded = match meta {
                Some(meta) => statements.record(meta, row)?.map(|ids| (ids, meta)),
                None => None,
            };
            results.push(match recorded {
                None => Settled::Stale,
                Some((ids, meta)) => {
                    changes.push(CacheChange::Progressed(meta.no, meta.progress.clone()));
                    Settled::Recorded(ids)
                }
            });
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

    /// Records a settlement; writes nothing and returns `None` when it is stale.
    fn record(
        &mut self,
        meta: &mut JobMeta,
        row: &SettlementRow,
    ) -> Result<Option<Vec<DecisionId>>, TxError> {
        let settlement = &row.settlement;
        // With a single decision, the insert itself finds that the firing exists.
        let known = match &settlement.firing {
            Some(firing) if settlement.records.len() > 1 => self.find_firing.exists([firing.id.as_str()])?,
            _ => false,
        };
        let Some(writes) = write_set(meta.head(), settlement, |_| known) else { return Ok(None) };
        let mut ids = Vec::with_capacity(writes.ops.len());
        for (index, op) in writes.ops.into_iter().enumerate() {
            // The row to fold into may have been pruned.
            let folded = op == JournalOp::Fold && self.fold(meta.newest, &row.decisions[index])?;
            if !folded && !self.append(meta, row, index, op)? {
                return Ok(None);
            }
            ids.push(DecisionId(meta.newest));
        }
        let progress = &mut meta.progress;
        settlement.apply_to(progress);
        self.update_meta.execute(params![
            meta.no,
            to_nanos_opt(progress.settled)?,
            meta.newest,
            meta.open_row.as_ref().map(|key| key.outcome.as_str()),
            progress.last_firing.as_ref().map(|firing| firing.as_str()),
            to_nanos_opt(progress.last_fired)?,
            meta.newest_firing,
        ])?;
        Ok(Some(ids))
    }

    /// Folds a decision into a row; returns whether the row exists.
    fn fold(&mut self, seq: u64, decision: &DecisionColumns) -> Result<bool, TxError> {
        let DecisionColumns { observed, last, count, details, .. } = decision;
        Ok(self.fold.execute(params![seq, observed, last, count, details])? == 1)
    }

    /// Appends the record at `index`; returns whether its firing is new.
    fn append(
        &mut self,
        meta: &mut JobMeta,
        row: &SettlementRow,
        index: usize,
        op: JournalOp,
    ) -> Result<bool, TxError> {
        let seq = *self.seq + 1;
        let (settlement, decision) = (&row.settlement, &row.decisions[index]);
        let record = &settlement.records[index];
        let (firing, body) = row.firing_of(op).unzip();
        let inserted = self.insert.execute(params![
            seq,
            meta.newest,
            settlement.job.as_str(),
            settlement.uid.as_uuid().as_bytes(),
            record.outcome.as_str(),
            decision.observed,
            decision.first,
            decision.last,
            decision.count,
            decision.details,
            firing.map(|firing| firing.id.as_str()),
            firing.map(|firing| firing.state.as_str()),
            firing.map(|firing| firing.tasks.len()),
            body,
            firing.map(|_| meta.newest_firing),
        ])?;
        if inserted == 0 {
            return Ok(false);
        }
        *self.seq = seq;
        meta.newest = seq;
        if firing.is_some() {
            meta.newest_firing = seq;
        }
        meta.open_row = op.open_row(record.fold_key()).map(|key| key.into_owned());
        Ok(true)
    }
}
