//! Batches of jobs and history for importing into a store.

use serde::{Deserialize, Serialize};

use crate::decide::DecisionRecord;
use crate::firing::Firing;
use crate::job::StoredJob;

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
