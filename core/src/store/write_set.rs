//! The write set of a settlement: the one place that decides whether a settlement is stale, which of its records become
//! new rows of the journal, and which fold into the row before them.
//!
//! It does no I/O and builds no rows. A store reads the [`JobHead`], calls [`write_set`], and maps each [`JournalOp`]
//! to its own rows or items. It writes all of them in one transaction, in which the head is still as it was read.

use jiff::Timestamp;

use super::Settlement;
use crate::decide::{DecisionId, FoldKey};
use crate::firing::FiringId;
use crate::job::{JobUid, Progress, Revision, StoredJob};

#[cfg(test)]
mod tests;

/// The state of a stored job on which its next settlement depends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobHead<'h> {
    /// The job's identity.
    pub uid: JobUid,
    /// The version of its document.
    pub revision: Revision,
    /// Its cursor: `Progress::settled`.
    pub cursor: Option<Timestamp>,
    /// The key of the newest row under the job's name. Absent when there is no such row, when it has a firing, when it
    /// belongs to an earlier job of that name, or when it does not fold.
    pub open_row: Option<FoldKey<'h>>,
}

impl<'h> JobHead<'h> {
    /// Returns the head of a job, with the key of its newest row.
    #[must_use]
    pub fn new(job: &StoredJob, open_row: Option<FoldKey<'h>>) -> Self {
        Self { uid: job.uid, revision: job.revision, cursor: job.progress.settled, open_row }
    }
}

/// The write of one record of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalOp {
    /// Appends a row without a firing.
    AppendDecision,
    /// Appends a row with the settlement's firing.
    AppendFiring,
    /// Folds the record into the job's newest row ([`DecisionDraft::fold`](crate::decide::DecisionDraft::fold)).
    Fold,
}

impl JournalOp {
    /// Returns the key of the newest row after this write: the record's, unless the row has a firing.
    #[must_use]
    pub fn open_row(self, record: Option<FoldKey<'_>>) -> Option<FoldKey<'_>> {
        record.filter(|_| self != Self::AppendFiring)
    }
}

/// The writes of one settlement: one for each of its records, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteSet {
    /// The writes. Folds that follow an append change the appended row.
    pub ops: Vec<JournalOp>,
}

impl WriteSet {
    /// Counts the new rows.
    #[must_use]
    pub fn appended(&self) -> usize {
        self.ops.iter().filter(|op| **op != JournalOp::Fold).count()
    }

    /// Returns the id of each record's row. `newest` is the newest row before the settlement; new rows get ascending
    /// ids from `next`.
    #[must_use]
    pub fn ids(&self, newest: DecisionId, next: DecisionId) -> Vec<DecisionId> {
        let mut next_ids = (next.0..).map(DecisionId);
        let ids = self.ops.iter().scan(newest, |newest, op| {
            if *op != JournalOp::Fold {
                *newest = next_ids.next().unwrap_or(*newest);
            }
            Some(*newest)
        });
        ids.collect()
    }
}

/// Computes the write set of a settlement of the job with this head; `None` when the settlement is stale.
///
/// `is_known` tells whether the journal has a firing of this name. It is called only if the settlement is otherwise fresh. A store
/// that finds a known firing while it writes returns `false`, and then writes nothing.
#[must_use]
pub fn write_set(
    head: JobHead<'_>,
    settlement: &Settlement,
    is_known: impl FnOnce(&FiringId) -> bool,
) -> Option<WriteSet> {
    let Settlement { uid, revision, expected_cursor, records, firing, .. } = settlement;
    let is_current = head.uid == *uid && head.revision == *revision && head.cursor == *expected_cursor;
    if !is_current || firing.as_ref().is_some_and(|firing| is_known(&firing.id)) {
        return None;
    }
    let last = records.len().saturating_sub(1);
    let mut open_row = head.open_row;
    let mut ops = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        let key = record.fold_key();
        let op = match firing {
            Some(_) if index == last => JournalOp::AppendFiring,
            _ if key.is_some() && key == open_row => JournalOp::Fold,
            _ => JournalOp::AppendDecision,
        };
        open_row = op.open_row(key);
        ops.push(op);
    }
    Some(WriteSet { ops })
}

impl Settlement {
    /// Records the new cursor, and the firing if there is one, in the job's progress. No cooldown follows a firing of a backfill.
    pub fn apply_to(&self, progress: &mut Progress) {
        progress.settled = self.new_cursor;
        if let Some(firing) = &self.firing {
            progress.last_firing = Some(firing.id.clone());
            if !firing.is_of_backfill() {
                progress.last_fired = Some(firing.observed);
            }
        }
    }
}
