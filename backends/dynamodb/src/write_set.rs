//! The writes of one settlement, computed from the job's metadata as it was read.

use ecs_scheduler_core::store::{JournalOp, WriteSet};
use ecs_scheduler_core::{DecisionId, DecisionRecord, FaultKind, Settlement, StoreError};

use crate::job_meta::{JobMeta, OpenDecision};
use crate::keys::ItemKey;
use crate::limits::MAX_WRITES;
use crate::row::DecisionRow;
use crate::write::Write;

#[cfg(test)]
mod tests;

/// The writes of one settlement, which are committed together or not at all.
#[derive(Debug)]
pub(crate) struct SettlementWrites {
    /// The index of the settlement in its batch.
    pub(crate) settlement: usize,
    pub(crate) writes: Vec<Write>,
    /// The ids of the settlement's records.
    pub(crate) ids: Vec<DecisionId>,
    /// The index of the write that fails when the firing exists already.
    pub(crate) firing_write: Option<usize>,
}

impl SettlementWrites {
    /// Maps the write set of a settlement to items. New rows get ids from `next_id`.
    pub(crate) fn new(
        index: usize,
        meta: &JobMeta,
        settlement: &Settlement,
        write_set: &WriteSet,
        next_id: u64,
        write_id: String,
    ) -> Result<Self, StoreError> {
        let mut to = JobMeta { write_id, ..meta.clone() };
        let newest = meta.open_decision.as_ref().map(|open| open.id).unwrap_or_default();
        let ids = write_set.ids(newest, DecisionId(next_id));
        let mut rows = Vec::new();
        for ((op, draft), id) in write_set.ops.iter().zip(&settlement.records).zip(&ids) {
            if let Some(open) = to.open_decision.as_mut().filter(|_| *op == JournalOp::Fold) {
                open.draft.fold(draft.clone());
                continue;
            }
            rows.extend(to.open_decision_record().map(|record| DecisionRow::new(record, None)));
            let draft = draft.clone();
            if op.open_row(draft.fold_key()).is_some() {
                to.open_decision = Some(OpenDecision { id: *id, draft });
            } else {
                to.open_decision = None;
                let (job, uid) = (settlement.job.clone(), settlement.uid);
                let firing = settlement.firing.clone().filter(|_| *op == JournalOp::AppendFiring);
                rows.push(DecisionRow::new(
                    DecisionRecord { id: *id, job, uid, draft, firing: None },
                    firing,
                ));
            }
        }
        settlement.apply_to(&mut to.progress);
        let mut writes = vec![meta.settle(&to)?];
        for row in &rows {
            writes.extend(row.create()?);
        }
        let firing_key = settlement.firing.as_ref().map(|firing| ItemKey::firing(&firing.id));
        let firing_write = firing_key.and_then(|key| writes.iter().position(|write| *write.key() == key));
        Self { settlement: index, writes, ids, firing_write }.check_size(settlement)
    }

    /// Refuses a settlement that is too large for a transaction. One write is left for the owner's fence.
    fn check_size(self, settlement: &Settlement) -> Result<Self, StoreError> {
        if self.writes.len() < MAX_WRITES {
            return Ok(self);
        }
        let message = format!(
            "could not settle {} outcomes of job \"{}\" at once: a transaction of DynamoDB has at most {MAX_WRITES} writes",
            settlement.records.len(),
            settlement.job
        );
        Err(StoreError::fault(FaultKind::Bug, message))
    }

    /// Returns about how many bytes the writes send.
    pub(crate) fn size(&self) -> usize {
        self.writes.iter().map(Write::size).sum()
    }
}
