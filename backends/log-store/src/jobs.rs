//! Edits of jobs: first the document, under compare-and-set of its version, then an operation in the log.
//!
//! After a crash between the two, the next opening finds a document of another version than the recorded one, and
//! repairs it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use ecs_scheduler_core::{Clock, JobId, JobStore as _, NewJob, Revision, StoreError, StoredJob, Timestamp};
use serde_json::value::RawValue;
use tokio::sync::{Mutex, MutexGuard};

use crate::documents::{Document, DocumentVersion, Documents};
use crate::external_edits::{external_edit, is_same_json};
use crate::lifecycle::Lifecycle;
use crate::log_op::LogOp;
use crate::log_writer::LogWriter;
use crate::materialized_state::MaterializedState;

/// The number of locks. Edits of one job share a lock, so they run one after the other.
const LOCK_STRIPES: usize = 64;

/// Creates, replaces and removes jobs.
#[derive(Debug)]
pub(crate) struct JobEditor {
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) documents: Arc<dyn Documents>,
    pub(crate) state: Arc<MaterializedState>,
    pub(crate) writer: Arc<LogWriter>,
    pub(crate) clock: Arc<dyn Clock>,
    job_locks: [Mutex<()>; LOCK_STRIPES],
}

impl JobEditor {
    pub(crate) fn new(
        lifecycle: Arc<Lifecycle>,
        documents: Arc<dyn Documents>,
        state: Arc<MaterializedState>,
        writer: Arc<LogWriter>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let job_locks = std::array::from_fn(|_| Mutex::default());
        Self { lifecycle, documents, state, writer, clock, job_locks }
    }

    pub(crate) async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        let _locked = self.lock_job(&job.id).await?;
        let version = self.create_document(&job.id, &job.document).await?;
        Ok(self.writer.commit(LogOp::Create { job, version }).await?.into_job())
    }

    /// Creates the document of a job that must not exist.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] when the job exists here, or as a document of another program.
    async fn create_document(&self, id: &JobId, document: &RawValue) -> Result<DocumentVersion, StoreError> {
        if self.state.version(id).is_some() {
            return Err(StoreError::Exists(id.clone()));
        }
        match self.put_new(id, document).await? {
            PutResult::Written(version) => Ok(version),
            PutResult::Occupied(other) => {
                self.record_external_edit(id, other).await?;
                Err(StoreError::Exists(id.clone()))
            }
        }
    }

    /// Writes a document unless another one exists.
    ///
    /// # Errors
    ///
    /// Fails when the document cannot be written.
    pub(crate) async fn put_new(&self, id: &JobId, document: &RawValue) -> Result<PutResult, StoreError> {
        let error = match self.documents.write(id, document, None).await {
            Ok(version) => return Ok(PutResult::Written(version)),
            Err(error) => error,
        };
        match self.read_current(id, Some(document), None, error).await? {
            CurrentDocument::Wanted(version) => Ok(PutResult::Written(version)),
            CurrentDocument::Absent => Err(StoreError::Conflict(id.into())),
            CurrentDocument::Other(other) => Ok(PutResult::Occupied(other)),
        }
    }

    pub(crate) async fn replace(
        &self,
        id: JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        let _locked = self.lock_job(&id).await?;
        let recorded = self.recorded_version(&id, Some(expected)).await?;
        let version = match self.documents.write(&id, &document, Some(&recorded)).await {
            Ok(version) => version,
            Err(error) => match self.read_current(&id, Some(&document), Some(&recorded), error).await? {
                CurrentDocument::Wanted(version) => version,
                CurrentDocument::Absent => {
                    self.writer.commit(LogOp::Remove { id: id.clone(), expected: None }).await?;
                    return Err(StoreError::NotFound((&id).into()));
                }
                CurrentDocument::Other(other) => {
                    self.record_external_edit(&id, other).await?;
                    return Err(StoreError::Conflict((&id).into()));
                }
            },
        };
        let op = LogOp::Replace { id, expected, document, at, version };
        Ok(self.writer.commit(op).await?.into_job())
    }

    pub(crate) async fn remove(&self, id: JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        let _locked = self.lock_job(&id).await?;
        let recorded = self.recorded_version(&id, expected).await?;
        if let Err(error) = self.documents.remove(&id, &recorded).await {
            match self.read_current(&id, None, Some(&recorded), error).await? {
                CurrentDocument::Absent => {}
                CurrentDocument::Wanted(_) => unreachable!("a removal wants no document"),
                CurrentDocument::Other(other) => {
                    self.record_external_edit(&id, other).await?;
                    return Err(StoreError::Conflict((&id).into()));
                }
            }
        }
        self.writer.commit(LogOp::Remove { id, expected }).await.map(drop)
    }

    /// Records a document that another program wrote.
    async fn record_external_edit(&self, id: &JobId, document: Document) -> Result<(), StoreError> {
        let op = external_edit(&self.state, id, document, self.clock.now()).await?;
        self.writer.commit(op).await.map(drop)
    }

    /// Reads the document after a write that was refused, or whose answer was lost.
    ///
    /// # Errors
    ///
    /// Returns `error` when nothing was changed, or when the document cannot be read.
    async fn read_current(
        &self,
        id: &JobId,
        wanted: Option<&RawValue>,
        recorded: Option<&DocumentVersion>,
        error: StoreError,
    ) -> Result<CurrentDocument, StoreError> {
        let refused = matches!(error, StoreError::Conflict(_));
        if !refused && !error.is_transient() {
            return Err(error);
        }
        match self.documents.read(id).await {
            Ok(None) if recorded.is_some() || refused => Ok(CurrentDocument::Absent),
            Ok(None) => Err(error),
            Ok(Some((document, version))) if wanted.is_some_and(|wanted| is_same_json(wanted, &document)) => {
                Ok(CurrentDocument::Wanted(version))
            }
            Ok(Some((_, version))) if recorded == Some(&version) => Err(error),
            Ok(Some(found)) => Ok(CurrentDocument::Other(found)),
            Err(unreadable) if refused => Err(unreadable),
            Err(_) => Err(error),
        }
    }

    async fn recorded_version(
        &self,
        id: &JobId,
        expected: Option<Revision>,
    ) -> Result<DocumentVersion, StoreError> {
        let job = self
            .state
            .memory
            .get(std::slice::from_ref(id))
            .await?
            .pop()
            .ok_or_else(|| StoreError::NotFound(id.into()))?;
        if expected.is_some_and(|expected| expected != job.revision) {
            return Err(StoreError::Conflict(id.into()));
        }
        self.state.version(id).ok_or_else(|| StoreError::NotFound(id.into()))
    }

    async fn lock_job(&self, id: &JobId) -> Result<MutexGuard<'_, ()>, StoreError> {
        self.lifecycle.ensure_open()?;
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let stripe = usize::try_from(hasher.finish() % LOCK_STRIPES as u64)
            .expect("the remainder is less than the number of locks");
        Ok(self.job_locks[stripe].lock().await)
    }
}

/// The result of writing a document that must not exist.
#[derive(Debug)]
pub(crate) enum PutResult {
    /// The document is durable.
    Written(DocumentVersion),
    /// Another document exists.
    Occupied(Document),
}

/// The document that a read found after a failed write.
enum CurrentDocument {
    /// The document that the write expected.
    Wanted(DocumentVersion),
    /// Another document.
    Other(Document),
    /// No document.
    Absent,
}
