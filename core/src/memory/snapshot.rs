//! The whole of a memory store, to be written down and taken up again: what stores that keep a log of operations stand on.
//!
//! The same operations in the same order make the same state, here and in any other process.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::job_table::Shelf;
use super::journal::Ledger;
use super::{Entry, MemoryStore, State};
use crate::decide::DecisionId;
use crate::job::StoredJob;
use crate::store::{JournalEntry, Register, Retention, StoreError};

use jiff::Timestamp;

/// Everything that a memory store holds.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// The jobs in the order of their creation.
    pub jobs: Vec<StoredJob>,
    /// The journal, oldest first.
    pub history: Vec<JournalEntry>,
    /// The newest id that was given to a decision, which may be gone already.
    pub newest: DecisionId,
    /// The registers by name.
    pub registers: Vec<NamedRegister>,
}

/// A register with its name and the moment after which it may be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedRegister {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub register: Register,
    /// When it may be forgotten; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl MemoryStore {
    /// Copies everything that the store holds.
    ///
    /// # Errors
    ///
    /// Fails when the store is closed.
    pub fn image(&self) -> Result<Image, StoreError> {
        let state = self.open()?;
        let registers = state.registers.iter().map(|(name, entry)| NamedRegister {
            name: name.clone(),
            register: entry.register.clone(),
            expires: entry.expires,
        });
        Ok(Image {
            jobs: state.shelf.all().cloned().collect(),
            history: state.ledger.history().collect(),
            newest: state.ledger.newest(),
            registers: registers.collect(),
        })
    }

    /// Counts the decisions that could be pruned by their age: all but those with an open firing.
    ///
    /// # Errors
    ///
    /// Fails when the store is closed.
    pub fn finished(&self) -> Result<usize, StoreError> {
        Ok(self.open()?.ledger.finished())
    }

    /// Tells whether pruning would remove anything.
    ///
    /// # Errors
    ///
    /// Fails when the store is closed.
    pub fn has_old(&self, retention: Retention) -> Result<bool, StoreError> {
        let state = self.open()?;
        let expired = |entry: &Entry| entry.expires.is_some_and(|at| at < retention.now);
        Ok(state.registers.values().any(expired)
            || !state.ledger.old(retention, |job| state.shelf.get(job).is_some()).is_empty())
    }
}

impl From<Image> for MemoryStore {
    fn from(image: Image) -> Self {
        let Image { jobs, history, newest, registers } = image;
        let registers = registers
            .into_iter()
            .map(|NamedRegister { name, register, expires }| (name, Entry { register, expires }))
            .collect();
        let state = State {
            shelf: Shelf::of(jobs),
            ledger: Ledger::of(history, newest),
            registers,
            ..State::default()
        };
        Self { state: Mutex::new(Some(state)) }
    }
}
