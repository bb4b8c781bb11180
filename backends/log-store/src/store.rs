//! The traits of a store: reads are served from memory, and writes go to the log writer.

use std::num::NonZeroUsize;
use std::sync::Arc;

use ecs_scheduler_core::{
    Advance, DecisionQuery, DecisionRecord, FaultKind, Firing, FiringQuery, ImportBatch, JobId, JobList,
    JobStore, Journal, ListFrom, MemoryStore, NewJob, Retention, Revision, Settled, Settlement, Store,
    StoreError, StoreMaintenance, StoredJob, Timestamp, async_trait,
};
use serde_json::value::RawValue;

use crate::import::import;
use crate::jobs::JobEditor;
use crate::lifecycle::Lifecycle;
use crate::log::ObjectLog;
use crate::log_op::{LogOp, OpResult};

/// The maximum number of settlements of one operation, which bounds the size of a segment.
const SETTLEMENTS_PER_OP: usize = 200;

/// A store that keeps its state as a log of segments, with the jobs' documents beside it. One process at a time may use
/// it.
///
/// Readers see only durable changes: an operation is applied to the state in memory after its segment is durable.
#[derive(Debug)]
pub struct LogStore {
    kind: &'static str,
    lifecycle: Arc<Lifecycle>,
    log: Arc<dyn ObjectLog>,
    pub(crate) editor: Arc<JobEditor>,
}

impl LogStore {
    pub(crate) fn new(
        kind: &'static str,
        lifecycle: Arc<Lifecycle>,
        log: Arc<dyn ObjectLog>,
        editor: JobEditor,
    ) -> Self {
        Self { kind, lifecycle, log, editor: Arc::new(editor) }
    }

    pub(crate) fn memory(&self) -> Result<&MemoryStore, StoreError> {
        self.lifecycle.ensure_open()?;
        Ok(&self.editor.state.memory)
    }

    /// Runs an edit in a task of its own, so that it completes even when the caller is cancelled: a written document
    /// must be recorded in the log.
    async fn edit<T: Send + 'static, F>(
        &self,
        edit: impl FnOnce(Arc<JobEditor>) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let editing = tokio::spawn(edit(Arc::clone(&self.editor))).await;
        editing
            .map_err(|panicked| StoreError::with_source(FaultKind::Bug, "editing a job panicked", panicked))?
    }
}

#[async_trait]
impl JobStore for LogStore {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        self.edit(|editor| async move { editor.create(job).await }).await
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        let id = id.clone();
        self.edit(move |editor| async move { editor.replace(id, expected, document, at).await }).await
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        let id = id.clone();
        self.edit(move |editor| async move { editor.remove(id, expected).await }).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        self.memory()?.get(ids).await
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.memory()?.list(from, limit).await
    }
}

#[async_trait]
impl Journal for LogStore {
    async fn settle(&self, mut batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.lifecycle.ensure_open()?;
        let mut ops = Vec::new();
        while !batch.is_empty() {
            let rest = batch.split_off(SETTLEMENTS_PER_OP.min(batch.len()));
            let batch_part = std::mem::replace(&mut batch, rest);
            ops.push(LogOp::Settle(batch_part.into_iter().map(Into::into).collect()));
        }
        let results = self.editor.writer.commit_all(ops).await?;
        Ok(results.into_iter().flat_map(OpResult::into_settled).collect())
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        self.editor.writer.commit(LogOp::Advance(Box::new(advance))).await.map(drop)
    }

    async fn open_firings(&self) -> Result<Vec<Firing>, StoreError> {
        self.memory()?.open_firings().await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.memory()?.decisions(query).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.memory()?.firings(query).await
    }
}

#[async_trait]
impl StoreMaintenance for LogStore {
    /// Checks that the log can be read and that no other process writes to it. The next write shows whether it can be
    /// written.
    async fn health_check(&self) -> Result<(), StoreError> {
        self.editor.writer.check(&*self.log).await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        if !self.memory()?.has_prunable(&retention)? {
            return Ok(0);
        }
        Ok(self.editor.writer.commit(LogOp::Prune(retention.into())).await?.into_count())
    }
}

#[async_trait]
impl Store for LogStore {
    fn kind(&self) -> &'static str {
        self.kind
    }

    async fn import(&self, batch: ImportBatch) -> Result<(), StoreError> {
        self.lifecycle.ensure_open()?;
        self.edit(|editor| async move { import(&editor, batch).await }).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.lifecycle.close();
        self.editor.writer.close().await;
        Ok(())
    }
}
