//! Snapshots of a memory store. Stores that keep a log of operations write them to disk and restore from them.
//!
//! The same operations in the same order make the same state, in this and in any other process.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::job_table::JobTable;
use super::journal::MemoryJournal;
use super::{MemoryStore, State};
use crate::decide::DecisionId;
use crate::job::{JobId, StoredJob};
use crate::policy::HistoryRule;
use crate::store::{JournalEntry, PrunedJobs, Register, Retention, StoreError};

use jiff::Timestamp;

/// Everything that a memory store holds: jobs, journal and registers.
#[derive(Debug, Clone, Default)]
pub struct MemorySnapshot {
    /// The jobs in the order of their creation.
    pub jobs: Vec<StoredJob>,
    /// The journal, oldest first.
    pub history: Vec<JournalEntry>,
    /// The highest decision id ever assigned; its decision may have been pruned.
    pub newest: DecisionId,
    /// The registers, by name.
    pub registers: Vec<NamedRegister>,
}

/// A register with its name and expiry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedRegister {
    /// Its name.
    pub name: String,
    /// Its value and version.
    pub register: Register,
    /// When it may be removed; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl NamedRegister {
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at < now)
    }
}

impl MemoryStore {
    /// Copies everything that the store holds into a snapshot.
    ///
    /// # Errors
    ///
    /// Fails when the store is closed.
    pub fn snapshot(&self) -> Result<MemorySnapshot, StoreError> {
        let state = self.lock()?;
        Ok(MemorySnapshot {
            jobs: state.jobs.all().cloned().collect(),
            history: state.journal.history().collect(),
            newest: state.journal.newest(),
            registers: state.registers.values().cloned().collect(),
        })
    }

    /// Returns the names of the jobs whose documents have a rule of their own for their history.
    ///
    /// # Errors
    ///
    /// Fails when the store is closed.
    pub fn jobs_with_history_rules(&self) -> Result<BTreeSet<JobId>, StoreError> {
        let state = self.lock()?;
        let has_rule = |job: &&StoredJob| HistoryRule::of_document(job.document.get()).is_some();
        Ok(state.jobs.all().filter(has_rule).map(|job| job.id.clone()).collect())
    }

    /// Counts the decisions that could be pruned by their age: all but those with an open firing.
    ///
    /// # Errors
    ///
    /// Fails when the store is closed.
    pub fn finished_decisions(&self) -> Result<usize, StoreError> {
        Ok(self.lock()?.journal.finished_decisions())
    }

    /// Tells whether pruning would remove anything.
    ///
    /// # Errors
    ///
    /// Fails when the store is closed.
    pub fn has_prunable(&self, retention: &Retention) -> Result<bool, StoreError> {
        let state = self.lock()?;
        let of_registers = !matches!(retention.jobs, PrunedJobs::Only(_))
            && state.registers.values().any(|entry| entry.is_expired(retention.now));
        Ok(of_registers || !state.journal.prunable(retention, |job| state.jobs.get(job).is_some()).is_empty())
    }
}

impl From<MemorySnapshot> for MemoryStore {
    fn from(image: MemorySnapshot) -> Self {
        let MemorySnapshot { jobs, history, newest, registers } = image;
        let state = State {
            jobs: JobTable::from_jobs(jobs),
            journal: MemoryJournal::from_history(history, newest),
            registers: registers.into_iter().map(|entry| (entry.name.clone(), entry)).collect(),
            ..State::default()
        };
        Self { state: Mutex::new(Some(state)) }
    }
}
