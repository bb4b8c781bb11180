//! The store: each call of the store traits becomes statements on the database.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ecs_scheduler_core::store::encoding::{SettlementRow, to_json};
use ecs_scheduler_core::store::group_commit::GroupCommit;
use ecs_scheduler_core::store::{Fence, Shard, SharedStore};
use ecs_scheduler_core::{
    Advance, DecisionQuery, DecisionRecord, FaultKind, Firing, FiringQuery, ImportBatch, Journal, PrunedJobs,
    Retention, Settled, Settlement, Store, StoreError, StoreMaintenance, async_trait,
};

use crate::advance::{AdvanceWriter, FiringUpdate};
use crate::error::store_closed;
use crate::job_list::PageIndex;
use crate::pool::Pool;
use crate::settle::{SettleRequest, SettleWriter};

/// The largest batch that is encoded on the caller's thread; a larger one, of about 100 µs, on a thread that may block.
const MAX_INLINE_BATCH: usize = 50;

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    pub(crate) pool: Pool,
    settlements: GroupCommit<SettleRequest>,
    firing_updates: GroupCommit<FiringUpdate>,
    pub(crate) page_index: PageIndex,
    pub(crate) shard_page_indexes: [PageIndex; Shard::COUNT as usize],
    /// Serialises creations, which the server serialises as well: they wait here without holding a connection.
    pub(crate) creating: tokio::sync::Mutex<()>,
    /// The position of the pruning sweep in the journal.
    prune_cursor: AtomicI64,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("database", &self.pool.name()).finish_non_exhaustive()
    }
}

impl PostgresStore {
    pub(crate) fn new(pool: Pool) -> Self {
        let closed = store_closed(pool.name());
        Self {
            settlements: GroupCommit::spawn(SettleWriter(pool.clone()), closed.clone()),
            firing_updates: GroupCommit::spawn(AdvanceWriter(pool.clone()), closed),
            pool,
            page_index: PageIndex::default(),
            shard_page_indexes: Default::default(),
            creating: tokio::sync::Mutex::default(),
            prune_cursor: AtomicI64::new(0),
        }
    }

    /// Advances a firing, under a fence where one is given.
    pub(crate) async fn advance_firing(
        &self,
        fence: Option<Fence>,
        advance: Advance,
    ) -> Result<(), StoreError> {
        self.firing_updates.submit(FiringUpdate::new(fence, advance)?).await
    }

    /// Settles a batch, under a fence where one is given.
    pub(crate) async fn settle_batch(
        &self,
        fence: Option<Fence>,
        batch: Vec<Settlement>,
    ) -> Result<Vec<Settled>, StoreError> {
        self.settlements.submit(SettleRequest { fence, rows: encode_batch(batch).await? }).await
    }
}

#[async_trait]
impl Journal for PostgresStore {
    async fn settle(&self, batch: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        if batch.is_empty() && !self.pool.is_closed() {
            return Ok(Vec::new());
        }
        self.settle_batch(None, batch).await
    }

    async fn advance(&self, advance: Advance) -> Result<(), StoreError> {
        self.advance_firing(None, advance).await
    }

    async fn open_firings(&self) -> Result<Vec<Firing>, StoreError> {
        self.pool.open_firings(None).await
    }

    async fn decisions(&self, query: &DecisionQuery) -> Result<Vec<DecisionRecord>, StoreError> {
        self.pool.decisions(query).await
    }

    async fn firings(&self, query: &FiringQuery) -> Result<Vec<Firing>, StoreError> {
        self.pool.firings(query).await
    }
}

/// Encodes the settlements of a batch as rows.
async fn encode_batch(batch: Vec<Settlement>) -> Result<Vec<SettlementRow>, StoreError> {
    let encode = |settlement| SettlementRow::new(settlement, to_json);
    if batch.len() <= MAX_INLINE_BATCH {
        return batch.into_iter().map(encode).collect();
    }
    let encoding = tokio::task::spawn_blocking(move || batch.into_iter().map(encode).collect());
    let panicked =
        |error| StoreError::with_source(FaultKind::Bug, "encoding a batch as JSON panicked", error);
    encoding.await.map_err(panicked)?
}

#[async_trait]
impl StoreMaintenance for PostgresStore {
    async fn health_check(&self) -> Result<(), StoreError> {
        self.pool.health_check().await
    }

    async fn prune(&self, retention: Retention) -> Result<usize, StoreError> {
        if let PrunedJobs::Only(job) = &retention.jobs {
            return self.pool.prune_job(job, &retention).await;
        }
        let cursor = self.prune_cursor.load(Ordering::Relaxed);
        let (removed, next) = self.pool.prune(cursor, &retention).await?;
        self.prune_cursor.store(next, Ordering::Relaxed);
        Ok(removed)
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    async fn import(&self, batch: ImportBatch) -> Result<(), StoreError> {
        match batch {
            ImportBatch::Jobs(jobs) => self.pool.import_jobs(&jobs).await,
            ImportBatch::History(entries) => self.pool.import_history(entries).await,
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.settlements.close().await;
        self.firing_updates.close().await;
        self.pool.close();
        Ok(())
    }

    fn shared(self: Arc<Self>) -> Option<Arc<dyn SharedStore>> {
        Some(self)
    }
}
