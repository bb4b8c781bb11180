//! The in-memory store; its contents are lost when the process ends.
//!
//! One lock guards everything: each operation is short, and none waits while it holds the lock. It is the model that
//! the other stores are compared with, so it prefers simplicity to speed.

mod change_log;
mod job_table;
mod journal;
mod shared_store;
mod snapshot;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::decide::DecisionRecord;
use crate::fault::FaultKind;
use crate::firing::Firing;
use crate::job::{JobId, Revision, StoredJob};
use crate::store::{
    Advance, DecisionQuery, FiringQuery, ImportBatch, JobHead, JobList, JobStore, Journal, ListFrom, NewJob,
    PrunedJobs, Register, Registers, Retention, Settled, Settlement, SharedStore, Store, StoreError,
    StoreMaintenance, Subject, write_set,
};

pub use snapshot::{MemorySnapshot, NamedRegister};

use change_log::ChangeLog;
use job_table::JobTable;
use journal::MemoryJournal;

/// Keeps jobs and journal in memory.
///
/// # Example
///
/// ```
/// # use ecs_scheduler_core::memory::MemoryStore;
/// # use ecs_scheduler_core::{JobId, JobStore, JobUid, NewJob, Revision, Timestamp};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::default();
/// let document = serde_json::value::to_raw_value(&serde_json::json!({"taskCount": 1}))?;
/// let new = NewJob { id: JobId::new("nightly")?, uid: JobUid::random(), document, at: Timestamp::UNIX_EPOCH };
/// assert_eq!(store.create(new).await?.revision, Revision::FIRST);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    /// Absent once the store is closed.
    state: Mutex<Option<State>>,
}

#[derive(Debug, Default)]
struct State {
    jobs: JobTable,
    journal: MemoryJournal,
    /// Sorted, so that the same operations make the same state anywhere.
    registers: BTreeMap<String, NamedRegister>,
    changes: ChangeLog,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { state: Mutex::new(Some(State::default())) }
    }
}

impl MemoryStore {
    fn lock(&self) -> Result<parking_lot::MappedMutexGuard<'_, State>, StoreError> {
        MutexGuard::try_map(self.state.lock(), Option::as_mut)
            .map_err(|_| StoreError::fault(FaultKind::Unavailable, "the memory store is closed"))
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        let mut state = self.lock()?;
        let created = state.jobs.create(job)?;
        state.changes.record(&created.id);
        Ok(created)
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        let mut state = self.lock()?;
        let replaced = state.jobs.replace(id, expected, document, at)?;
        state.changes.record(id);
        Ok(replaced)
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        state.jobs.remove(id, expected)?;
        state.changes.record(id);
        Ok(())
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        let state = self.lock()?;
        Ok(ids.iter().filter_map(|id| state.jobs.get(id).cloned()).collect())
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.lock()?.jobs.list(&from, limit)
    }
}

#[async_trait]
impl Journal for MemoryStore {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        Ok(self.lock()?.settle(batch))
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        self.lock()?.advance(advance)
    }

    async fn open_firings(&self) -> Result<Vec<Firing>, StoreError> {
        Ok(self.lock()?.journal.unfinished())
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        Ok(self.lock()?.journal.decisions(query))
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        Ok(self.lock()?.journal.firings(query))
    }
}

impl State {
    fn settle(&mut self, batch: Vec<Settlement>) -> Vec<Settled> {
        batch.into_iter().map(|settlement| self.settle_one(settlement)).collect()
    }

    fn settle_one(&mut self, settlement: Settlement) -> Settled {
        let Self { jobs, journal, .. } = self;
        let Some(job) = jobs.get_mut(&settlement.job) else { return Settled::Stale };
        let head = JobHead::new(job, journal.open_row(job));
        let Some(writes) = write_set(head, &settlement, |firing| journal.contains(firing)) else {
            return Settled::Stale;
        };
        settlement.apply_to(&mut job.progress);
        Settled::Recorded(journal.append(settlement, &writes))
    }

    fn advance(&mut self, advance: Advance) -> Result<(), StoreError> {
        let firing = self.journal.advance(advance)?;
        if let Some(firing) = firing
            && let Some(job) = self.jobs.get_mut(&firing.job).filter(|job| job.uid == firing.uid)
        {
            job.progress.record_run(firing);
        }
        Ok(())
    }
}

#[async_trait]
impl Registers for MemoryStore {
    async fn get_register(&self, name: &str) -> Result<Option<Register>, StoreError> {
        Ok(self.lock()?.registers.get(name).map(|entry| entry.register.clone()))
    }

    async fn put_register(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        let mut state = self.lock()?;
        let stored = state.registers.get(name).map(|entry| entry.register.version);
        if stored != expected {
            return Err(StoreError::Conflict(Subject::Register(name.to_owned())));
        }
        let version = stored.unwrap_or(0) + 1;
        let register = Register { value: value.to_owned(), version };
        let entry = NamedRegister { name: name.to_owned(), register, expires };
        state.registers.insert(name.to_owned(), entry);
        Ok(version)
    }
}

#[async_trait]
impl StoreMaintenance for MemoryStore {
    async fn health_check(&self) -> Result<(), StoreError> {
        self.lock().map(drop)
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        let mut state = self.lock()?;
        let State { jobs, journal, registers, .. } = &mut *state;
        let removed = journal.prune(&retention, |job| jobs.get(job).is_some());
        if let PrunedJobs::Only(_) = retention.jobs {
            return Ok(removed);
        }
        let expired = registers.values().filter(|entry| entry.is_expired(retention.now));
        let expired: Vec<String> =
            expired.map(|entry| entry.name.clone()).take(retention.batch - removed).collect();
        for name in &expired {
            registers.remove(name);
        }
        Ok(removed + expired.len())
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    async fn import(&self, batch: ImportBatch) -> Result<(), StoreError> {
        let mut state = self.lock()?;
        match batch {
            ImportBatch::Jobs(jobs) => jobs.into_iter().try_for_each(|job| state.jobs.import(job)),
            ImportBatch::History(entries) => {
                entries.into_iter().try_for_each(|entry| state.journal.import(entry))
            }
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        *self.state.lock() = None;
        Ok(())
    }

    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
        Some(self)
    }
}
