//! What the log adds up to.

use std::collections::HashMap;

use ecs_scheduler_core::memory::Image;
use ecs_scheduler_core::{
    Adoption, JobId, JobStore, Journal, MemoryStore, Registers, Revision, Settlement, Store, StoreError,
};
use parking_lot::Mutex;

use crate::documents::DocumentVersion;
use crate::log_op::{Effect, Entry, LoggedSettlement};

/// Positions of claims that are kept in the log for ever: so many processes may begin to write while one is stopped, and it
/// still finds the position that it would write to taken.
const CLAIMS: usize = 1_000;

/// Jobs, journal and registers as the log says, and what it notes beside them.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// What callers see. Only operations that are durable are applied to it.
    pub(crate) memory: MemoryStore,
    notes: Mutex<Notes>,
}

/// What is known beside jobs and journal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    /// The version of each job's document that the job was made of.
    pub(crate) versions: HashMap<JobId, DocumentVersion>,
    /// Where processes began to write, ascending.
    pub(crate) claims: Vec<u64>,
}

impl State {
    /// Takes up what a snapshot says.
    pub(crate) fn of(image: Image, notes: Notes) -> Self {
        Self { memory: image.into(), notes: Mutex::new(notes) }
    }

    /// Copies everything.
    pub(crate) fn copy(&self) -> Result<(Image, Notes), StoreError> {
        let image = self.memory.image()?;
        Ok((image, self.notes.lock().clone()))
    }

    /// Returns the noted version of a job's document; absent when there is no such job.
    pub(crate) fn version(&self, id: &JobId) -> Option<DocumentVersion> {
        self.notes.lock().versions.get(id).cloned()
    }

    /// Copies the noted versions.
    pub(crate) fn versions(&self) -> HashMap<JobId, DocumentVersion> {
        self.notes.lock().versions.clone()
    }

    /// Applies an operation of the segment at `position`.
    ///
    /// # Errors
    ///
    /// Fails, and has done nothing, when the operation does not fit the state.
    pub(crate) async fn apply(&self, position: u64, entry: Entry) -> Result<Effect, StoreError> {
        match entry {
            Entry::Claim { .. } => {
                let claims = &mut self.notes.lock().claims;
                claims.push(position);
                let old = claims.len().saturating_sub(CLAIMS);
                claims.drain(..old);
                Ok(Effect::Done)
            }
            Entry::Create { job, version } => {
                let job = self.memory.create(job).await?;
                self.note(&job.id, version);
                Ok(Effect::Job(Box::new(job)))
            }
            Entry::Replace { id, expected, document, at, version } => {
                let job = self.memory.replace(&id, expected, document, at).await?;
                self.note(&id, version);
                Ok(Effect::Job(Box::new(job)))
            }
            Entry::Note { id, version } => {
                if self.notes.lock().versions.contains_key(&id) {
                    self.note(&id, version);
                }
                Ok(Effect::Done)
            }
            Entry::Remove { id, expected } => {
                self.memory.remove(&id, expected).await?;
                self.notes.lock().versions.remove(&id);
                Ok(Effect::Done)
            }
            Entry::Settle(batch) => {
                let batch = self.of_revisions(batch).await?;
                self.memory.settle(batch).await.map(Effect::Settled)
            }
            Entry::Advance(advance) => self.memory.advance(*advance).await.map(|()| Effect::Done),
            Entry::Register { name, value, expected, expires } => {
                self.memory.write(&name, &value, expected, expires).await.map(Effect::Version)
            }
            Entry::Prune(retention) => self.memory.prune(retention.into()).await.map(Effect::Pruned),
            Entry::AdoptJobs(jobs) => {
                for (job, version) in jobs {
                    let id = job.id.clone();
                    self.memory.adopt(Adoption::Jobs(vec![job])).await?;
                    self.note(&id, version);
                }
                Ok(Effect::Done)
            }
            Entry::AdoptHistory(entries) => {
                self.memory.adopt(Adoption::History(entries)).await.map(|()| Effect::Done)
            }
        }
    }

    /// Lets settlements that ask for no revision ask for the one that the job has.
    async fn of_revisions(&self, batch: Vec<LoggedSettlement>) -> Result<Vec<Settlement>, StoreError> {
        let mut settlements = Vec::with_capacity(batch.len());
        for logged in batch {
            let revision = match logged.revision {
                Some(revision) => revision,
                None => self.revision(&logged.job).await?,
            };
            settlements.push(logged.of_revision(revision));
        }
        Ok(settlements)
    }

    /// Returns the revision of a job; of a job that is missing the first.
    async fn revision(&self, id: &JobId) -> Result<Revision, StoreError> {
        let job = self.memory.get(std::slice::from_ref(id)).await?.pop();
        Ok(job.map_or(Revision::FIRST, |job| job.revision))
    }

    fn note(&self, id: &JobId, version: DocumentVersion) {
        self.notes.lock().versions.insert(id.clone(), version);
    }
}
