//! Changes of jobs: first the document, under compare-and-set of its version, then a note of it in the log.
//!
//! A crash between the two is repaired at the next opening, which finds a document of another version than the noted one.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use ecs_scheduler_core::{Clock, JobId, JobStore as _, NewJob, Revision, StoreError, StoredJob, Timestamp};
use serde_json::value::RawValue;
use tokio::sync::{Mutex, MutexGuard};

use crate::documents::{Document, DocumentVersion, Documents};
use crate::external_edits::{adoption, same};
use crate::group_commit::Writer;
use crate::lifecycle::Gate;
use crate::log_op::Entry;
use crate::materialized_state::State;

/// Jobs that are changed at once. Two changes of one job wait for each other.
const TURNS: usize = 64;

/// What changes jobs.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) gate: Arc<Gate>,
    pub(crate) documents: Arc<dyn Documents>,
    pub(crate) state: Arc<State>,
    pub(crate) writer: Arc<Writer>,
    pub(crate) clock: Arc<dyn Clock>,
    turns: [Mutex<()>; TURNS],
}

impl Desk {
    pub(crate) fn new(
        gate: Arc<Gate>,
        documents: Arc<dyn Documents>,
        state: Arc<State>,
        writer: Arc<Writer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { gate, documents, state, writer, clock, turns: std::array::from_fn(|_| Mutex::default()) }
    }

    pub(crate) async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        let _turn = self.turn(&job.id).await?;
        let version = self.write_new(&job.id, &job.document).await?;
        Ok(self.writer.call(Entry::Create { job, version }).await?.into_job())
    }

    /// Writes the document of a job that must not exist.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when it does, here or as a document of somebody else's.
    async fn write_new(&self, id: &JobId, document: &RawValue) -> Result<DocumentVersion, StoreError> {
        if self.state.version(id).is_some() {
            return Err(StoreError::Exists(id.clone()));
        }
        match self.place(id, document).await? {
            Placed::Written(version) => Ok(version),
            Placed::Taken(other) => {
                self.adopt(id, other).await?;
                Err(StoreError::Exists(id.clone()))
            }
        }
    }

    /// Writes a document where there must be none, or the same.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be written.
    pub(crate) async fn place(&self, id: &JobId, document: &RawValue) -> Result<Placed, StoreError> {
        let error = match self.documents.write(id, document, None).await {
            Ok(version) => return Ok(Placed::Written(version)),
            Err(error) => error,
        };
        match self.look(id, Some(document), None, error).await? {
            Found::Wanted(version) => Ok(Placed::Written(version)),
            Found::Gone => Err(changed(id)),
            Found::Other(other) => Ok(Placed::Taken(other)),
        }
    }

    pub(crate) async fn replace(
        &self,
        id: JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        let _turn = self.turn(&id).await?;
        let noted = self.noted(&id, Some(expected)).await?;
        let version = match self.documents.write(&id, &document, Some(&noted)).await {
            Ok(version) => version,
            Err(error) => match self.look(&id, Some(&document), Some(&noted), error).await? {
                Found::Wanted(version) => version,
                Found::Gone => {
                    self.writer.call(Entry::Remove { id: id.clone(), expected: None }).await?;
                    return Err(missing(&id));
                }
                Found::Other(other) => {
                    self.adopt(&id, other).await?;
                    return Err(changed(&id));
                }
            },
        };
        let entry = Entry::Replace { id, expected, document, at, version };
        Ok(self.writer.call(entry).await?.into_job())
    }

    pub(crate) async fn remove(&self, id: JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        let _turn = self.turn(&id).await?;
        let noted = self.noted(&id, expected).await?;
        if let Err(error) = self.documents.remove(&id, &noted).await {
            match self.look(&id, None, Some(&noted), error).await? {
                Found::Gone => {}
                Found::Wanted(_) => unreachable!("a removal wants no document"),
                Found::Other(other) => {
                    self.adopt(&id, other).await?;
                    return Err(changed(&id));
                }
            }
        }
        self.writer.call(Entry::Remove { id, expected }).await.map(drop)
    }

    /// Takes over a document that somebody else wrote.
    async fn adopt(&self, id: &JobId, found: Document) -> Result<(), StoreError> {
        let entry = adoption(&self.state, id, found, self.clock.now()).await?;
        self.writer.call(entry).await.map(drop)
    }

    /// Learns what is there after a write that was refused or whose answer never came.
    ///
    /// # Errors
    ///
    /// Returns `error` when nothing was changed, or when that cannot be learnt.
    async fn look(
        &self,
        id: &JobId,
        wanted: Option<&RawValue>,
        noted: Option<&DocumentVersion>,
        error: StoreError,
    ) -> Result<Found, StoreError> {
        let refused = matches!(error, StoreError::Conflict(_));
        if !refused && !error.is_transient() {
            return Err(error);
        }
        match self.documents.read(id).await {
            Ok(None) if noted.is_some() || refused => Ok(Found::Gone),
            Ok(None) => Err(error),
            Ok(Some((document, version))) if wanted.is_some_and(|wanted| same(wanted, &document)) => {
                Ok(Found::Wanted(version))
            }
            Ok(Some((_, version))) if noted == Some(&version) => Err(error),
            Ok(Some(found)) => Ok(Found::Other(found)),
            Err(unreadable) if refused => Err(unreadable),
            Err(_) => Err(error),
        }
    }

    async fn noted(&self, id: &JobId, expected: Option<Revision>) -> Result<DocumentVersion, StoreError> {
        let job = self.state.memory.get(std::slice::from_ref(id)).await?.pop().ok_or_else(|| missing(id))?;
        if expected.is_some_and(|expected| expected != job.revision) {
            return Err(changed(id));
        }
        self.state.version(id).ok_or_else(|| missing(id))
    }

    async fn turn(&self, id: &JobId) -> Result<MutexGuard<'_, ()>, StoreError> {
        self.gate.pass()?;
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let turn =
            usize::try_from(hasher.finish() % TURNS as u64).expect("it is less than the number of turns");
        Ok(self.turns[turn].lock().await)
    }
}

/// What came of a document that was to be new.
#[derive(Debug)]
pub(crate) enum Placed {
    /// It is there.
    Written(DocumentVersion),
    /// Something else is there.
    Taken(Document),
}

/// What is in the place of a document.
enum Found {
    /// What was to be written.
    Wanted(DocumentVersion),
    /// Something else.
    Other(Document),
    /// Nothing.
    Gone,
}

fn missing(id: &JobId) -> StoreError {
    StoreError::NotFound(format!("job \"{id}\""))
}

fn changed(id: &JobId) -> StoreError {
    StoreError::Conflict(format!("job \"{id}\""))
}
