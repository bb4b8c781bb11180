//! The state that the operations of the log make.

use std::collections::HashMap;

use ecs_scheduler_core::memory::MemorySnapshot;
use ecs_scheduler_core::{
    ImportBatch, JobId, JobStore, Journal, MemoryStore, Registers, Revision, Settlement, Store, StoreError,
    StoreMaintenance,
};
use parking_lot::Mutex;

use crate::documents::DocumentVersion;
use crate::log_op::{LogOp, LoggedSettlement, OpResult};

/// The number of epochs whose first segments stay in the log. A process that was stopped while this many others began to write
/// still finds its next position occupied.
const MAX_EPOCHS: usize = 1_000;

/// Jobs, journal and registers, and the sidecar, as the log makes them.
#[derive(Debug, Default)]
pub(crate) struct MaterializedState {
    /// The state that callers read. Only durable operations are applied to it.
    pub(crate) memory: MemoryStore,
    sidecar: Mutex<Sidecar>,
}

/// State of the log store beside jobs, journal and registers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sidecar {
    /// The recorded version of each job's document.
    pub(crate) versions: HashMap<JobId, DocumentVersion>,
    /// The positions at which processes began to write, ascending.
    pub(crate) epochs: Vec<u64>,
}

impl MaterializedState {
    /// Makes the state of a snapshot.
    pub(crate) fn from_snapshot(image: MemorySnapshot, sidecar: Sidecar) -> Self {
        Self { memory: image.into(), sidecar: Mutex::new(sidecar) }
    }

    /// Copies the state for a snapshot.
    pub(crate) fn copy(&self) -> Result<(MemorySnapshot, Sidecar), StoreError> {
        let image = self.memory.snapshot()?;
        Ok((image, self.sidecar.lock().clone()))
    }

    /// Returns the recorded version of a job's document; `None` when the job does not exist.
    pub(crate) fn version(&self, id: &JobId) -> Option<DocumentVersion> {
        self.sidecar.lock().versions.get(id).cloned()
    }

    /// Copies the recorded versions.
    pub(crate) fn versions(&self) -> HashMap<JobId, DocumentVersion> {
        self.sidecar.lock().versions.clone()
    }

    /// Applies an operation of the segment at `position`.
    ///
    /// # Errors
    ///
    /// Fails without effect when the operation conflicts with the state.
    pub(crate) async fn apply(&self, position: u64, op: LogOp) -> Result<OpResult, StoreError> {
        match op {
            LogOp::BeginEpoch { .. } => {
                let epochs = &mut self.sidecar.lock().epochs;
                epochs.push(position);
                let old = epochs.len().saturating_sub(MAX_EPOCHS);
                epochs.drain(..old);
                Ok(OpResult::Done)
            }
            LogOp::Create { job, version } => {
                let job = self.memory.create(job).await?;
                self.record_version(&job.id, version);
                Ok(OpResult::Job(Box::new(job)))
            }
            LogOp::Replace { id, expected, document, at, version } => {
                let job = self.memory.replace(&id, expected, document, at).await?;
                self.record_version(&id, version);
                Ok(OpResult::Job(Box::new(job)))
            }
            LogOp::RecordVersion { id, version } => {
                if self.sidecar.lock().versions.contains_key(&id) {
                    self.record_version(&id, version);
                }
                Ok(OpResult::Done)
            }
            LogOp::Remove { id, expected } => {
                self.memory.remove(&id, expected).await?;
                self.sidecar.lock().versions.remove(&id);
                Ok(OpResult::Done)
            }
            LogOp::Settle(batch) => {
                let batch = self.with_revisions(batch).await?;
                self.memory.settle(batch).await.map(OpResult::Settled)
            }
            LogOp::Advance(advance) => self.memory.advance(*advance).await.map(|()| OpResult::Done),
            LogOp::Register { name, value, expected, expires } => {
                self.memory.put_register(&name, &value, expected, expires).await.map(OpResult::Version)
            }
            LogOp::Prune(retention) => {
                let retention = retention.with_rules(|| self.memory.jobs_with_history_rules())?;
                self.memory.prune(retention).await.map(OpResult::Pruned)
            }
            LogOp::ImportJobs(jobs) => {
                for (job, version) in jobs {
                    let id = job.id.clone();
                    self.memory.import(ImportBatch::Jobs(vec![job])).await?;
                    self.record_version(&id, version);
                }
                Ok(OpResult::Done)
            }
            LogOp::ImportHistory(entries) => {
                self.memory.import(ImportBatch::History(entries)).await.map(|()| OpResult::Done)
            }
        }
    }

    /// Gives settlements without a revision the revision of the job.
    async fn with_revisions(&self, batch: Vec<LoggedSettlement>) -> Result<Vec<Settlement>, StoreError> {
        let mut settlements = Vec::with_capacity(batch.len());
        for logged in batch {
            let revision = match logged.revision {
                Some(revision) => revision,
                None => self.revision(&logged.job).await?,
            };
            settlements.push(logged.with_revision(revision));
        }
        Ok(settlements)
    }

    /// Returns the revision of a job; the first one when the job does not exist.
    async fn revision(&self, id: &JobId) -> Result<Revision, StoreError> {
        let job = self.memory.get(std::slice::from_ref(id)).await?.pop();
        Ok(job.map_or(Revision::FIRST, |job| job.revision))
    }

    fn record_version(&self, id: &JobId, version: DocumentVersion) {
        self.sidecar.lock().versions.insert(id.clone(), version);
    }
}
