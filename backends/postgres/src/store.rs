//! The store itself: each call goes to the database.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ecs_scheduler_core::store::{Fence, Shard, SharedStore};
use ecs_scheduler_core::{
    Adoption, Advance, DecisionQuery, DecisionRecord, FaultKind, Firing, FiringQuery, JobId, JobList,
    JobStore, Journal, ListFrom, NewJob, Register, Registers, Retention, Revision, Settled, Settlement,
    Store, StoreError, StoredJob, Timestamp, async_trait,
};
use serde_json::value::RawValue;

use crate::advance::{Move, Mover};
use crate::config::Place;
use crate::error::closed;
use crate::group_commit::Desk;
use crate::job_list::Places;
use crate::pool::Lines;
use crate::schema::{self, Missing};
use crate::session;
use crate::settle::{Batch, Entry, Settler};

/// Settlements that are made JSON on the caller's thread; more than that, about 100 µs, on one that may block.
const INLINE: usize = 50;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The most connections at once; 8 by default. One of them is enough for all that is settled.
    pub connections: NonZeroUsize,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { connections: NonZeroUsize::new(8).expect("it is not zero") }
    }
}

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    pub(crate) lines: Lines,
    settling: Arc<Desk<Settler>>,
    moving: Arc<Desk<Mover>>,
    places: Places,
    pub(crate) places_of_shards: [Places; Shard::COUNT as usize],
    /// One creation after the other: others wait here and not with a connection in their hands.
    creating: tokio::sync::Mutex<()>,
    /// Up to where pruning has looked in the sweep that is under way.
    pruned: AtomicI64,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("database", &self.lines.name()).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects to the database at `url` and makes the tables that are missing.
    ///
    /// # Errors
    ///
    /// Fails, with the database's name and the remedy, when it cannot be reached or does not admit us, when a permission
    /// is missing, or when its tables are of a newer layout.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        Self::connect(url, &options, Missing::Make).await
    }

    /// Connects to a database that has the tables already.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and with [`FaultKind::NotFound`] when there are no tables.
    pub async fn open_existing(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        Self::connect(url, &options, Missing::Refuse).await
    }

    async fn connect(url: &str, options: &PostgresOptions, missing: Missing) -> Result<Self, StoreError> {
        let place = Place::parse(url)?;
        let lines = Lines::new(&place, options.connections.get())?;
        session::probe(&lines).await?;
        schema::prepare(&lines, missing).await?;
        lines.check().await?;
        Ok(Self {
            settling: Desk::new(Settler(lines.clone())),
            moving: Desk::new(Mover(lines.clone())),
            lines,
            places: Places::default(),
            places_of_shards: Default::default(),
            creating: tokio::sync::Mutex::default(),
            pruned: AtomicI64::new(0),
        })
    }

    /// Moves a firing, under a fence where one is given.
    pub(crate) async fn step(&self, fence: Option<Fence>, advance: Advance) -> Result<(), StoreError> {
        if self.lines.is_closed() {
            return Err(closed(self.lines.name()));
        }
        self.moving.call(Move::new(fence, advance)?).await
    }

    /// Settles a batch, under a fence where one is given.
    pub(crate) async fn record(
        &self,
        fence: Option<Fence>,
        batch: Vec<Settlement>,
    ) -> Result<Vec<Settled>, StoreError> {
        if self.lines.is_closed() {
            return Err(closed(self.lines.name()));
        }
        self.settling.call(Batch { fence, entries: entries(batch).await? }).await
    }
}

#[async_trait]
impl JobStore for PostgresStore {
    async fn create(&self, job: NewJob) -> Result<StoredJob, StoreError> {
        let _turn = self.creating.lock().await;
        self.lines.create(job).await
    }

    async fn replace(
        &self,
        id: &JobId,
        expected: Revision,
        document: Box<RawValue>,
        at: Timestamp,
    ) -> Result<StoredJob, StoreError> {
        self.lines.replace(id, expected, &document, at).await
    }

    async fn remove(&self, id: &JobId, expected: Option<Revision>) -> Result<(), StoreError> {
        self.lines.remove(id, expected).await
    }

    async fn get(&self, ids: &[JobId]) -> Result<Vec<StoredJob>, StoreError> {
        self.lines.get(ids).await
    }

    async fn list(&self, from: ListFrom, limit: NonZeroUsize) -> Result<JobList, StoreError> {
        self.lines.list(&self.places, None, from, limit).await
    }
}

#[async_trait]
impl Journal for PostgresStore {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        if batch.is_empty() && !self.lines.is_closed() {
            return Ok(Vec::new());
        }
        self.record(None, batch).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        self.step(None, advance).await
    }

    async fn unfinished(&self) -> Result<Vec<Firing>, StoreError> {
        self.lines.unfinished(None).await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.lines.decisions(query).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.lines.firings(query).await
    }
}

/// Makes a batch JSON.
async fn entries(batch: Vec<Settlement>) -> Result<Vec<Entry>, StoreError> {
    if batch.len() <= INLINE {
        return batch.iter().map(Entry::new).collect();
    }
    let making = tokio::task::spawn_blocking(move || batch.iter().map(Entry::new).collect());
    let panicked = |error| StoreError::caused(FaultKind::Bug, "writing a batch as JSON panicked", error);
    making.await.map_err(panicked)?
}

#[async_trait]
impl Registers for PostgresStore {
    async fn read(&self, name: &str) -> Result<Option<Register>, StoreError> {
        self.lines.register(name).await
    }

    async fn write(
        &self,
        name: &str,
        value: &str,
        expected: Option<u64>,
        expires: Option<Timestamp>,
    ) -> Result<u64, StoreError> {
        self.lines.write_register(name, value, expected, expires).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.lines.check().await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        let cursor = self.pruned.load(Ordering::Relaxed);
        let (removed, next) = self.lines.prune(cursor, retention).await?;
        self.pruned.store(next, Ordering::Relaxed);
        Ok(removed)
    }

    async fn adopt(&self, adoption: Adoption) -> Result<(), StoreError> {
        match adoption {
            Adoption::Jobs(jobs) => self.lines.adopt_jobs(&jobs).await,
            Adoption::History(entries) => self.lines.adopt_history(&entries).await,
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.settling.rest().await;
        self.moving.rest().await;
        self.lines.close();
        Ok(())
    }

    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
        Some(self)
    }
}
