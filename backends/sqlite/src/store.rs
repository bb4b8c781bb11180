//! The store: each call is served by the row cache, by a read connection or by the writer.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ecs_scheduler_core::store::encoding::SettlementRow;
use ecs_scheduler_core::store::group_commit::Priority;
use ecs_scheduler_core::{
    Advance, DecisionQuery, DecisionRecord, FaultKind, Firing, FiringQuery, ImportBatch, JobId, JobList,
    JobStore, Journal, ListFrom, NewJob, PrunedJobs, Retention, Revision, Settled, Settlement, Store,
    StoreError, StoreMaintenance, StoredJob, Timestamp, async_trait,
};
use serde_json::value::RawValue;

use crate::codec::encode_body;
use crate::error::closed_error;
use crate::import::ImportRow;
use crate::pool::ReadPool;
use crate::prune::Candidates;
use crate::row_cache::{MAX_CACHED_PAGE, RowCache};
use crate::writer_conn::WriterConn;
use crate::writer_thread::WriterThread;

/// A store in one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    cache: Arc<RowCache>,
    pub(crate) pool: ReadPool,
    /// Absent in a store that is open for reading only.
    writer: Option<WriterThread>,
    /// The last decision that the current pruning pass has read.
    prune_cursor: AtomicU64,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Makes a store that only reads. `order` holds the rowids of the listed jobs, ascending.
    pub(crate) fn new(path: PathBuf, order: Vec<i64>, cached_jobs: NonZeroUsize, pool: ReadPool) -> Self {
        let cache = Arc::new(RowCache::new(order, cached_jobs));
        Self { path, cache, pool, writer: None, prune_cursor: AtomicU64::new(0) }
    }

    /// Returns this store with a writer.
    ///
    /// # Errors
    ///
    /// Fails when the system refuses another thread.
    pub(crate) fn with_writer(self, conn: WriterConn) -> Result<Self, StoreError> {
        let writer = WriterThread::start(conn, Arc::clone(&self.cache), &self.path)?;
        Ok(Self { writer: Some(writer), ..self })
    }

    pub(crate) fn writer(&self) -> Result<&WriterThread, StoreError> {
        self.writer.as_ref().ok_or_else(|| {
            let message =
                format!("could not write to the store {:?}: it is open for reading only", self.path);
            StoreError::fault(FaultKind::Config, message)
        })
    }

    fn ensure_open(&self) -> Result<(), StoreError> {
        let is_closed = self.writer.as_ref().map_or_else(|| self.pool.is_closed(), WriterThread::is_closed);
        if is_closed { Err(closed_error(&self.path)) } else { Ok(()) }
    }
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        self.writer()?.submit(move |conn| conn.create_job(&job)).await
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        let id = id.clone();
        self.writer()?.submit(move |conn| conn.replace_job(&id, expected, &document, at)).await
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        let id = id.clone();
        self.writer()?.submit(move |conn| conn.remove_job(&id, expected)).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        self.ensure_open()?;
        let (found, epoch) = self.cache.get(ids);
        let missing: Vec<JobId> =
            ids.iter().zip(&found).filter(|(_, job)| job.is_none()).map(|(id, _)| id.clone()).collect();
        if missing.is_empty() {
            return Ok(found.into_iter().flatten().collect());
        }
        let read = self.pool.jobs(missing).await?;
        self.cache.insert(&read, epoch);
        // Both lists are in the order of the names.
        let mut read = read.into_iter().map(|(_, job)| job).peekable();
        let merge =
            |(id, job): (&JobId, Option<StoredJob>)| job.or_else(|| read.next_if(|job| job.id == *id));
        Ok(ids.iter().zip(found).filter_map(merge).collect())
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.ensure_open()?;
        let page = match from {
            ListFrom::Skip(skip) => self.cache.page(skip, limit.get()),
            ListFrom::After(id) => {
                let missing = StoreError::NotFound((&id).into());
                let jobs = self.pool.page_after(id, limit.get()).await?.ok_or(missing)?;
                return Ok(JobList { jobs, total: self.cache.total() });
            }
        };
        let jobs = match (page.jobs, page.first) {
            (Some(jobs), _) => jobs,
            (None, None) => Vec::new(),
            (None, Some(no)) => {
                let read = self.pool.page(no, limit.get()).await?;
                if limit.get() <= MAX_CACHED_PAGE {
                    self.cache.insert(&read, page.epoch);
                }
                read.into_iter().map(|(_, job)| job).collect()
            }
        };
        Ok(JobList { jobs, total: page.total })
    }
}

#[async_trait]
impl Journal for SqliteStore {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        let rows = batch
            .into_iter()
            .map(|settlement| SettlementRow::new(settlement, encode_body))
            .collect::<Result<Vec<_>, _>>()?;
        self.writer()?.submit(move |conn| conn.settle(&rows)).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        let body = encode_body(&advance.to)?;
        let begins_launch = advance.to.attempts.last().is_some_and(|attempt| attempt.answer.is_none());
        let priority = if begins_launch { Priority::Medium } else { Priority::Low };
        self.writer()?.submit_with_priority(priority, move |conn| conn.advance(&advance, &body)).await
    }

    async fn open_firings(&self) -> Result<Vec<Firing>, StoreError> {
        self.pool.open_firings().await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.pool.decisions(query.clone()).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.pool.firings(query.clone()).await
    }
}

#[async_trait]
impl StoreMaintenance for SqliteStore {
    async fn health_check(&self) -> Result<(), StoreError> {
        match &self.writer {
            Some(writer) => writer.submit(WriterConn::check_health).await,
            None => self.pool.check_writable(&self.path).await,
        }
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        let writer = self.writer()?;
        if let PrunedJobs::Only(job) = &retention.jobs {
            let seqs = self.pool.prune_candidates_of(job.clone(), retention.clone()).await?;
            return writer.submit(move |conn| conn.prune_rows(&seqs, &retention)).await;
        }
        loop {
            let cursor = self.prune_cursor.load(Ordering::Relaxed);
            let Candidates { seqs, next } = self.pool.prune_candidates(cursor, retention.clone()).await?;
            self.prune_cursor.store(next.unwrap_or(0), Ordering::Relaxed);
            if seqs.is_empty() && next.is_some() {
                continue;
            }
            let retention = retention.clone();
            let removed = writer.submit(move |conn| conn.prune(&seqs, &retention)).await?;
            if removed > 0 || next.is_none() {
                return Ok(removed);
            }
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn import(&self, batch: ImportBatch) -> Result<(), StoreError> {
        match batch {
            ImportBatch::Jobs(jobs) => self.writer()?.submit(move |conn| conn.import_jobs(&jobs)).await,
            ImportBatch::History(entries) => {
                let rows = entries.into_iter().map(ImportRow::new).collect::<Result<Vec<_>, _>>()?;
                self.writer()?.submit(move |conn| conn.import_history(&rows)).await
            }
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.pool.close();
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
        Ok(())
    }
}
