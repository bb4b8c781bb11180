//! What one settlement writes: pure, from the mark as it was read.

use ecs_scheduler_core::{DecisionId, DecisionRecord, FaultKind, Settlement, StoreError};

use crate::job_meta::{Mark, Tail};
use crate::limits::ACTIONS;
use crate::row::Row;
use crate::write::Write;

#[cfg(test)]
mod tests;

/// The writes of one settlement, which count together or not at all.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Which settlement of the batch.
    pub(crate) place: usize,
    pub(crate) writes: Vec<Write>,
    /// The ids of its records.
    pub(crate) ids: Vec<DecisionId>,
    /// Which of the writes says that the firing is not known yet.
    pub(crate) claim: Option<usize>,
}

/// Returns how many new numbers a settlement needs.
pub(crate) fn numbers(mark: &Mark, settlement: &Settlement) -> usize {
    let mut last = mark.tail.as_ref().map(|tail| &tail.draft);
    let mut count = 0;
    for (place, draft) in settlement.records.iter().enumerate() {
        let fires = settlement.firing.is_some() && place + 1 == settlement.records.len();
        if fires || !last.is_some_and(|last| last.folds_with(draft)) {
            count += 1;
        }
        last = (!fires && draft.folds()).then_some(draft);
    }
    count
}

impl Plan {
    /// Plans a settlement that was found to be fresh. `next` is the first of the numbers that it needs.
    pub(crate) fn new(
        place: usize,
        mark: &Mark,
        settlement: &Settlement,
        next: u64,
        stamp: String,
    ) -> Result<Self, StoreError> {
        let mut to = Mark { stamp, ..mark.clone() };
        let mut next = (next..).map(DecisionId);
        let mut rows = Vec::new();
        let mut ids = Vec::with_capacity(settlement.records.len());
        for (record, draft) in settlement.records.iter().enumerate() {
            let firing =
                settlement.firing.as_ref().filter(|_| record + 1 == settlement.records.len()).cloned();
            if firing.is_none()
                && let Some(tail) = to.tail.as_mut().filter(|tail| tail.draft.folds_with(draft))
            {
                tail.draft.fold(draft.clone());
                ids.push(tail.id);
                continue;
            }
            let id = next.next().expect("there are more numbers than records");
            ids.push(id);
            rows.extend(to.tail_record().map(|tail| Row::new(tail, None)));
            to.tail = None;
            if firing.is_none() && draft.folds() {
                to.tail = Some(Tail { id, draft: draft.clone() });
            } else {
                let (job, uid) = (settlement.job.clone(), settlement.uid);
                let record = DecisionRecord { id, job, uid, draft: draft.clone(), firing: None };
                rows.push(Row::new(record, firing));
            }
        }
        to.progress.settled = settlement.settled;
        if let Some(firing) = &settlement.firing {
            to.progress.note_firing(firing);
        }
        let mut writes = vec![mark.settle(&to)?];
        for row in &rows {
            writes.extend(row.create()?);
        }
        let claim = settlement.firing.as_ref().map(|firing| crate::keys::Key::firing(&firing.id));
        let claim = claim.and_then(|key| writes.iter().position(|write| *write.key() == key));
        Self { place, writes, ids, claim }.of_sound_size(settlement)
    }

    /// Refuses what no transaction takes. One action is left for the owner's fence.
    fn of_sound_size(self, settlement: &Settlement) -> Result<Self, StoreError> {
        if self.writes.len() < ACTIONS {
            return Ok(self);
        }
        let message = format!(
            "could not settle {} outcomes of job \"{}\" at once: a transaction of DynamoDB takes {ACTIONS} writes",
            settlement.records.len(),
            settlement.job
        );
        Err(StoreError::fault(FaultKind::Bug, message))
    }

    /// Returns about how many bytes it sends.
    pub(crate) fn weight(&self) -> usize {
        self.writes.iter().map(Write::weight).sum()
    }
}
