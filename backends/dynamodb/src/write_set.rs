//! The writes of one settlement, computed from the job's metadata as it was read.

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
pub(crate) struct WriteSet {
    /// The index of the settlement in its batch.
    pub(crate) settlement: usize,
    pub(crate) writes: Vec<Write>,
    /// The ids of the settlement's records.
    pub(crate) ids: Vec<DecisionId>,
    /// The index of the write that fails when the firing exists already.
    pub(crate) firing_write: Option<usize>,
}

/// Returns how many new decision ids a settlement needs.
pub(crate) fn count_new_ids(meta: &JobMeta, settlement: &Settlement) -> usize {
    let mut last = meta.open_decision.as_ref().map(|decision| &decision.draft);
    let mut count = 0;
    for (index, draft) in settlement.records.iter().enumerate() {
        let fires = settlement.firing.is_some() && index + 1 == settlement.records.len();
        if fires || !last.is_some_and(|last| last.folds_with(draft)) {
            count += 1;
        }
        last = (!fires && draft.folds()).then_some(draft);
    }
    count
}

impl WriteSet {
    /// Computes the writes of a fresh settlement. `next_id` is the first of the new ids that it needs.
    pub(crate) fn new(
        index: usize,
        meta: &JobMeta,
        settlement: &Settlement,
        next_id: u64,
        write_id: String,
    ) -> Result<Self, StoreError> {
        let mut to = JobMeta { write_id, ..meta.clone() };
        let mut next_ids = (next_id..).map(DecisionId);
        let mut rows = Vec::new();
        let mut ids = Vec::with_capacity(settlement.records.len());
        for (record, draft) in settlement.records.iter().enumerate() {
            let firing =
                settlement.firing.as_ref().filter(|_| record + 1 == settlement.records.len()).cloned();
            if firing.is_none()
                && let Some(open) = to.open_decision.as_mut().filter(|open| open.draft.folds_with(draft))
            {
                open.draft.fold(draft.clone());
                ids.push(open.id);
                continue;
            }
            let id = next_ids.next().expect("there are more numbers than records");
            ids.push(id);
            rows.extend(to.open_decision_record().map(|record| DecisionRow::new(record, None)));
            to.open_decision = None;
            if firing.is_none() && draft.folds() {
                to.open_decision = Some(OpenDecision { id, draft: draft.clone() });
            } else {
                let (job, uid) = (settlement.job.clone(), settlement.uid);
                let record = DecisionRecord { id, job, uid, draft: draft.clone(), firing: None };
                rows.push(DecisionRow::new(record, firing));
            }
        }
        to.progress.settled = settlement.new_cursor;
        if let Some(firing) = &settlement.firing {
            to.progress.record_firing(firing);
        }
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
