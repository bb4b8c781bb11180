//! The store itself: each call goes to memory, to the readers or to the writer.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ecs_scheduler_core::{
    Adoption, Advance, Clock, DecisionQuery, DecisionRecord, FaultKind, Firing, FiringQuery, JobId, JobList,
    JobStore, Journal, ListFrom, NewJob, Register, Registers, Retention, Revision, Settled, Settlement,
    Store, StoreError, StoredJob, SystemClock, Timestamp, async_trait,
};
use serde_json::value::RawValue;

use crate::codec;
use crate::error::closed;
use crate::group_commit::{Rank, Writer};
use crate::import::Page;
use crate::lock::{self, Lock};
use crate::open;
use crate::pool::{Candidates, Readers};
use crate::row_cache::{SMALL, Shelf};
use crate::settle::Entry;
use crate::writer_conn::Desk;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Tells the time of opening, which jobs of the Python version get as the moment of their creation.
    pub clock: Arc<dyn Clock>,
    /// Jobs kept in memory, about 1 KiB each; 16,384 by default.
    pub remembered: NonZeroUsize,
    /// Connections that read, each one thread while it does; 2 by default.
    pub readers: NonZeroUsize,
    /// The size in bytes up to which the file may grow; unbounded by default. A full store refuses writes and goes on
    /// when something was removed.
    pub max_bytes: Option<u64>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            remembered: NonZeroUsize::new(16 * 1024).expect("it is not zero"),
            readers: NonZeroUsize::new(2).expect("it is not zero"),
            max_bytes: None,
        }
    }
}

/// A store in one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    shelf: Arc<Shelf>,
    readers: Readers,
    writer: Writer,
    /// Up to where pruning has looked in the sweep that is under way.
    pruned: AtomicU64,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the file at `path`, or makes it, with its folder. A file of the Python version is taken over as it is.
    ///
    /// # Errors
    ///
    /// Fails, with the file's name and the remedy, when another scheduler has the file, when it is damaged or of a
    /// newer format, or when it cannot be read or written.
    pub async fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let opening = tokio::task::spawn_blocking(move || Self::open_blocking(&path, &options));
        opening
            .await
            .map_err(|panicked| StoreError::caused(FaultKind::Bug, "opening the store panicked", panicked))?
    }

    fn open_blocking(path: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        open::make_folder(path)?;
        let path = lock::resolve(path)?;
        lock::make_file(&path)?;
        let lock = Lock::acquire(&path)?;
        let opened = open::open(&path, options.clock.now(), options.max_bytes)?;
        let readers = Readers::open(&path, options.readers.get())?;
        let shelf = Arc::new(Shelf::new(opened.order, options.remembered));
        let desk = Desk::new(opened.connection, opened.counters, path.clone(), lock)?;
        let writer = Writer::start(desk, Arc::clone(&shelf), path.clone())?;
        Ok(Self { path, shelf, readers, writer, pruned: AtomicU64::new(0) })
    }

    fn ensure_open(&self) -> Result<(), StoreError> {
        if self.writer.is_closed() { Err(closed(&self.path)) } else { Ok(()) }
    }
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        self.writer.call(move |desk| desk.create(&job)).await
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        let id = id.clone();
        self.writer.call(move |desk| desk.replace(&id, expected, &document, at)).await
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        let id = id.clone();
        self.writer.call(move |desk| desk.remove(&id, expected)).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        self.ensure_open()?;
        let (found, epoch) = self.shelf.find(ids);
        let missing: Vec<JobId> =
            ids.iter().zip(&found).filter(|(_, job)| job.is_none()).map(|(id, _)| id.clone()).collect();
        if missing.is_empty() {
            return Ok(found.into_iter().flatten().collect());
        }
        let read = self.readers.jobs(missing).await?;
        self.shelf.remember(&read, epoch);
        // Both are in the order of the names.
        let mut read = read.into_iter().map(|(_, job)| job).peekable();
        let pick = |(id, job): (&JobId, Option<StoredJob>)| job.or_else(|| read.next_if(|job| job.id == *id));
        Ok(ids.iter().zip(found).filter_map(pick).collect())
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.ensure_open()?;
        let stretch = match from {
            ListFrom::Skip(skip) => self.shelf.stretch(skip, limit.get()),
            ListFrom::After(id) => {
                let missing = StoreError::NotFound(format!("job \"{id}\""));
                let jobs = self.readers.page_after(id, limit.get()).await?.ok_or(missing)?;
                return Ok(JobList { jobs, total: self.shelf.total() });
            }
        };
        let jobs = match (stretch.jobs, stretch.first) {
            (Some(jobs), _) => jobs,
            (None, None) => Vec::new(),
            (None, Some(no)) => {
                let read = self.readers.page(no, limit.get()).await?;
                if limit.get() <= SMALL {
                    self.shelf.remember(&read, stretch.epoch);
                }
                read.into_iter().map(|(_, job)| job).collect()
            }
        };
        Ok(JobList { jobs, total: stretch.total })
    }
}

#[async_trait]
impl Journal for SqliteStore {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        let entries = batch.into_iter().map(Entry::new).collect::<Result<Vec<_>, _>>()?;
        self.writer.call(move |desk| desk.settle(&entries)).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        let body = codec::body(&advance.to)?;
        let calls = advance.to.attempts.last().is_some_and(|attempt| attempt.answer.is_none());
        let rank = if calls { Rank::Next } else { Rank::Later };
        self.writer.order(rank, move |desk| desk.advance(&advance, &body)).await
    }

    async fn unfinished(&self) -> Result<Vec<Firing>, StoreError> {
        self.readers.unfinished().await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.readers.decisions(query.clone()).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.readers.firings(query.clone()).await
    }
}

#[async_trait]
impl Registers for SqliteStore {
    async fn read(&self, name: &str) -> Result<Option<Register>, StoreError> {
        self.readers.register(name.to_owned()).await
    }

    async fn write(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.writer.call(move |desk| desk.write_register(&name, &value, expected, expires)).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.writer.call(Desk::check).await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        loop {
            let cursor = self.pruned.load(Ordering::Relaxed);
            let Candidates { seqs, next } = self.readers.candidates(cursor, retention).await?;
            self.pruned.store(next.unwrap_or(0), Ordering::Relaxed);
            if seqs.is_empty() && next.is_some() {
                continue;
            }
            let removed = self.writer.call(move |desk| desk.prune(&seqs, retention)).await?;
            if removed > 0 || next.is_none() {
                return Ok(removed);
            }
        }
    }

    async fn adopt(&self, adoption: Adoption) -> Result<(), StoreError> {
        match adoption {
            Adoption::Jobs(jobs) => self.writer.call(move |desk| desk.adopt_jobs(&jobs)).await,
            Adoption::History(entries) => {
                let pages = entries.into_iter().map(Page::new).collect::<Result<Vec<_>, _>>()?;
                self.writer.call(move |desk| desk.adopt_history(&pages)).await
            }
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.readers.close();
        self.writer.close().await
    }
}
