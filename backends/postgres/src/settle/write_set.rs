//! The writes of a batch of settlements, given the stored jobs: new rows, and decisions to fold into stored rows.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use ecs_scheduler_core::decide::FoldKey;
use ecs_scheduler_core::store::encoding::{DecisionColumns, SettlementRow};
use ecs_scheduler_core::store::{JournalOp, WriteSet, write_set};
use ecs_scheduler_core::{DecisionId, Firing, FiringId, JobId, JobUid, Settled, TickOutcome};

use crate::codec::{JobMeta, signed, unsigned};

#[cfg(test)]
mod tests;

/// The stored state that a batch of settlements depends on.
#[derive(Debug)]
pub(crate) struct Existing {
    pub(crate) jobs: HashMap<String, JobMeta>,
    /// Those of the batch's firings that are stored already.
    pub(crate) firings: HashSet<String>,
}

/// A new row of the journal.
#[derive(Debug)]
pub(crate) struct JournalRow<'e> {
    pub(crate) seq: i64,
    pub(crate) job: &'e JobId,
    pub(crate) uid: JobUid,
    pub(crate) outcome: TickOutcome,
    pub(crate) decision: Cow<'e, DecisionColumns>,
    /// When its first decision was observed.
    pub(crate) born: i64,
    /// The firing, and its JSON.
    pub(crate) firing: Option<(&'e Firing, &'e str)>,
}

/// All writes of a batch.
#[derive(Debug, Default)]
pub(crate) struct BatchWrites<'e> {
    /// New rows; their numbers are consecutive.
    pub(crate) rows: Vec<JournalRow<'e>>,
    /// Decisions to fold into stored rows, by the rows' numbers.
    pub(crate) folds: BTreeMap<i64, DecisionColumns>,
    /// The jobs that were settled.
    pub(crate) jobs: Vec<(String, JobMeta)>,
    pub(crate) answers: Vec<Settled>,
}

/// Builds the writes of settlements; new rows are numbered from `first_seq`.
pub(crate) fn build_batch<'e>(
    existing: Existing,
    first_seq: i64,
    settlements: &[&'e SettlementRow],
) -> BatchWrites<'e> {
    let Existing { mut jobs, mut firings } = existing;
    let mut batch = BatchWrites::default();
    for row in settlements {
        let settlement = &row.settlement;
        let is_known = |firing: &FiringId| firings.contains(firing.as_str());
        let fresh = jobs
            .get_mut(settlement.job.as_str())
            .and_then(|meta| Some((write_set(meta.head(), settlement, is_known)?, meta)));
        let Some((writes, meta)) = fresh else {
            batch.answers.push(Settled::Stale);
            continue;
        };
        let ids = batch.add(meta, first_seq, row, writes);
        settlement.apply_to(&mut meta.progress);
        meta.is_changed = true;
        firings.extend(settlement.firing.as_ref().map(|firing| firing.id.as_str().to_owned()));
        batch.answers.push(Settled::Recorded(ids));
    }
    batch.jobs = jobs.into_iter().filter(|(_, meta)| meta.is_changed).collect();
    // Every statement locks jobs in the order of their names.
    batch.jobs.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    batch
}

impl<'e> BatchWrites<'e> {
    /// Adds the writes of a settlement, and returns the numbers of its rows.
    fn add(
        &mut self,
        meta: &mut JobMeta,
        first_seq: i64,
        row: &'e SettlementRow,
        writes: WriteSet,
    ) -> Vec<DecisionId> {
        let SettlementRow { settlement, decisions, .. } = row;
        let mut ids = Vec::with_capacity(decisions.len());
        for ((op, record), decision) in writes.ops.into_iter().zip(&settlement.records).zip(decisions) {
            if op == JournalOp::Fold {
                self.fold(meta.newest, first_seq, decision);
            } else {
                meta.newest = first_seq + signed(self.rows.len() as u64);
                meta.open_row = op.open_row(record.fold_key()).map(FoldKey::into_owned);
                self.rows.push(JournalRow {
                    seq: meta.newest,
                    job: &settlement.job,
                    uid: settlement.uid,
                    outcome: record.outcome,
                    decision: Cow::Borrowed(decision),
                    born: decision.observed,
                    firing: row.firing_of(op),
                });
            }
            ids.push(DecisionId(unsigned(meta.newest)));
        }
        ids
    }

    /// Folds a decision into a row of this batch, or into a stored one.
    fn fold(&mut self, seq: i64, first_seq: i64, decision: &DecisionColumns) {
        let new_row = usize::try_from(seq - first_seq).ok().and_then(|index| self.rows.get_mut(index));
        match new_row {
            Some(row) => row.decision.to_mut().fold(decision),
            None => {
                let fold = self.folds.entry(seq).and_modify(|fold| fold.fold(decision));
                fold.or_insert_with(|| decision.clone());
            }
        }
    }
}
