//! Batches of jobs and history for importing into a store.

use serde::{Deserialize, Serialize};

use crate::decide::{DecisionRecord, FoldKey};
use crate::firing::Firing;
use crate::job::{JobUid, StoredJob};

/// A batch to import, exactly as another store held it.
///
/// At most [`MAX_PAGE`](super::MAX_PAGE) jobs or entries.
#[derive(Debug, Clone)]
pub enum ImportBatch {
    /// Jobs with their metadata, in the order of their creation.
    Jobs(Vec<StoredJob>),
    /// Entries of the journal, oldest first.
    History(Vec<JournalEntry>),
}

/// A decision as the journal keeps it, with its firing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalEntry {
    /// The decision.
    pub record: DecisionRecord,
    /// The firing that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<Firing>,
}

impl JournalEntry {
    /// Tells whether the entry has an open firing.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.firing.as_ref().is_some_and(|firing| firing.state.is_open())
    }

    /// Returns the key of this entry as the newest one of its job, which has this identity. Absent when the next decision
    /// may not fold into it: it has a firing, belongs to an earlier job of the same name, or does not fold.
    #[must_use]
    pub fn open_row(&self, job: JobUid) -> Option<FoldKey<'_>> {
        self.record.draft.fold_key().filter(|_| self.firing.is_none() && self.record.uid == job)
    }
}
